package stats

// UserCell counts affected users, each once per start: a user who counts in
// allocation interval Interval and who counted before in stage Last (-1 =
// never). See "Starts" in docs/statistics.md.
type UserCell struct {
	Interval int   `json:"i"`
	Last     int   `json:"l"`
	New      int64 `json:"n"` // T: assigned to the new arm
	Old      int64 `json:"o"` // C: assigned to the old arm
}

// Block is one closed block of a proportion or a quantile:
// BadNew of New, BadOld of Old; Psi0 is the null's odds ratio, 0 = 1.
type Block struct {
	Interval int     `json:"i"`
	Stage    int     `json:"s"`
	BadNew   int64   `json:"a"`
	New      int64   `json:"nt"`
	BadOld   int64   `json:"c"`
	Old      int64   `json:"nc"`
	Psi0     float64 `json:"psi0,omitempty"`
}
