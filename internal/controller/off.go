package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"serin/internal/clock"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// stoppedServer is the journal's reason for a rollback of SwitchOff.
const stoppedServer = killed + ", the server being stopped"

// Offline is what SwitchOff needs. Store is required.
type Offline struct {
	Store   Store
	Clock   clock.Clock // nil = the machine's
	BaseURL string      // for links in notices, "" = none
	DryRun  bool        // write nothing, only say what would be done
}

// SwitchedOff is what SwitchOff did.
type SwitchedOff struct {
	Flag    string `json:"flag"`
	Changed bool   `json:"changed"`           // false: it was off before, nothing was written
	Rollout string `json:"rollout,omitempty"` // that owns the flag and was rolled back; "" = nobody's
	From    string `json:"from,omitempty"`    // its traffic before, "10%"
	Pos     int64  `json:"pos,omitempty"`     // its journal's last position now
	Notices int    `json:"notices,omitempty"` // wait in the outbox for the next start
	Text    string `json:"text"`              // what it came to, one sentence
}

// SwitchOff switches a flag off in a store that no server uses: the flag of a
// rollout by that rollout's rollback, decided, journalled and audited as
// PutFlag does it, any other by its state. Nobody is told before the next
// start, which finds the notices in the outbox. The caller must hold the data
// directory's lock. store.ErrNotFound says that there is no such flag, a
// *rollout.Refusal why it cannot be switched off.
func SwitchOff(ctx context.Context, o Offline, key, who, reason string) (SwitchedOff, error) {
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	c, err := New(ctx, Options{Store: o.Store, Evidence: nothingMeasured{}, Publisher: nobodyServed{}, Feed: nobodyServed{}, Clock: o.Clock, BaseURL: o.BaseURL})
	if err != nil {
		return SwitchedOff{}, err
	}
	record, err := c.flags.Get(ctx, key)
	if err != nil {
		return SwitchedOff{}, err
	}
	if o.DryRun {
		return c.wouldSwitchOff(record)
	}
	if record.Owner == "" {
		return c.disable(ctx, record, who, reason)
	}
	return c.rollBackStopped(ctx, record, who, reason)
}

// wouldSwitchOff says how things stand and what SwitchOff would do.
func (c *Controller) wouldSwitchOff(record store.FlagRecord) (SwitchedOff, error) {
	out := SwitchedOff{Flag: record.Definition.Key, Rollout: record.Owner, Text: fmt.Sprintf("flag %s is %s and owned by no rollout: it would be disabled", record.Definition.Key, record.Definition.State)}
	if record.Definition.State == flag.StateOff {
		out.Text = fmt.Sprintf("flag %s is off: every client gets the default in its code", out.Flag)
	}
	if record.Owner == "" {
		return out, nil
	}
	w, err := c.find(record.Owner)
	if err != nil {
		return SwitchedOff{}, err
	}
	s := w.state
	out.From, out.Pos = s.Exposure.String(), s.Pos
	out.Text = fmt.Sprintf("%s is %s at %s since %s: it would be rolled back", w.id, words(string(s.Status)), s.Exposure, s.At.UTC().Format("2 Jan 2006 15:04 UTC"))
	switch {
	case s.Status == rollout.RolledBack:
		out.Text = fmt.Sprintf("%s was rolled back: nobody is on the new variant", w.id)
	case s.Irreversible:
		out.Text = fmt.Sprintf("%s is %s at %s: the old code is gone, so the flag brings nothing back; revert the code by hand", w.id, words(string(s.Status)), s.Exposure)
	}
	return out, nil
}

// disable switches off a flag that no rollout owns.
func (c *Controller) disable(ctx context.Context, record store.FlagRecord, who, reason string) (SwitchedOff, error) {
	d := record.Definition
	out := SwitchedOff{Flag: d.Key, Text: fmt.Sprintf("flag %s was off before: nothing was written", d.Key)}
	if d.State == flag.StateOff {
		return out, nil
	}
	d.State = flag.StateOff
	why := stoppedServer
	if reason != "" {
		why += ": " + reason
	}
	if _, err := c.flags.Put(ctx, record.Place.Project, d, record.Revision, who, "cli", why); err != nil {
		return SwitchedOff{}, err
	}
	out.Changed = true
	out.Text = fmt.Sprintf("flag %s is off: from the next start on every client gets the default in its code", d.Key)
	return out, nil
}

// rollBackStopped rolls the owner of a flag back. No worker runs, so the step
// is made here.
func (c *Controller) rollBackStopped(ctx context.Context, record store.FlagRecord, who, reason string) (SwitchedOff, error) {
	w, err := c.find(record.Owner)
	if err != nil {
		return SwitchedOff{}, err
	}
	before := w.state
	out := SwitchedOff{Flag: record.Definition.Key, Rollout: w.id, Pos: before.Pos, From: before.Exposure.String()}
	if before.Status == rollout.RolledBack {
		out.Text = fmt.Sprintf("%s was rolled back before: nothing was written", w.id)
		return out, nil
	}
	cmd := rollout.Command{Verb: rollout.Rollback, By: who, Via: "cli", Reason: stoppedServer}
	if reason != "" {
		cmd.Reason += ": " + reason
	}
	res, err := w.step(ctx, &cmd)
	if err != nil {
		return SwitchedOff{}, err
	}
	waiting, err := c.o.Store.Due(ctx, c.o.Clock.Now(), courierBatch)
	if err != nil {
		return SwitchedOff{}, fmt.Errorf("rolled back; read the outbox: %w", err)
	}
	for _, n := range waiting {
		if n.Rollout == w.id {
			out.Notices++
		}
	}
	out.Changed, out.Pos = true, res.State.Pos
	out.Text = fmt.Sprintf("%s is rolled back from %s to 0%%: from the next start on every client gets %s", w.id, out.From, oldOf(w))
	return out, nil
}

// oldOf is what clients get once w is rolled back.
func oldOf(w *worker) string {
	if w.unread != nil {
		return "the default in its code"
	}
	return "the variant " + w.plan.Flag.Old
}

// nothingMeasured is the evidence of a process that takes in no telemetry:
// what lowers traffic does without any.
type nothingMeasured struct{}

var errNothingMeasured = errors.New("no telemetry is read while the server is stopped")

func (nothingMeasured) Watch(Watch) error                              { return nil }
func (nothingMeasured) Forget(string)                                  {}
func (nothingMeasured) View(string) (judge.Evidence, error)            { return nil, errNothingMeasured }
func (nothingMeasured) Usage() (map[string]flag.Usage, time.Time)      { return nil, time.Time{} }
func (nothingMeasured) Value(string, string) (string, time.Time, bool) { return "", time.Time{}, false }
func (nothingMeasured) Facts(string, *plan.Plan, time.Time) plan.ServerFacts {
	return plan.ServerFacts{}
}

func (nothingMeasured) Series(string, string, time.Time, time.Time, int) ([]Point, error) {
	return nil, errNothingMeasured
}

// nobodyServed is the publisher and the feed of a process without clients.
type nobodyServed struct{}

func (nobodyServed) Publish(*flag.Ruleset) {}

func (nobodyServed) Await(string, int64, func()) (stop func()) { return func() {} }

func (nobodyServed) Send(string, any) int64 { return 0 }
