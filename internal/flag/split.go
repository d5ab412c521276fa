package flag

// Split is the targeting a rollout owns: exposure 0 beats everything, then
// exclude, audience, include and the percentage, in that order
// (a rollout's targeting in the flag protocols, section 3).
type Split struct {
	Flag     string    // flag key
	By       string    // context attribute that is hashed; "" = targetingKey
	Salt     string    // first part of the hash seed; "" = the flag key. Fixed for the plan's life.
	New, Old string    // variant names
	Exposure Percent   // share on New, at most Everyone - holdback
	Audience Condition // zero: everybody
	Include  Subjects  // New whenever Exposure > 0
	Exclude  Subjects  // always Old
}

// Subjects names people by targetingKey, by the context's "tenant" and by
// the context's list "groups".
type Subjects struct {
	Users   []string `json:"users,omitempty"`
	Tenants []string `json:"tenants,omitempty"`
	Groups  []string `json:"groups,omitempty"`
}

// Condition is a parsed audience such as `role = admin`. The zero value is met by everybody.
type Condition struct {
	Text  string // as written
	Terms []Term // all must hold
}

// Term compares one context attribute with one or more values.
type Term struct {
	Attribute string
	Not       bool     // != or "not in"
	Values    []string // any of
}
