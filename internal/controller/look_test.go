package controller_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/notify"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// exposure checks the share on new of 1,000 evaluations, of users who are not
// those of the telemetry: ±2.5 points, exact at 0 and 100 %.
func (r *rig) exposure(percent float64) {
	r.Helper()
	var got float64
	for n := range 1000 {
		if r.evaluate(fmt.Sprintf("visitor-%d", n)) == r.world.newName() {
			got += 0.1
		}
	}
	got = math.Round(got*10) / 10
	tolerance := 2.5
	if percent == 0 || percent == 100 {
		tolerance = 0
	}
	if math.Abs(got-percent) > tolerance {
		r.Errorf("%s: exposure is %.1f %%, want %v %%", r.now(), got, percent)
	}
}

// now is the time since T as "2:30".
func (r *rig) now() string { return elapsed(time.Since(r.begin)) }

func elapsed(d time.Duration) string {
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// option changes a command.
type option func(*rollout.Command)

func reason(text string) option  { return func(c *rollout.Command) { c.Reason = text } }
func cause(text string) option   { return func(c *rollout.Command) { c.Cause = text } }
func to(stage string) option     { return func(c *rollout.Command) { c.To = stage } }
func commandID(id string) option { return func(c *rollout.Command) { c.ID = id } }
func item(text string) option    { return func(c *rollout.Command) { c.Item = text } }
func release(v, commit string) option {
	return func(c *rollout.Command) { c.Release, c.Commit = v, commit }
}
func percent(p flag.Percent) option { return func(c *rollout.Command) { c.Percent = p } }

// as gives a command in a role, with the last version seen.
func (r *rig) as(role string, verb rollout.Verb, options ...option) (controller.Result, error) {
	r.Helper()
	v := r.view()
	cmd := rollout.Command{Verb: verb, Via: "api", Version: v.Version}
	for _, o := range options {
		o(&cmd)
	}
	if err := r.c.Authorize(r.Context(), r.name, controller.Actor{Name: role, Role: role}, &cmd); err != nil {
		return controller.Result{}, err
	}
	res, err := r.c.Do(r.Context(), r.name, cmd)
	synctest.Wait()
	return res, err
}

// lead gives a command that must be done.
func (r *rig) lead(verb rollout.Verb, options ...option) controller.Result {
	r.Helper()
	res, err := r.as("lead", verb, options...)
	if err != nil {
		r.Errorf("%s: lead: %s: %v", r.now(), verb, err)
	}
	return res
}

// refused gives a command that must be refused with an HTTP status, for a
// reason that contains why.
func (r *rig) refused(status int, why string, role string, verb rollout.Verb, options ...option) {
	r.Helper()
	_, err := r.as(role, verb, options...)
	if got := statusOf(err); got != status {
		r.Errorf("%s: %s: %s: got %d (%v), want %d", r.now(), role, verb, got, err, status)
	} else if !strings.Contains(err.Error(), why) {
		r.Errorf("%s: %s: %s: refused because %q, want it to say %q", r.now(), role, verb, err, why)
	}
}

// statusOf is the HTTP status that an error of a command becomes.
func statusOf(err error) int {
	refusal, ok := rollout.AsRefusal(err)
	var problems plan.Problems
	switch {
	case err == nil:
		return 200
	case errors.As(err, &problems) && !ok:
		return 422
	case !ok:
		return 500
	case refusal.Kind == rollout.Forbidden:
		return 403
	case refusal.Kind == rollout.Missing:
		return 422
	}
	return 409
}

// revise puts a changed plan in force.
func (r *rig) revise(edits ...string) {
	r.Helper()
	source := edited(r.T, r.source, edits...)
	cmd := rollout.Command{Verb: rollout.Revise, Via: "api", Version: r.view().Version}
	err := r.c.Authorize(r.Context(), "rig", controller.Actor{Name: "lead", Role: "lead"}, &cmd)
	if err == nil {
		_, err = r.c.Revise(r.Context(), "rig", []byte(source), cmd)
	}
	if err != nil {
		r.Errorf("%s: revise: %v", r.now(), err)
		return
	}
	r.source = source
	synctest.Wait()
}

// verdict is the newest one of a rule of a list.
func (r *rig) verdict(list []judge.Verdict, rule string) judge.Verdict {
	r.Helper()
	for _, v := range list {
		if v.Rule == rule {
			return v
		}
	}
	r.Errorf("%s: no verdict of %q", r.now(), rule)
	return judge.Verdict{}
}

func (r *rig) view() controller.View {
	r.Helper()
	v, err := r.c.View(r.Context(), r.name)
	if err != nil {
		r.Fatal(err)
	}
	return v
}

// waiting checks the main reason for which the rollout stands still.
func (r *rig) waiting(want string) {
	r.Helper()
	v := r.view()
	if len(v.Waiting) == 0 {
		r.Errorf("%s: %s waits for nothing, want %q", r.now(), v.State.Status, want)
	} else if got := v.Waiting[0].Text; !strings.HasPrefix(got, want) {
		r.Errorf("%s: waiting[0] = %q, want %q", r.now(), got, want)
	}
}

// journal is the rollout's whole journal.
func (r *rig) journal() []rollout.Event {
	r.Helper()
	events, err := r.store.Journal(context.Background(), r.id, 0, 0)
	if err != nil {
		r.Fatal(err)
	}
	return events
}

// of are the events of a type.
func (r *rig) of(t rollout.Type) (out []rollout.Event) {
	for _, e := range r.journal() {
		if e.Type == t {
			out = append(out, e)
		}
	}
	return out
}

// words puts an event into one line, without its time.
func words(e rollout.Event) string {
	out := []string{string(e.Type)}
	add := func(s ...string) { out = append(out, s...) }
	switch e.Type {
	case rollout.Started, rollout.Advanced:
		add(e.To)
	case rollout.Restarted:
		add(e.To, fmt.Sprintf("attempt %d", e.Attempt))
	case rollout.RolledBackEvent:
		add(e.Rule)
	case rollout.ReducedEvent:
		add(e.Exposure.String(), e.Kind)
		add(inWords(e)...)
	case rollout.NoData:
		add(map[bool]string{true: "paged"}[e.Paged])
	case rollout.BlindEvent:
		add(e.Item, map[bool]string{true: "paged"}[e.Paged])
	case rollout.Asked:
		add(strings.Join(e.Red, ", "), map[int]string{2: "again"}[e.N])
	case rollout.DataQuality:
		add(e.Kind, e.To)
	default:
		add(inWords(e)...)
	}
	if e.Overridden {
		add("overridden")
	}
	if e.By != "" && e.Type != rollout.Started {
		add("by " + e.By)
	}
	return strings.Join(strings.Fields(strings.Join(out, " ")), " ")
}

// slack is how far an event may be from the time given for it.
const slack = 5 * time.Minute

// notices compares the titles of the messages that the team accepted.
func (r *rig) notices(want string) {
	r.Helper()
	var got []string
	for _, n := range r.team.messages() {
		got = append(got, n.Title)
	}
	lines := nonEmpty(want)
	same := len(got) == len(lines)
	for i := 0; same && i < len(lines); i++ {
		same = strings.HasPrefix(got[i], lines[i])
	}
	if !same {
		r.Errorf("%s: the team accepted\n  %s\nwant\n  %s", r.now(), strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
	}
}

func nonEmpty(text string) (out []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// receiver is a service that takes notices. It refuses each new one `fails`
// times, for a moment; answer, if not nil, decides in its place.
type receiver struct {
	mu       sync.Mutex // guards the fields below
	fails    int
	tries    map[string]int
	accepted []notify.Notice
	onAccept func(notify.Notice)
	answer   func(ctx context.Context, n notify.Notice, try int) error
}

func (d *receiver) Deliver(ctx context.Context, n notify.Notice) error {
	d.mu.Lock()
	if d.tries == nil {
		d.tries = map[string]int{}
	}
	d.tries[n.ID]++
	try, answer := d.tries[n.ID], d.answer
	var err error
	if try <= d.fails {
		err = &notify.RetryError{Err: errors.New("500 Internal Server Error")}
	}
	d.mu.Unlock()
	if answer != nil {
		err = answer(ctx, n, try)
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accepted = append(d.accepted, n)
	if d.onAccept != nil {
		d.onAccept(n)
	}
	return nil
}

func (d *receiver) messages() []notify.Notice {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]notify.Notice(nil), d.accepted...)
}

// windowed asks for an approval before r25 and a window before r50.
var windowed = []string{"traffic: 25%,", "traffic: 25%, approve: lead,", "traffic: 50%,", "traffic: 50%, at: \"14:30-18:00\","}

// whereTheTimeWent drives a rollout through every kind of standing still.
func (r *rig) whereTheTimeWent() {
	r.Helper()
	r.lead(rollout.Start)
	r.drive("0:30")
	r.silent = true
	r.drive("1:10")
	r.silent = false
	r.drive("1:30")
	r.lead(rollout.Pause)
	r.drive("2:00")
	r.lead(rollout.Resume)
	r.drive("4:00")
	r.lead(rollout.Approve)
	r.drive("5:40")
	r.down()
	r.drive("5:50")
	r.up()
	r.drive("10:55")
}

// singles starts and sends one p1 at each of the times.
func (r *rig) singles(times ...string) {
	r.Helper()
	r.lead(rollout.Start)
	for _, at := range times {
		r.drive(at)
		r.send(r.p1(1)...)
	}
}
