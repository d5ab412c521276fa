package incident

import (
	"fmt"
	"strings"
	"time"

	"serin/internal/plan"
)

// PostMortem is the incident in Markdown, as far as serin knows it, with the
// text that people wrote at its end. now ends the duration of one that is
// still open. Times are UTC.
func PostMortem(s State, events []Event, now time.Time) string {
	b := &strings.Builder{}
	line := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	line("# %s: %s\n", s.ID, flat(s.Title))
	line("%s, %s. Opened %s by %s%s.\n", strings.ToUpper(s.Severity), s.Status, stamp(s.OpenedAt), name(s.OpenedBy), origin(s.Origin))
	impact(line, s, now)
	detection(line, s)
	response(line, s, now)
	decisions(line, s)
	line("## Root cause\n")
	line("%s\n", or(flat(s.Cause), "Not known yet."))
	line("## Timeline\n")
	for _, e := range events {
		if e.Type != Written {
			line("- %s %s", stamp(e.At), Title(e))
		}
	}
	line("\n## Analysis and action items\n")
	if s.Text == "" {
		line("Nobody has written this part yet.")
	} else {
		line("%s\n", strings.TrimSpace(s.Text))
		line("Written by %s, %s.", s.TextBy, stamp(s.TextAt))
	}
	return b.String()
}

type liner func(format string, args ...any)

func impact(line liner, s State, now time.Time) {
	end := s.ResolvedAt
	if end.IsZero() {
		end = now
	}
	line("## Impact\n")
	line("- Open for %s", took(end.Sub(s.OpenedAt)))
	if i := s.Impact; i.Known {
		line("- Users affected: %d of %d seen on the new variant", i.Affected, i.Users)
		line("- Error events: %d on the new variant, %d on the old one; P1: %d", i.New, i.Old, i.P1)
		line("- Traffic at the worst: %s", percent(i.Exposure))
	} else {
		line("- Users affected: not measured%s", because(s.Impact.Why))
	}
	line("")
}

func detection(line liner, s State) {
	line("## Detection\n")
	from := s.Impact.FirstBad
	if !from.IsZero() {
		line("- First bad event: %s", stamp(from))
	}
	for _, a := range s.Alerts {
		line("- Alert %s: %s%s%s", flat(a.Name), stamp(a.At), later(from, a.At, "the first bad event"), because(flat(a.Why)))
	}
	line("- Opened: %s%s\n", stamp(s.OpenedAt), later(from, s.OpenedAt, "the first bad event"))
}

func response(line liner, s State, now time.Time) {
	line("## Response\n")
	line("| Clock | Limit | Took | Kept |\n|---|---|---|---|")
	for _, c := range AllClocks {
		long, kept := "not yet", "open"
		done := s.Done[c]
		switch {
		case !done.IsZero():
			long, kept = took(done.Sub(s.OpenedAt)), "yes"
			if !s.Breached[c].IsZero() {
				kept = "no"
			}
		case !s.Breached[c].IsZero():
			kept = "no"
		case s.Status != Open:
			long, kept = "not needed", "-"
		}
		line("| %s | %s | %s | %s |", c, plan.FormatDuration(s.Limits.Of(c)), long, kept)
	}
	line("")
}

func decisions(line liner, s State) {
	line("## Decisions\n")
	if len(s.Decisions) == 0 {
		line("None.\n")
		return
	}
	for _, d := range s.Decisions {
		line("- %s %s by %s%s", stamp(d.At), d.Words(), name(d.By), because(flat(d.Reason)))
		if d.Refused != "" {
			line("  - not carried out: %s", flat(d.Refused))
		}
		if d.Proposed != "" && d.Branch < 0 {
			line("  - the tree proposed %s", d.Proposed)
		}
		for _, a := range d.Tree {
			mark := ""
			if a.Proposed {
				mark = ", proposed"
			}
			line("  - %s: %s (%s)%s", or(a.If, "otherwise"), a.Status, flat(a.Why), mark)
		}
		if d.Note != "" {
			line("  - %s", flat(d.Note))
		}
	}
	line("")
}

// Title is an event of the timeline in one line.
func Title(e Event) string {
	switch e.Type {
	case Opened:
		return fmt.Sprintf("opened as %s by %s%s", strings.ToUpper(e.Opening.Severity), name(e.By), origin(e.Opening.Origin))
	case AlertJoined:
		return "alert joined: " + flat(e.Alert.Name) + because(flat(e.Text))
	case AlertOver:
		return "alert is over: " + flat(e.Alert.Name)
	case SeverityEvent:
		return fmt.Sprintf("severity set to %s by %s%s", strings.ToUpper(e.Severity), name(e.By), because(flat(e.Text)))
	case SevereEvent:
		return "severe" + because(flat(e.Text))
	case Acknowledged:
		return "acknowledged by " + name(e.By) + because(flat(e.Text))
	case Noted:
		return name(e.By) + ": " + flat(e.Text)
	case HandedOver:
		return fmt.Sprintf("handed over to %s by %s%s", flat(e.To), name(e.By), because(flat(e.Text)))
	case Breached:
		return fmt.Sprintf("the time to %s is over", e.Clock)
	case Escalated:
		return fmt.Sprintf("escalated to %s%s: nobody %s in time", e.To, bracket(e.Who), pastTense[e.Clock])
	case DecidedEvent:
		return fmt.Sprintf("%s decided %s%s", name(e.By), e.Decision.Words(), because(flat(e.Text)))
	case Carried:
		return fmt.Sprintf("decision %d is carried out%s", e.Number, because(flat(e.Text)))
	case ServedEvent:
		return fmt.Sprintf("decision %d is served to clients", e.Number)
	case Refused:
		return fmt.Sprintf("decision %d was not carried out%s", e.Number, because(flat(e.Text)))
	case Moved:
		return "traffic is " + percent(e.Exposure) + because(flat(e.Text))
	case FlagOn:
		return fmt.Sprintf("flag %s set to %s for the users on the new variant", e.Flag, e.Value)
	case FlagBack:
		return fmt.Sprintf("flag %s set back", e.Flag)
	case Deployed:
		return fmt.Sprintf("release %s is deployed", flat(e.Value))
	case ResolvedEvent:
		return fmt.Sprintf("resolved by %s%s", name(e.By), because(flat(e.Text)))
	case Reopened:
		return "reopened by " + name(e.By) + because(flat(e.Text))
	case ItemDone:
		return fmt.Sprintf("%s done by %s", flat(e.Item), name(e.By))
	case Written:
		return "post-mortem written by " + name(e.By)
	case ClosedEvent:
		return "closed by " + name(e.By)
	}
	return string(e.Type)
}

// took is a measured duration to the second, without parts that are zero: "4m59s", "10m".
func took(d time.Duration) string {
	text := d.Truncate(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// pastTense are the clocks in the past tense.
var pastTense = map[Clock]string{Respond: "responded", Decide: "decided", Act: "acted"}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func name(by string) string { return or(by, "serin") }

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func origin(text string) string {
	if text == "" {
		return ""
	}
	return " from " + flat(text)
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func bracket(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// later says how long after from something came, where from is known.
func later(from, at time.Time, what string) string {
	if from.IsZero() || at.Before(from) {
		return ""
	}
	return fmt.Sprintf(" (%s after %s)", took(at.Sub(from)), what)
}

// flat is a text in one line that no Markdown of its own begins in.
func flat(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.NewReplacer("<", "&lt;", "|", "\\|", "`", "'").Replace(text)
}
