package auth

import "serin/internal/rollout"

// VerbScope is the scope that a command on a rollout needs, at every door.
// Lowering is open to every operator; what raises past evidence, or decides
// in somebody's name, needs Approve. What the plan's roles allow comes on top.
func VerbScope(v rollout.Verb) Scope {
	switch v {
	case rollout.Approve, rollout.Accept, rollout.Promote, rollout.Restart, rollout.Revise:
		return Approve
	}
	return Operate
}
