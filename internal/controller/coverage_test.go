package controller_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"serin/internal/rollout"
)

// coverage is what the scripts together have shown of the state machine.
type coverage struct {
	mu       sync.Mutex // guards the fields below
	scripts  int
	events   map[rollout.Type]int
	verbs    map[string]bool // "restart 409"
	refusals []string
}

func newCoverage() *coverage {
	return &coverage{events: map[rollout.Type]int{}, verbs: map[string]bool{}}
}

// add notes what a script has shown.
func (c *coverage) add(x *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scripts++
	types := map[rollout.Type]bool{}
	for _, e := range x.shown {
		types[e.Type] = true
	}
	for t := range types {
		c.events[t]++
	}
	for v := range x.verbs {
		c.verbs[v] = true
	}
	c.refusals = append(c.refusals, x.refusals...)
}

// notProduced are the events that no part of the service brings about yet.
var notProduced = map[rollout.Type]string{
	rollout.IncidentOpened:   "incidents are tried in package response",
	rollout.IncidentDecided:  "incidents are tried in package response",
	rollout.IncidentResolved: "incidents are tried in package response",
	rollout.IncidentClosed:   "incidents are tried in package response",
	rollout.FlagSet:          "TestCompanionFlag, and package response",
	rollout.Noticed:          "what became of a notice is kept in the outbox",
	rollout.NoticeFailed:     "what became of a notice is kept in the outbox",
}

var eventTypes = []rollout.Type{
	rollout.Created, rollout.Revised, rollout.Completed, rollout.Reopened, rollout.Started, rollout.Baked, rollout.Checked,
	rollout.Approved, rollout.Confirmed, rollout.Accepted, rollout.Asked, rollout.Advanced, rollout.PausedEvent,
	rollout.Resumed, rollout.ReducedEvent, rollout.RolledBackEvent, rollout.RevertNeeded, rollout.Restarted,
	rollout.IrreversibleDone, rollout.Finished, rollout.CancelledEvent, rollout.IncidentOpened, rollout.IncidentDecided,
	rollout.IncidentResolved, rollout.IncidentClosed, rollout.NoData, rollout.DataBack, rollout.BlindEvent,
	rollout.Sighted, rollout.DataQuality, rollout.FlagSet, rollout.Deployed, rollout.Noticed, rollout.NoticeFailed,
	rollout.ServedEvent, rollout.RevertBegun, rollout.Reverted, rollout.DeployBegun, rollout.DeployEnded,
}

// answers are the statuses that each verb must have been answered with: done,
// barred by the state, forbidden to the role, and a field that is missing.
var answers = map[rollout.Verb][]int{
	rollout.Create: {200, 409}, rollout.Start: {200, 409, 403}, rollout.Approve: {200, 409, 403}, rollout.Accept: {200, 409, 403, 422},
	rollout.Confirm: {200, 409, 403, 422}, rollout.Complete: {200, 409, 403, 422}, rollout.Reopen: {200, 409, 403},
	rollout.Promote: {200, 409, 403, 422}, rollout.Pause: {200, 409}, rollout.Resume: {200, 409, 403}, rollout.Reduce: {200, 409},
	rollout.Rollback: {200, 409}, rollout.Restart: {200, 409, 403, 422}, rollout.Revise: {200, 409, 403},
	rollout.Cancel: {200, 409, 403}, rollout.Finish: {200, 409, 403}, rollout.Deploy: {200, 409, 422},
	rollout.Revert: {200, 409, 403}, "flag": {200, 409},
}

// guards are what the refusals of the state machine say; each must have been
// met by a script. Those of incidents are left out: there are none yet.
var guards = []string{
	// stale, and versions that a page has to tell
	"changed meanwhile", "say which version was seen",
	// start
	"only a rollout in preflight can be started", "checklist:", "starts at", "the calendar lets traffic rise again", "window",
	"approval by", "E14", "E15", "E21", "does not hold",
	// the lists
	"there is no item", "is for the role", "is done already", "is open", "cannot be undone", "does not apply", "cannot be verified",
	"is not due before", "choose for",
	// approve, confirm, accept
	"no approval is asked for here", "approved already", "confirmed already", "name what is confirmed", "asks for no confirmation",
	"needs a reason", "bake is not over", "never what is not met", "the plan says hold",
	"nothing is unknown", "only data mends it", "mended by the source",
	// promote
	"promote only raises", "has no stage", "needs a role that may override",
	// pause, reduce, resume
	"needs a running rollout", "only a paused or reduced rollout can be resumed", "nothing to reduce", "reduce only lowers",
	"no deployment was reported", "is met",
	// rollback, restart
	"nothing to roll back", "the old code is gone", "only a rolled-back rollout can be restarted", "restart.after", "restart.from",
	"was not reached", "say the cause", "a restart needs an approval",
	// revert
	"no revert is under way", "a revert is under way", "the plan lets lead revert", "does not say how to revert", "nothing to revert",
	// revise
	"is past", "fixed for the plan's life", "a looser plan needs an approval", "the rollout has ended",
	// the end
	"cannot finish", "only a rollout in clean-up can be finished", "only a rollout in preflight or rolled back can be cancelled",
	"is still", "say which release",
	// the flag
	"is owned by rollout",
}

// check fails for what no script has shown, and prints the rest.
func (c *coverage) check(t *testing.T) {
	for _, typ := range eventTypes {
		why, excused := notProduced[typ]
		n := c.events[typ]
		switch {
		case n == 0 && !excused:
			t.Errorf("no script brings about %s", typ)
		case n > 0 && excused:
			t.Errorf("%s comes in %d scripts now: take it off the list of those that do not (%s)", typ, n, why)
		case excused:
			t.Logf("%-18s none: %s", typ, why)
		default:
			t.Logf("%-18s in %d scripts", typ, n)
		}
		delete(c.events, typ)
	}
	for typ := range c.events {
		t.Errorf("%s is not on the list of events", typ)
	}
	for verb, statuses := range answers {
		for _, s := range statuses {
			if !c.verbs[fmt.Sprintf("%s %d", verb, s)] {
				t.Errorf("%s is never answered with %d", verb, s)
			}
		}
	}
	met := 0
	for _, guard := range guards {
		if !slices.ContainsFunc(c.refusals, func(r string) bool { return strings.Contains(r, guard) }) {
			t.Errorf("no script is refused because %q", guard)
			continue
		}
		met++
	}
	t.Logf("%d refusals, %d of %d guards", len(c.refusals), met, len(guards))
}
