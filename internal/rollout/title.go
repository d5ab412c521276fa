package rollout

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
)

// Announce reports whether e makes a notice, given the state before it. Every
// transition makes one; a check when it turns red and when it recovers; a
// silence and a blind guard when they last, one for all guards.
func Announce(e Event, before State) bool {
	switch e.Type {
	case Started, Advanced, PausedEvent, Resumed, ReducedEvent, RolledBackEvent, RevertNeeded, Restarted,
		IrreversibleDone, Finished, CancelledEvent, Asked, RevertBegun, Reverted:
		return true
	case ServedEvent, DeployEnded:
		return e.Paged
	case Checked:
		return (len(e.Red) > 0) != (len(before.Red) > 0)
	case NoData:
		return e.Paged && !before.NoDataPaged
	case BlindEvent:
		for _, b := range before.Blind {
			if b.Paged {
				return false
			}
		}
		return e.Paged
	case DataQuality:
		return e.To == qualityOpen
	}
	return false
}

// Audience is whom a notice is for.
type Audience string

// The audiences.
const (
	Team  Audience = "team"  // the plan's channels
	Owner Audience = "owner" // of the stage
	Page  Audience = "page"  // the role of judge.no_data.page, else the owner: somebody must look now
)

// ToWhom says whom the notice about e is for.
func ToWhom(e Event) Audience {
	switch e.Type {
	case Checked, DataQuality, ServedEvent:
		return Owner
	case NoData, BlindEvent, RevertNeeded, DeployEnded:
		return Page
	case Asked:
		if e.Paged {
			return Page
		}
		return Owner
	}
	return Team
}

// Title puts e into words: a line for timeline and notices, and what more
// there is to say, which may be "".
func Title(p *plan.Plan, e Event) (title, text string) {
	switch e.Type {
	case RolledBackEvent, ReducedEvent, RevertNeeded, Asked, Checked:
		return titleJudged(p, e)
	case Started, Advanced, Restarted, Resumed, PausedEvent, Finished, CancelledEvent, Created, Revised:
		return titleMoved(p, e)
	case Completed, Reopened, Approved, Confirmed, Accepted, IrreversibleDone:
		return titleMark(p, e)
	case ServedEvent:
		return titleServed(e)
	case RevertBegun, Reverted:
		return titleReverting(e)
	case DeployBegun, DeployEnded:
		return titleDeploy(e)
	}
	return titleObserved(e)
}

func titleJudged(p *plan.Plan, e Event) (string, string) {
	switch e.Type {
	case Checked:
		if len(e.Red) == 0 {
			return "check of " + stageName(p, e.Stage) + ": not red", ""
		}
		return "check of " + stageName(p, e.Stage) + " is red: " + strings.Join(e.Red, ", "), whys(e.Verdicts)
	case Asked:
		if e.Rule != "" {
			return "met against the baseline only, so it holds: " + cause(p, e), e.Reason
		}
		return "decision needed: " + strings.Join(e.Red, ", "), whys(e.Verdicts)
	case RevertNeeded:
		return "revert by hand, the old code is gone: " + cause(p, e),
			strings.Join(append([]string{e.Reason}, fillIn(p.Actions.Revert.Show, e.To)...), "\n")
	case ReducedEvent:
		what := "reduced to " + percent(e.Exposure)
		switch {
		case e.Kind == kindRestored:
			what = "taken down to 0 %"
		case e.Exposure == 0:
			what = "hotfix: flag off"
		}
		return byOrCause(p, e, what)
	}
	return byOrCause(p, e, "rolled back")
}

func byOrCause(p *plan.Plan, e Event, what string) (string, string) {
	if e.By == "" && e.Rule != "" {
		return what + ": " + cause(p, e), e.Reason
	}
	return by(what, e), e.Reason
}

// cause is the rule that decided, with value and limit where there is a verdict.
func cause(p *plan.Plan, e Event) string {
	v := e.Verdict
	if v == nil {
		if e.Reason != "" {
			return e.Reason
		}
		return e.Rule
	}
	rule := ruleOf(p, e.Rule)
	out := v.Metric
	if v.Value != nil {
		out += " " + quantity(*v.Value, v, rule)
	}
	if v.Ref != plan.None {
		out += " vs " + string(v.Ref)
	}
	if rule != nil && (rule.Given || rule.For == 0) {
		if _, span, ok := strings.Cut(rule.Text, " over "); ok {
			span, _, _ = strings.Cut(span, " for ")
			out += " over " + span
		}
	}
	if rule != nil && rule.For > 0 {
		out += " for " + short(rule.For)
	}
	return out + ", limit " + quantity(v.Limit, v, rule)
}

func ruleOf(p *plan.Plan, text string) *plan.Rule {
	for _, list := range [2][]*plan.Rule{p.Rollback, p.Reduce} {
		for _, r := range list {
			if r.Text == text {
				return r
			}
		}
	}
	return nil
}

// quantity writes a value in the unit of its rule; a relative change is
// signed and in percent.
func quantity(x float64, v *judge.Verdict, rule *plan.Rule) string {
	if v.Ref != plan.None || rule != nil && rule.Ref != plan.None {
		return fmt.Sprintf("%+.0f %%", 100*x)
	}
	unit := v.Unit
	if rule != nil && rule.Unit != "" {
		unit = rule.Unit
	}
	scale, ok := scales[unit]
	if !ok {
		scale = 1
	}
	number := strconv.FormatFloat(math.Round(x/scale*1000)/1000, 'f', -1, 64)
	if unit == "" {
		return number
	}
	return number + " " + unit
}

// scales are the sizes of written units in a metric's own (plan.Rule.Value).
var scales = map[string]float64{
	"%": 0.01, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000,
	"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

func titleMoved(p *plan.Plan, e Event) (string, string) {
	at := stageName(p, e.Stage) + " " + percent(e.Exposure)
	switch e.Type {
	case Created:
		return by("created "+e.Item, e), e.Reason
	case Revised:
		what := "plan revised"
		if e.Looser {
			what += ", looser"
		}
		return by(what, e), RevisionOf(e).told(e.Reason)
	case Started:
		return by("started: "+at, e), e.Reason
	case Restarted:
		return by(fmt.Sprintf("restarted: %s, attempt %d", at, e.Attempt), e), e.Reason
	case Resumed:
		return by("resumed: "+at, e), e.Reason
	case PausedEvent:
		return by("paused at "+at, e), e.Reason
	case Finished:
		return by("finished", e), e.Reason
	case CancelledEvent:
		return by("cancelled", e), e.Reason
	}
	what := "advanced: " + at
	if e.Kind == string(Cleanup) {
		what = "clean-up began: " + percent(e.Exposure)
	}
	if e.Overridden {
		what += " (overridden)"
	}
	text := whys(e.Verdicts)
	if e.Reason != "" {
		text = strings.TrimSpace(e.Reason + "\n" + text)
	}
	return by(what, e), text
}

func titleMark(p *plan.Plan, e Event) (string, string) {
	item := e.Item
	for _, list := range [2][]plan.Task{p.Preflight, p.Cleanup.Tasks} {
		for _, t := range list {
			if t.ID == item {
				item = t.Do
			}
		}
	}
	switch e.Type {
	case Completed:
		if e.Choice != "" {
			item += " = " + e.Choice
		}
		return by("done: "+item, e), e.Evidence
	case Reopened:
		return by("open again: "+item, e), e.Reason
	case Confirmed:
		return by("confirmed: "+item, e), e.Reason
	case IrreversibleDone:
		return by("no way back from here: "+item, e), ""
	case Approved:
		if e.Item != "" {
			return by("approved: "+e.Item, e), e.Reason
		}
		return by("approved", e), e.Reason
	}
	what := "accepted without proof"
	if e.Item != "" {
		what = "accepted: " + e.Item
	}
	return by(what, e), e.Reason
}

func titleObserved(e Event) (string, string) {
	switch e.Type {
	case Baked:
		return "baked " + short(e.Duration), ""
	case NoData:
		since := "no data since " + e.Since.UTC().Format("15:04") + " UTC"
		if e.Paged {
			since += ": somebody must look"
		}
		return since, e.Reason
	case DataBack:
		return "data is back", ""
	case BlindEvent:
		return "blind: " + e.Item, e.Reason
	case Sighted:
		return "sees again: " + e.Rule, ""
	case DataQuality:
		if e.Kind == kindJudge && e.To == qualityOpen {
			return kindJudge + " " + e.Reason, "raises wait until this is accepted; the rollback rules go on"
		}
		if e.To == qualityGone {
			return "data quality: " + e.Kind + " is over", e.Reason
		}
		return strings.TrimSpace("data quality: " + e.Kind + " " + e.Reason), "raises wait until it is over or accepted"
	case FlagSet:
		return "flag " + e.Flag + " set to " + e.To, e.Reason
	case Deployed:
		return by("deployed "+e.Item, e), e.Evidence
	case IncidentOpened, IncidentDecided, IncidentResolved, IncidentClosed:
		what := strings.TrimPrefix(string(e.Type), "incident_")
		return by("incident "+e.Kind+" "+what, e), e.Reason
	}
	return strings.ReplaceAll(string(e.Type), "_", " ") + " " + e.Item, e.Reason
}

func by(what string, e Event) string {
	if e.By == "" {
		return what
	}
	return what + " by " + e.By
}

// whys are the sentences of the verdicts that are not met, or of all.
func whys(verdicts []judge.Verdict) string {
	var bad, all []string
	for _, v := range verdicts {
		if v.Why == "" {
			continue
		}
		all = append(all, v.Why)
		if v.Status == judge.NotMet {
			bad = append(bad, v.Why)
		}
	}
	if len(bad) > 0 {
		all = bad
	}
	return strings.Join(all, "\n")
}

func stageName(p *plan.Plan, i int) string {
	if i < 0 || i >= len(p.Stages) {
		return "stage " + strconv.Itoa(i)
	}
	return p.Stages[i].Name
}

// percent writes a share of users: "12.5 %".
func percent(x flag.Percent) string {
	return strconv.FormatFloat(float64(x)/1000, 'f', -1, 64) + " %"
}

// short writes a duration as people do: "12m", "31h", "1h30m", "45s".
func short(d time.Duration) string {
	if d < time.Minute {
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
	d = d.Truncate(time.Minute)
	h, m := d/time.Hour, d%time.Hour/time.Minute
	switch {
	case h == 0:
		return fmt.Sprintf("%dm", m)
	case m == 0:
		return fmt.Sprintf("%dh", h)
	}
	return fmt.Sprintf("%dh%dm", h, m)
}

// progress writes bake against its goal: whole hours where the goal is long.
func progress(done, goal time.Duration) string {
	if goal >= 12*time.Hour {
		done = done.Truncate(time.Hour)
		if done == 0 {
			return "0h/" + short(goal)
		}
	}
	return short(done) + "/" + short(goal)
}
