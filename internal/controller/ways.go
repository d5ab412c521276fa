package controller

import (
	"time"

	"serin/internal/plan"
	"serin/internal/rollout"
)

// WayBack is one way to take users off the new code, in the order in which a
// person should think of them: flag off, fewer users, a revert by hand.
type WayBack struct {
	Action   string         `json:"action"` // rollback, reduce, revert
	Verb     rollout.Verb   `json:"verb"`
	Title    string         `json:"title"`            // "Flag off for everybody"
	Within   time.Duration  `json:"within,omitempty"` // real time that the plan allows; 0 = none named
	Open     bool           `json:"open"`
	Missing  []string       `json:"missing,omitempty"`  // what bars it
	CLI      string         `json:"cli"`                // the same in a terminal
	Commands []string       `json:"commands,omitempty"` // revert: to copy; serin never runs them
	Note     string         `json:"note,omitempty"`     // revert: why $commit is not filled in
	Role     string         `json:"role,omitempty"`     // revert: who is to do it
	Begun    *rollout.Clock `json:"begun,omitempty"`    // revert: the one that is under way
}

// waysBack are the ways that the plan has; none before the start and after
// the end.
func waysBack(p *plan.Plan, s rollout.State, actions []Action) []WayBack {
	if s.Attempt == 0 || s.Status == rollout.Done || s.Status == rollout.Cancelled {
		return nil
	}
	titles := map[rollout.Verb]string{rollout.Rollback: "Flag off for everybody",
		rollout.Reduce: "Down to " + p.Actions.ReduceTraffic.String(), rollout.Revert: "Revert by hand"}
	var out []WayBack
	for _, v := range []rollout.Verb{rollout.Rollback, rollout.Reduce, rollout.Revert} {
		w := WayBack{Action: string(v), Verb: v, Title: titles[v], Within: rollout.Within(p, string(v))}
		for _, a := range actions {
			if a.Verb == v {
				w.Open, w.Missing, w.CLI = a.Open, a.Missing, a.CLI
			}
		}
		if v == rollout.Revert {
			shown := rollout.ShowRevert(p, s)
			if len(shown.Commands) == 0 && !s.Irreversible && shown.Begun == nil {
				continue // the plan has none
			}
			w.Commands, w.Note, w.Role, w.Begun = shown.Commands, shown.Missing, shown.By, shown.Begun
		}
		out = append(out, w)
	}
	return out
}
