package web

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/plan"
)

// diffBody compares two versions of a plan, or a version and a draft.
type diffBody struct {
	Name        string
	From, To    string // "Version 7", "Draft"
	FromN, ToN  int    // 0 = the draft
	Compared    bool   // false: only the form of a draft is shown
	Same        bool   // the texts are the same
	Readable    bool   // both sides can be read
	Pill        pill
	Lead        string
	Callout     callout
	Changes     []ruleChange
	Before      []criterion // what must be so before it applies
	Calendar    []moveRow
	EndNote     string
	Gone, Fresh []finding
	Hunks       []hunk
	Whole       bool
	ChangedURL  string // of the changed lines alone; "" for a draft
	WholeURL    string // of the whole texts
	FromOpts    []option
	ToOpts      []option
	Draft       draftForm
	Revise      *reviseForm
	CLI         []string
}

// callout is a note over the page.
type callout struct{ Class, Icon, Head, Text string }

type ruleChange struct {
	What, Before, After string
	Pill                pill
}

type moveRow struct {
	Name, Note    string
	Before, After stamp
	Moved, Now    bool
}

// hunk is a run of lines with something changed in it.
type hunk struct {
	Title string // the keys that it stands under
	Rows  []diffRow
}

// diffRow is a line on both sides; Class is ctx, edit, del or add.
type diffRow struct {
	Class      string
	OldN, NewN int // 0 = not on that side
	Old, New   []part
}

// aroundLines is how many equal lines a hunk shows before and after a change.
const aroundLines = 3

// diff is the comparison of two versions, or with to=draft the form to write
// a draft in.
func (s *server) diff(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, ok1 := versionOf(q.Get("from"))
	to, ok2 := versionOf(q.Get("to"))
	if q.Get("to") == "draft" {
		s.draftPage(w, r, from)
		return
	}
	if !ok1 || !ok2 {
		s.missing(w, r)
		return
	}
	d, err := s.Rollouts.ComparePlans(r.Context(), r.PathValue("plan"), from, to)
	if err != nil {
		s.planFailed(w, r, err)
		return
	}
	s.showDiff(w, r, http.StatusOK, d, q.Get("whole") == "1", "")
}

// versionOf reads a version of a query; nothing is 0, the latest.
func versionOf(text string) (int, bool) {
	if text == "" {
		return 0, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

// showDiff renders a comparison; problem is why it was not put in force.
func (s *server) showDiff(w http.ResponseWriter, r *http.Request, status int, d controller.PlanDiff, whole bool, problem string) {
	who, now := visitOf(r.Context()), s.Now()
	b := diffBody{Name: d.Plan, From: sideName(d.From), To: sideName(d.To), FromN: d.From.Number, ToN: d.To.Number, Compared: true,
		Same: d.Text == "", Readable: d.Compared, Pill: diffPill(d), Lead: diffLead(d, now), Whole: whole}
	for _, c := range d.Changes {
		b.Changes = append(b.Changes, ruleChange{What: c.What, Before: c.Before, After: c.After, Pill: effect(c)})
	}
	b.Before, b.Callout = beforeIt(d), diffCallout(d)
	b.Calendar, b.EndNote = moveRows(d, now)
	b.Gone, b.Fresh = elsewhere(d.From.Source, d.Gone), elsewhere(d.To.Source, d.Fresh)
	b.Hunks = hunks(d.From.Source, d.To.Source, whole)
	if d.To.Number > 0 {
		b.ChangedURL = diffURL(d.Plan, d.From.Number, d.To.Number)
		b.WholeURL = b.ChangedURL + "&whole=1"
	}
	s.diffForms(&b, d, who, problem)
	b.CLI = diffCLI(d)
	s.choices(r, &b)
	s.render(w, r, status, "plandiff", page{Title: d.Plan + ", " + strings.ToLower(b.From) + " to " + strings.ToLower(b.To),
		Section: "plans", Crumb: d.Plan, CrumbURL: planURL(d.Plan, 0), Body: b})
}

// elsewhere are findings in a text that the page does not show line by line.
func elsewhere(source string, problems []plan.Problem) []finding {
	_, found := planLines(source, problems)
	for i := range found {
		found[i].URL = ""
	}
	return errorsFirst(found)
}

// choices lists the versions that can be compared.
func (s *server) choices(r *http.Request, b *diffBody) {
	p, err := s.Rollouts.Plan(r.Context(), b.Name, 0)
	if err != nil {
		s.Logger.Error("read versions", "plan", b.Name, "error", err)
		return
	}
	for _, v := range p.Versions {
		n := strconv.Itoa(v.Number)
		b.FromOpts = append(b.FromOpts, option{n, "version " + n, v.Number == b.FromN})
		b.ToOpts = append(b.ToOpts, option{n, "version " + n, v.Number == b.ToN})
	}
	b.ToOpts = append(b.ToOpts, option{"draft", "a draft", b.ToN == 0})
}

func sideName(side controller.PlanSide) string {
	if side.Number == 0 {
		return "Draft"
	}
	return "Version " + strconv.Itoa(side.Number)
}

// diffPill is the comparison in one pill.
func diffPill(d controller.PlanDiff) pill {
	r := d.Revision
	switch {
	case d.Text == "":
		return pill{"wait", "dot", "No change"}
	case d.To.Check.Errors > 0:
		return pill{"fail", "fail", "Has errors"}
	case r != nil && r.Same:
		return pill{"info", "pass", "In force"}
	case r != nil && !r.Possible:
		return pill{"fail", "lock", "Cannot apply"}
	case r != nil && r.Looser && !r.Approved, r == nil && d.Looser:
		return pill{"warn", "warn", map[bool]string{true: "Needs approval", false: "Looser"}[r != nil]}
	}
	return pill{"pass", "pass", "Not looser"}
}

// diffLead says where the rollout stands that this is about.
func diffLead(d controller.PlanDiff, now time.Time) string {
	var parts []string
	if !d.To.At.IsZero() {
		parts = append(parts, fmt.Sprintf("Version %d was stored %s.", d.To.Number, ago(d.To.At, now)))
	}
	switch r := d.Revision; {
	case r == nil:
		parts = append(parts, "No rollout of this plan is under way.")
	case r.Stage == "":
		parts = append(parts, r.Rollout+" has not started.")
	default:
		parts = append(parts, fmt.Sprintf("%s is at %s, in stage %s.", r.Rollout, percent(r.Exposure), r.Stage))
	}
	return strings.Join(parts, " ")
}

// diffCallout says what putting it in force resets, or why it cannot be.
func diffCallout(d controller.PlanDiff) callout {
	r := d.Revision
	switch {
	case r == nil || r.Same || d.Text == "" && r.Possible:
		return callout{}
	case !r.Possible:
		return callout{"fail", "lock", r.Rollout + " cannot take it in flight", "What is past or fixed must stay as it was, and lint must find no error. Mend what is listed below and compare again."}
	}
	text := upper(strings.Join(r.Resets, "; ")) + "."
	head := "Applying starts nothing again"
	if r.Stage != "" {
		head = "Applying starts the current stage again"
		text = percent(r.Exposure) + " stays for the same users. " + text
	}
	for _, m := range d.Calendar {
		if m.Moved && !m.Now && !m.Before.IsZero() && !m.After.IsZero() {
			text += fmt.Sprintf(" %s moves from %s to %s.", m.Stage, m.Before.Format("Mon 15:04"), m.After.Format("Mon 15:04"))
			break
		}
	}
	if len(d.Unchanged) > 0 {
		text += " Evidence of rules that did not change is kept."
	}
	return callout{"warn", "warn", head, text}
}

// effect is what a change does, in one pill.
func effect(c plan.Change) pill {
	last := c.What[strings.LastIndexByte(c.What, ' ')+1:]
	switch {
	case c.Looser:
		return pill{"warn", "warn", "Looser"}
	case last == "checks" || last == "owner":
		return pill{"info", "person", "Who is told"}
	case last == "at" || last == "early" || last == "calendar":
		return pill{"info", "wait", "Calendar"}
	case c.Before == "":
		return pill{"pass", "pass", "Added"}
	}
	return pill{"pass", "pass", "Stricter"}
}

// beforeIt lists what must be so before the newer side applies.
func beforeIt(d controller.PlanDiff) []criterion {
	lint := criterion{Class: "pass", Icon: "pass", Text: "Lint: " + plural(int64(d.To.Check.Errors), "error") + ", " + plural(int64(d.To.Check.Warnings), "warning")}
	if d.To.Check.Errors > 0 {
		lint.Class, lint.Icon = "fail", "fail"
	}
	if n, m := len(d.Fresh), len(d.Gone); n > 0 || m > 0 {
		lint.Value = fmt.Sprintf("%d new, %d gone", n, m)
	}
	out := []criterion{lint}
	r := d.Revision
	if r == nil || r.Same {
		return out
	}
	fixed := criterion{Class: "pass", Icon: "pass", Text: "Flag key and hash salt unchanged"}
	past := criterion{Class: "pass", Icon: "pass", Text: "No stage is past yet"}
	if len(r.Past) > 0 {
		past.Text = "Past stages untouched: " + strings.Join(r.Past, ", ")
	}
	for _, p := range r.Problems {
		if p.Code != "E17" {
			continue
		}
		line := criterion{Class: "fail", Icon: "fail", Text: upper(p.What) + ": " + p.Fix, Value: "line " + strconv.Itoa(p.Line)}
		if strings.HasPrefix(p.What, "stage ") {
			past = line
		} else {
			fixed = line
		}
		out = append(out, line)
	}
	if past.Class == "pass" {
		out = append(out, past)
	}
	if fixed.Class == "pass" {
		out = append(out, fixed)
	}
	if len(r.Revise) > 0 {
		out = append(out, criterion{Class: "wait", Icon: "person", Text: "A revision by " + strings.Join(r.Revise, " or ")})
	}
	if r.Looser {
		out = append(out, looserLine(d, r))
	}
	return out
}

// looserLine is the approval that a looser revision needs.
func looserLine(d controller.PlanDiff, r *controller.Revision) criterion {
	n := 0
	for _, c := range d.Changes {
		n += b2i(c.Looser)
	}
	line := criterion{Class: "warn", Icon: "hand", Text: plural(int64(n), "looser change") + ": an approval too", Value: "not given"}
	if n == 0 {
		line.Text = "Looser than the plan in force: an approval too"
	}
	if len(r.Approve) > 0 {
		line.Text += ", by " + strings.Join(r.Approve, " or ")
	}
	if r.Approved {
		line.Class, line.Icon, line.Value = "pass", "pass", "given"
	}
	return line
}

// moveRows are the stages at their earliest, and what that means for the end.
func moveRows(d controller.PlanDiff, now time.Time) ([]moveRow, string) {
	var out []moveRow
	for _, m := range d.Calendar {
		row := moveRow{Name: percent(m.Traffic), Note: m.Stage, Before: onDay(m.Before, now), After: onDay(m.After, now), Moved: m.Moved, Now: m.Now}
		out = append(out, row)
	}
	a, b := d.From.End, d.To.End
	if !a.IsZero() || !b.IsZero() {
		out = append(out, moveRow{Name: "Clean-up", Before: onDay(a, now), After: onDay(b, now), Moved: !a.Equal(b)})
	}
	switch {
	case a.IsZero() || b.IsZero():
		return out, "Times in UTC, at the earliest."
	case b.After(a):
		return out, "Ends " + days24(b.Sub(a)) + " later, at the earliest. Times in UTC."
	case a.After(b):
		return out, "Ends " + days24(a.Sub(b)) + " earlier, at the earliest. Times in UTC."
	}
	return out, "Ends at the same time, at the earliest. Times in UTC."
}

// hunks are the changed lines of two texts side by side, or all lines.
func hunks(before, after string, whole bool) []hunk {
	lines := plan.DiffLines([]byte(before), []byte(after))
	cut := plan.Hunks(lines, aroundLines)
	if whole && len(cut) > 0 {
		cut = [][]plan.Line{lines}
	}
	out := make([]hunk, 0, len(cut))
	for _, h := range cut {
		title := ""
		if !whole {
			title = under(lines, h)
		}
		out = append(out, hunk{title, sideBySide(h)})
	}
	return out
}

// sideBySide pairs the removed lines of a change with the added ones.
func sideBySide(lines []plan.Line) []diffRow {
	var out []diffRow
	for i := 0; i < len(lines); {
		l := lines[i]
		if l.Kind == plan.Same {
			text := clean(l.Text)
			out = append(out, diffRow{"ctx", l.Old, l.New, text, text})
			i++
			continue
		}
		gone := i
		for gone < len(lines) && lines[gone].Kind == plan.Removed {
			gone++
		}
		end := gone
		for end < len(lines) && lines[end].Kind == plan.Added {
			end++
		}
		out = append(out, paired(lines[i:gone], lines[gone:end])...)
		i = end
	}
	return out
}

func paired(gone, fresh []plan.Line) []diffRow {
	var out []diffRow
	for i := range max(len(gone), len(fresh)) {
		switch {
		case i >= len(fresh):
			out = append(out, diffRow{Class: "del", OldN: gone[i].Old, Old: clean(gone[i].Text)})
		case i >= len(gone):
			out = append(out, diffRow{Class: "add", NewN: fresh[i].New, New: clean(fresh[i].Text)})
		default:
			a, b := differing(valid(gone[i].Text), valid(fresh[i].Text))
			out = append(out, diffRow{"edit", gone[i].Old, fresh[i].New, a, b})
		}
	}
	return out
}

func clean(text string) []part { return []part{{"", valid(text)}} }

func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// The keys that tell where in a plan a line stands.
var (
	topKey   = regexp.MustCompile(`^([a-z_]+):`)
	stageKey = regexp.MustCompile(`^\s*- (?:\{ *)?stage: *([a-z][a-z0-9-]*)`)
)

// under is where the first change of a hunk stands: "stages: canary".
func under(all, h []plan.Line) string {
	first := slices.IndexFunc(h, func(l plan.Line) bool { return l.Kind != plan.Same })
	key, stage := "", ""
	for i := range all {
		if m := topKey.FindStringSubmatch(all[i].Text); m != nil {
			key, stage = m[1], ""
		}
		if m := stageKey.FindStringSubmatch(all[i].Text); m != nil && key == "stages" {
			stage = m[1]
		}
		if &all[i] == &h[first] {
			break
		}
	}
	if stage != "" {
		return key + ": " + stage
	}
	return key
}

func diffCLI(d controller.PlanDiff) []string {
	line := fmt.Sprintf("serin plan diff %s --from %d", d.Plan, d.From.Number)
	if d.To.Number == 0 {
		line += " --plan draft.yaml"
	} else {
		line += fmt.Sprintf(" --to %d", d.To.Number)
	}
	out := []string{line}
	if r := d.Revision; r != nil && r.Possible {
		out = append(out, fmt.Sprintf("serin rollout revise %s --plan draft.yaml --version %d", r.Rollout, r.Version))
	}
	return out
}

// planPath is the path of a plan's page, for forms.
func planPath(name string) string { return "/plans/" + url.PathEscape(name) }
