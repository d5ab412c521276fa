package flag

import "time"

// Usage is how one flag is asked for, as the server sees it. The zero value
// is a flag that nobody asked for.
type Usage struct {
	// Evaluations counts answers, single and in bulk; an answer of all flags
	// counts for each of them. Minutes are as exact as the times below are.
	Evaluations int64     `json:"evaluations"`
	First       time.Time `json:"first,omitzero"`
	Last        time.Time `json:"last,omitzero"`
	// Reported is when telemetry last told that code has read the flag.
	Reported time.Time `json:"reported,omitzero"`
	// Missed counts answers that there is no such flag: the key is unknown,
	// or the caller may not see it. MissedLast is the last of them.
	Missed     int64     `json:"missed,omitempty"`
	MissedLast time.Time `json:"missed_last,omitzero"`
}

// Asked is when the flag was last evaluated or reported; zero = never.
func (u Usage) Asked() time.Time {
	if u.Reported.After(u.Last) {
		return u.Reported
	}
	return u.Last
}
