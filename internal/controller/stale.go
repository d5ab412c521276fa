package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// StaleAfter is how long a flag may serve one variant to all, or be asked for
// by nobody, before it is called stale, where the caller does not say.
const StaleAfter = 30 * 24 * time.Hour

// FlagState says what a flag is still good for.
type FlagState string

// The states, those that need somebody first. All but the last three are stale.
const (
	FlagDeleteCode FlagState = "delete the code" // its rollout is done, and the code still has what was to go
	FlagDelete     FlagState = "delete the flag" // its rollout is done, and the code has let go of it
	FlagConstant   FlagState = "constant"        // nobody owns it and it has served one variant to all for long
	FlagUnasked    FlagState = "nobody asks"     // it was evaluated once, and not for long
	FlagNever      FlagState = "never asked"     // it was never evaluated
	FlagUnknown    FlagState = "unknown key"     // clients ask for it, and there is no such flag
	FlagKept       FlagState = "permanent"       // its metadata has permanent: true
	FlagOwned      FlagState = "in a rollout"    // a rollout owns it or is to own it
	FlagInUse      FlagState = "in use"
)

// FlagReport is what is known of one flag's use.
type FlagReport struct {
	Key      string      `json:"key"`
	Project  string      `json:"project,omitempty" doc:"left out for a key that is no flag"`
	State    FlagState   `json:"state"`
	Stale    bool        `json:"stale"`
	Why      string      `json:"why"`
	Do       string      `json:"do,omitempty" doc:"what to do about it"`
	Rollout  string      `json:"rollout,omitempty" doc:"the latest of the flag"`
	Serves   []string    `json:"serves,omitempty" doc:"variants it can give; none = not known"`
	Changed  time.Time   `json:"changed,omitzero"`
	Code     []CodeFact  `json:"code,omitempty" doc:"what serin facts last told of the code of its rollout"`
	Usage    flag.Usage  `json:"usage"`
	oldSince time.Time   // the flag and the counting of its use are both this old
	view     *staleOwner // of Rollout
}

// CodeFact is one fact about code that the clean-up of a rollout waits for.
type CodeFact struct {
	Fact  string    `json:"fact"` // as the plan writes it: refs gone useNewThing
	Holds bool      `json:"holds"`
	At    time.Time `json:"at,omitzero"` // when it was told; zero = never
	Stale bool      `json:"stale,omitempty" doc:"told more than 24 h ago"`
}

// staleOwner is the latest rollout of a flag.
type staleOwner struct {
	id     string
	status rollout.Status
	plan   *plan.Plan
}

// Stale reports on every flag, and on keys that clients ask for in vain within
// after (0 = StaleAfter): first what needs somebody, then by key.
func (c *Controller) Stale(ctx context.Context, after time.Duration) ([]FlagReport, error) {
	if after <= 0 {
		after = StaleAfter
	}
	records, _, err := c.flags.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("read flags: %w", err)
	}
	used, since := c.o.Evidence.Usage()
	now, latest := c.o.Clock.Now(), c.latestByFlag()
	out := make([]FlagReport, 0, len(records))
	known := map[string]bool{}
	for _, r := range records {
		key := r.Definition.Key
		known[key] = true
		report := FlagReport{Key: key, Project: flag.ProjectOf(r.Place.Project), Changed: r.UpdatedAt, Usage: used[key], oldSince: r.UpdatedAt, view: latest[key]}
		if since.After(report.oldSince) {
			report.oldSince = since
		}
		report.judge(c, r, now, after)
		out = append(out, report)
	}
	for key, u := range used {
		if !known[key] && u.Missed > 0 && now.Sub(u.MissedLast) <= after {
			out = append(out, FlagReport{Key: key, State: FlagUnknown, Stale: true, Usage: u,
				Why: fmt.Sprintf("asked for %d times, last %s: there is no such flag, so the code's default is used", u.Missed, day(u.MissedLast)),
				Do:  "take it out of the code, or create the flag"})
		}
	}
	slices.SortFunc(out, func(a, b FlagReport) int {
		return cmp.Or(cmp.Compare(rankOf(a.State), rankOf(b.State)), strings.Compare(a.Key, b.Key))
	})
	return out, nil
}

func rankOf(s FlagState) int {
	return slices.Index([]FlagState{FlagDeleteCode, FlagDelete, FlagConstant, FlagUnasked, FlagNever, FlagUnknown, FlagKept, FlagOwned, FlagInUse}, s)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// latestByFlag returns the newest rollout of each flag.
func (c *Controller) latestByFlag() map[string]*staleOwner {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]*staleOwner{}
	for _, id := range c.order {
		w := c.workers[id]
		v := w.view.Load()
		if v.Flag != "" {
			out[v.Flag] = &staleOwner{id: id, status: v.State.Status, plan: w.inForce.Load()}
		}
	}
	return out
}

// judge finds the state of a flag.
func (f *FlagReport) judge(c *Controller, r store.FlagRecord, now time.Time, after time.Duration) {
	f.Serves, _ = r.Definition.Outcomes()
	finished := false
	if f.view != nil {
		f.Rollout, finished = f.view.id, f.view.status == rollout.Done
	}
	kept, _ := r.Definition.Metadata["permanent"].(bool)
	underWay := f.view != nil && !finished && f.view.status != rollout.Cancelled
	asked := f.Usage.Asked()
	quiet := !asked.IsZero() && now.Sub(asked) > after && now.Sub(f.oldSince) > after
	never := asked.IsZero() && now.Sub(f.oldSince) > after
	switch {
	case r.Owner != "" || underWay:
		f.set(FlagOwned, "rollout "+cmp.Or(r.Owner, f.Rollout)+" is not over", "")
	case kept:
		f.set(FlagKept, "its metadata says permanent", "")
	case finished && f.ended(c, now):
	case (never || quiet) && f.Usage.Missed > 0 && now.Sub(f.Usage.MissedLast) <= after:
		f.set(FlagInUse, fmt.Sprintf("asked for %d times, last %s, by callers that may not see it", f.Usage.Missed, day(f.Usage.MissedLast)), "if pages may read it: serin flag set "+f.Key+" --client")
	case never:
		f.set(FlagNever, "nobody has asked for it since "+day(f.oldSince), "take it out: serin flag delete "+f.Key)
	case quiet:
		f.set(FlagUnasked, "last asked for on "+day(asked), "take it out of the code, then: serin flag delete "+f.Key)
	case len(f.Serves) == 1 && now.Sub(f.Changed) > after:
		f.set(FlagConstant, fmt.Sprintf("everybody has had %s since %s", variantName(f.Serves[0]), day(f.Changed)), "take the choice out of the code, or say that it stays: metadata permanent: true")
	default:
		f.set(FlagInUse, f.inUse(asked), "")
	}
	f.Stale = rankOf(f.State) < rankOf(FlagKept)
}

func (f *FlagReport) set(s FlagState, why, do string) { f.State, f.Why, f.Do = s, why, do }

// ended looks at a flag whose rollout is done, by what serin facts told of its
// code. It reports false where the plan verifies nothing about code, or
// nothing was told: then the flag is judged as any other.
func (f *FlagReport) ended(c *Controller, now time.Time) bool {
	if f.view.plan == nil {
		return false
	}
	var left []string
	told := 0
	for _, fact := range codeFacts(f.view.plan) {
		key, want := pushedFact(fact)
		text, at, ok := c.o.Evidence.Value(f.Project, key)
		one := CodeFact{Fact: key, Holds: ok && text == want, At: at, Stale: ok && now.Sub(at) > pushedFresh}
		f.Code = append(f.Code, one)
		if ok {
			told++
		}
		if ok && !one.Holds {
			left = append(left, key)
		}
	}
	switch {
	case len(left) > 0:
		f.set(FlagDeleteCode, f.Rollout+" is done, and this does not hold: "+strings.Join(left, ", "), "take out what serin scan . --flag "+f.Key+" finds")
	case told == 0 || told < len(f.Code):
		return false
	default:
		f.set(FlagDelete, f.Rollout+" is done, and the code has let go: "+f.Code[0].Fact, "serin flag delete "+f.Key)
	}
	return true
}

// codeFacts are the facts about code that end a plan: what is to be gone, and
// with them that nothing names the flag any more.
func codeFacts(p *plan.Plan) []*plan.Fact {
	all := []*plan.Fact{plan.FlagGone(p)}
	for _, t := range p.Cleanup.Tasks {
		if v := t.Verify; v != nil && (v.Name == "path gone" || v.Name == "refs gone") && v.Arg != p.Flag.Key {
			all = append(all, v)
		}
	}
	return all
}

func (f *FlagReport) inUse(asked time.Time) string {
	if asked.IsZero() {
		return "changed on " + day(f.Changed) + ", not asked for yet"
	}
	return "last asked for on " + day(asked)
}

func variantName(v string) string {
	if v == "" {
		return "the code's default"
	}
	return v
}
