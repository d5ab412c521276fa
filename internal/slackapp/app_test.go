package slackapp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/notify"
	"serin/internal/notify/slack"
	"serin/internal/notify/slack/slacktest"
	"serin/internal/rollout"
	"serin/internal/slackapp"
	"serin/internal/store"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

const (
	secret = "signing-secret"
	pause  = 50 * time.Millisecond // before another connection
)

// rollouts is a controller of one rollout, demo-1, which answers a repeated
// command as the state machine does.
type rollouts struct {
	mu      sync.Mutex
	version int64
	done    []rollout.Command
	refuse  *rollout.Refusal
}

func (r *rollouts) View(_ context.Context, id string) (controller.View, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id != "demo-1" && id != "demo" {
		return controller.View{}, store.ErrNotFound
	}
	return controller.View{ID: "demo-1", Project: "1", Plan: "demo", Version: r.version, Exposure: 25,
		State: rollout.State{ID: "demo-1", Status: rollout.Running, Version: r.version}, Stages: []controller.StageView{{Name: "25%"}},
		Waiting: []rollout.Waiting{{Kind: "bake", Text: "bake 1h/2h <now>"}}}, nil
}

func (r *rollouts) Views(ctx context.Context) ([]controller.View, error) {
	v, err := r.View(ctx, "demo-1")
	return []controller.View{v}, err
}

func (r *rollouts) Authorize(_ context.Context, _ string, a controller.Actor, cmd *rollout.Command) error {
	cmd.By, cmd.Role = a.Name, "team-lead"
	return nil
}

func (r *rollouts) Do(_ context.Context, _ string, cmd rollout.Command) (controller.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.done {
		if d.ID == cmd.ID {
			return controller.Result{Events: []rollout.Event{{By: d.By, At: start}}}, nil
		}
	}
	switch {
	case r.refuse != nil:
		return controller.Result{}, r.refuse
	case cmd.Version != 0 && cmd.Version != r.version:
		return controller.Result{}, &rollout.Refusal{Kind: rollout.Stale, Why: "the rollout changed meanwhile"}
	}
	r.done = append(r.done, cmd)
	r.version++
	return controller.Result{Events: []rollout.Event{{Type: rollout.Baked, At: start}, {By: cmd.By, At: start}}}, nil
}

func (r *rollouts) Buttons(string) []notify.Action {
	return []notify.Action{{Label: "Roll back", Verb: notify.VerbRollback, Value: notify.Target{Rollout: "demo-1", Version: r.version}.Encode()}}
}

func (r *rollouts) commands() []rollout.Command {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]rollout.Command{}, r.done...)
}

// alerts is an engine with one rule that fires.
type alerts struct {
	mu    sync.Mutex
	acked []store.AuditEntry
	over  bool
}

func (a *alerts) Get(id string) (alerting.View, error) {
	if id != "errors" {
		return alerting.View{}, store.ErrNotFound
	}
	return alerting.View{Rule: alert.Rule{ID: id, Project: "1"}}, nil
}

func (a *alerts) Ack(_ context.Context, _ string, _ alert.Labels, by store.AuditEntry) (alerting.View, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return alerting.View{}, alert.ErrNotFiring
	}
	a.acked = append(a.acked, by)
	return alerting.View{Groups: []alerting.GroupView{{Acked: start, AckedBy: a.acked[0].Who}}}, nil
}

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// rig is the door with a double of Slack and an auth of its own.
type rig struct {
	t        *testing.T
	slack    *slacktest.Server
	app      *slackapp.App
	rollouts *rollouts
	alerts   *alerts
	store    *memory.Store
	auth     *auth.Auth
	mu       sync.Mutex
	events   []telemetry.Event
	n        int
	incident func(ctx context.Context, p auth.Principal, id, verb string) (string, error)
}

// newRig knows anna, an approver who is linked to U1, and ben, a viewer with
// an e-mail address.
func newRig(t *testing.T) *rig {
	r := &rig{t: t, slack: slacktest.New(t), rollouts: &rollouts{version: 7}, alerts: &alerts{}, store: memory.New()}
	r.auth = auth.New(auth.Options{Store: r.store})
	admin := auth.Principal{Name: "root", Scopes: []string{"admin"}}
	for _, p := range []store.Person{{Name: "anna", Role: auth.Approver}, {Name: "ben", Role: auth.Viewer, Email: "ben@example.com"}} {
		if err := r.auth.PutPerson(t.Context(), admin, p); err != nil {
			t.Fatal(err)
		}
	}
	r.link("U1", "anna")
	r.app = r.open()
	return r
}

func (r *rig) link(user, person string) {
	r.t.Helper()
	code, err := r.auth.SlackCode(r.t.Context(), auth.Principal{Name: "root", Scopes: []string{"admin"}}, person)
	if err == nil {
		_, err = r.auth.LinkSlack(r.t.Context(), auth.SlackUser{Team: slacktest.Team, ID: user}, code)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// open starts a server of the app, with both ways in.
func (r *rig) open() *slackapp.App {
	app := slackapp.New(slackapp.Options{Rollouts: r.rollouts, Alerts: r.alerts, People: r.auth, Now: func() time.Time { return start }, BaseURL: "https://serin.example", Pause: pause,
		Accept: func(_ context.Context, e []telemetry.Event) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e...)
			return nil
		},
		Audit: r.store.PutAudit, Incident: r.incident})
	app.Use(slackapp.Connection{Secret: secret, API: slack.NewClient(slack.ClientOptions{Token: slacktest.BotToken, BaseURL: r.slack.API()})})
	ctx, stop := context.WithCancel(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	})
	return app
}

// post sends a signed form to an app and returns the status.
func (r *rig) post(app *slackapp.App, form url.Values) int {
	body := form.Encode()
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	req := httptest.NewRequest(http.MethodPost, "/hooks/slack", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Slack-Request-Timestamp", timestamp)
	req.Header.Set("X-Slack-Signature", slackapp.Sign(secret, timestamp, []byte(body)))
	w := httptest.NewRecorder()
	app.ServeHTTP(w, req)
	return w.Code
}

// press is the payload of a click by user on a button of the message ts.
func (r *rig) press(user, verb string, t notify.Target, ts string) map[string]any {
	r.n++
	return map[string]any{"type": "block_actions", "team": map[string]any{"id": slacktest.Team}, "user": map[string]any{"id": user, "team_id": slacktest.Team, "username": "anna"},
		"trigger_id": "trigger", "response_url": r.slack.Response(fmt.Sprint(r.n)), "channel": map[string]any{"id": "C1"},
		"message": map[string]any{"ts": ts, "blocks": []any{
			map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": "*demo*"}},
			map[string]any{"type": "actions", "elements": []any{map[string]any{"type": "button"}}}}},
		"actions": []any{map[string]any{"action_id": "serin." + verb + ".0", "value": t.Encode(), "action_ts": fmt.Sprint(r.n)}}}
}

func form(t *testing.T, payload any) url.Values {
	t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{"payload": {string(data)}}
}

// answered waits for n answers and returns the last.
func (r *rig) answered(n int) map[string]any {
	r.t.Helper()
	r.slack.Await(fmt.Sprintf("answer %d", n), func() bool { return len(r.slack.Answers()) >= n })
	return r.slack.Answers()[n-1]
}

// click posts a click and returns the answer to it.
func (r *rig) click(user, verb string, t notify.Target, ts string) map[string]any {
	r.t.Helper()
	before := len(r.slack.Answers())
	if code := r.post(r.app, form(r.t, r.press(user, verb, t, ts))); code != http.StatusOK {
		r.t.Fatalf("status %d", code)
	}
	return r.answered(before + 1)
}

var demo = notify.Target{Rollout: "demo-1", Stage: 0, Attempt: 1, Version: 7}

func blocks(answer map[string]any) string {
	data, _ := json.Marshal(answer["blocks"])
	return string(data)
}

// TestApprove: a click is the person's command, and the buttons give way to
// who and when.
func TestApprove(t *testing.T) {
	r := newRig(t)
	got := r.click("U1", "approve", demo, "1.1")
	cmds := r.rollouts.commands()
	if len(cmds) != 1 || cmds[0].Verb != rollout.Approve || cmds[0].By != "anna" || cmds[0].Via != "slack" || cmds[0].Version != 7 || cmds[0].ID == "" {
		t.Fatalf("commands %+v", cmds)
	}
	if got["replace_original"] != true || !strings.Contains(blocks(got), "Approved by anna, 2 Mar 2026 09:00:00 UTC") || strings.Contains(blocks(got), `"actions"`) || !strings.Contains(blocks(got), "*demo*") {
		t.Errorf("the message became %v", got)
	}
}

// TestDoubleClick: one button is one command, whoever presses it, on however
// many servers of the app.
func TestDoubleClick(t *testing.T) {
	r := newRig(t)
	r.link("U3", "anna")
	other := r.open()
	for i, app := range []*slackapp.App{r.app, r.app, other, r.app} {
		if code := r.post(app, form(t, r.press([]string{"U1", "U3"}[i%2], "rollback", demo, "1.1"))); code != http.StatusOK {
			t.Fatalf("status %d", code)
		}
	}
	r.answered(4)
	if cmds := r.rollouts.commands(); len(cmds) != 1 {
		t.Errorf("commands %+v, want one", cmds)
	}
	r.click("U1", "rollback", demo, "2.2")
	if cmds := r.rollouts.commands(); len(cmds) != 2 || cmds[1].Version != 0 {
		t.Errorf("commands %+v, want a second one by another message, and no version where traffic is lowered", cmds)
	}
}

// TestStale: what raises traffic and rests on an old state rewrites the message
// with the new one.
func TestStale(t *testing.T) {
	r := newRig(t)
	r.rollouts.version = 9
	got := r.click("U1", "approve", demo, "1.1")
	if len(r.rollouts.commands()) != 0 || got["replace_original"] != true || !strings.Contains(blocks(got), "demo-1 is running at 25%, stage 25%") ||
		!strings.Contains(blocks(got), `\"version\":9`) || !strings.Contains(blocks(got), "the rollout changed meanwhile") {
		t.Errorf("the message became %v", got)
	}
}

// TestAccept: an accept asks for its reason by a form.
func TestAccept(t *testing.T) {
	r := newRig(t)
	if code := r.post(r.app, form(t, r.press("U1", "accept", demo, "1.1"))); code != http.StatusOK {
		t.Fatal(code)
	}
	r.slack.Await("the form", func() bool { return len(r.slack.Views()) == 1 })
	var view struct {
		Callback string `json:"callback_id"`
		Metadata string `json:"private_metadata"`
	}
	if err := json.Unmarshal(r.slack.Views()[0], &view); err != nil {
		t.Fatal(err)
	}
	sent := map[string]any{"type": "view_submission", "team": map[string]any{"id": slacktest.Team}, "user": map[string]any{"id": "U1"},
		"view": map[string]any{"id": "V1", "callback_id": view.Callback, "private_metadata": view.Metadata,
			"state": map[string]any{"values": map[string]any{"reason": map[string]any{"reason": map[string]any{"value": " looked at the logs "}}}}}}
	if code := r.post(r.app, form(t, sent)); code != http.StatusOK {
		t.Fatal(code)
	}
	got := r.answered(1)
	cmds := r.rollouts.commands()
	if len(cmds) != 1 || cmds[0].Verb != rollout.Accept || cmds[0].Reason != "looked at the logs" || cmds[0].Version != 7 {
		t.Errorf("commands %+v", cmds)
	}
	if !strings.Contains(blocks(got), "Accepted by anna") {
		t.Errorf("the message became %v", got)
	}
}

// TestAcknowledge: what fires is looked after by the linked person, and what
// is over is said to be.
func TestAcknowledge(t *testing.T) {
	r := newRig(t)
	got := r.click("U1", "acknowledge", notify.Target{Alert: "errors"}, "1.1")
	if len(r.alerts.acked) != 1 || r.alerts.acked[0].Who != "anna" || r.alerts.acked[0].Via != "slack" || !strings.Contains(blocks(got), "Acknowledged by anna") {
		t.Errorf("acked %+v, message %v", r.alerts.acked, got)
	}
	r.alerts.over = true
	if got := r.click("U1", "acknowledge", notify.Target{Alert: "errors"}, "2.2"); !strings.Contains(blocks(got), "fires any more") {
		t.Errorf("message %v", got)
	}
}

// TestWho: nobody acts who is not linked, whatever they are called; an address
// that Slack has verified links, and rights are those of the account.
func TestWho(t *testing.T) {
	r := newRig(t)
	r.slack.Emails["U2"] = "Ben@example.com"
	r.slack.Emails["U9"] = "anna@evil.example"
	for user, want := range map[string]string{"U9": "/serin link CODE", "U7": "did not work", "U2": "you lack the scope “operate”"} {
		got := r.click(user, "rollback", demo, "1.1")
		if text, _ := got["text"].(string); got["response_type"] != "ephemeral" || got["replace_original"] != false || !strings.Contains(text, want) {
			t.Errorf("%s is told %v, want %q", user, got, want)
		}
	}
	foreign := r.press("U2", "rollback", demo, "1.1")
	foreign["user"] = map[string]any{"id": "U5", "team_id": "T0OTHER"}
	r.slack.Emails["U5"] = "ben@example.com"
	r.post(r.app, form(t, foreign))
	if got := r.answered(4); !strings.Contains(fmt.Sprint(got["text"]), "not linked") {
		t.Errorf("another workspace's word was taken: %v", got)
	}
	if cmds := r.rollouts.commands(); len(cmds) != 0 {
		t.Errorf("commands %+v, want none", cmds)
	}
	links, err := r.store.SlackLinks(t.Context(), "ben")
	if err != nil || len(links) != 1 || links[0].User != "U2" || links[0].How != auth.SlackByEmail {
		t.Errorf("links of ben %+v, %v", links, err)
	}
}

// say sends a slash command and returns the answer.
func (r *rig) say(user, text string) string {
	r.t.Helper()
	before := len(r.slack.Answers())
	r.n++
	if code := r.post(r.app, slashForm(r, user, text, fmt.Sprint("trigger", r.n))); code != http.StatusOK {
		r.t.Fatalf("status %d", code)
	}
	got := r.answered(before + 1)
	if got["response_type"] != "ephemeral" {
		r.t.Errorf("%q is answered to everybody: %v", text, got)
	}
	return fmt.Sprint(got["text"])
}

func slashForm(r *rig, user, text, trigger string) url.Values {
	return url.Values{"command": {"/serin"}, "text": {text}, "team_id": {slacktest.Team}, "user_id": {user}, "user_name": {"anna"}, "trigger_id": {trigger}, "response_url": {r.slack.Response("s")}}
}

func TestSlash(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct{ text, want string }{
		{"", "/serin status"}, {"help", "/serin link CODE"}, {"dance", "is no command"},
		{"status", "demo-1 is running at 25%, stage 25%; waits: bake 1h/2h &lt;now&gt; <https://serin.example/rollouts/demo-1|open>"},
		{"status demo", "demo-1 is running"}, {"status other", "nothing of that name"}, {"approve demo", "raises no traffic"},
		{"promote demo", "raises no traffic"}, {"record praise u-1 good", "Nothing was recorded"}, {"pause other", "nothing of that name"},
		{"link wrong", "not linked"},
	} {
		if got := strings.ToLower(r.say("U1", tc.text)); !strings.Contains(got, strings.ToLower(tc.want)) {
			t.Errorf("/serin %s: %q, want %q in it", tc.text, got, tc.want)
		}
	}
	if cmds := r.rollouts.commands(); len(cmds) != 0 {
		t.Fatalf("commands %+v, want none", cmds)
	}
	for _, verb := range []string{"pause", "Reduce", "rollback"} {
		r.say("U1", verb+" demo errors rise")
	}
	cmds := r.rollouts.commands()
	if len(cmds) != 3 || cmds[1].Verb != rollout.Reduce || cmds[1].Percent != -1 || cmds[2].Reason != "errors rise" || cmds[2].By != "anna" || cmds[2].Via != "slack" {
		t.Errorf("commands %+v", cmds)
	}
}

// TestRecord: what a user told somebody is one record however often Slack sends it.
func TestRecord(t *testing.T) {
	r := newRig(t)
	if got := r.say("U1", "record critical u-42 the total is wrong"); got != "Recorded: critical." {
		t.Fatalf("answer %q", got)
	}
	r.say("U1", "record revert - please")
	if len(r.events) != 2 || r.events[0].User != "u-42" || r.events[0].Message != "the total is wrong" || r.events[0].Tags["severity"] != "critical" ||
		r.events[0].Tags["recorded_by"] != "anna" || r.events[0].Source != "manual" || r.events[1].User != "" || r.events[1].Tags["kind"] != "revert_request" {
		t.Errorf("events %+v", r.events)
	}
	one, other := slashForm(r, "U1", "record failure u-1 x", "same"), r.open()
	r.post(r.app, one)
	r.post(r.app, one)
	r.post(other, one)
	r.answered(4)
	if len(r.events) != 4 || r.events[2].ID != r.events[3].ID {
		t.Errorf("events %+v, want one a server, of the same id", r.events[2:])
	}
}

// TestLink: a code counts once, for whoever sends it, until it is old.
func TestLink(t *testing.T) {
	r := newRig(t)
	code, err := r.auth.SlackCode(t.Context(), auth.Principal{Name: "ben", Person: "ben", Kind: "session"}, "ben")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.say("U8", "link "+strings.ToLower(code)); !strings.Contains(got, "You are ben") {
		t.Errorf("answer %q", got)
	}
	if got := r.say("U9", "link "+code); !strings.Contains(got, "not linked") {
		t.Errorf("a used code: %q", got)
	}
	if got := r.say("U8", "status"); !strings.Contains(got, "demo-1") {
		t.Errorf("answer %q", got)
	}
	if _, err := r.auth.SlackCode(t.Context(), auth.Principal{Name: "ben", Person: "ben"}, "anna"); err == nil {
		t.Error("ben made a code for anna")
	}
	for range 30 {
		r.say("U9", "link guess")
	}
	if got := r.say("U9", "link guess"); !strings.Contains(got, "Too many wrong codes") {
		t.Errorf("after many guesses: %q", got)
	}
}

// TestIncident: a button of an incident is the person's, where the server has incidents.
func TestIncident(t *testing.T) {
	r := newRig(t)
	if got := r.click("U1", "acknowledge", notify.Target{Incident: "inc-1"}, "1.1"); !strings.Contains(fmt.Sprint(got["text"]), "not available") {
		t.Errorf("without incidents: %v", got)
	}
	r.incident = func(_ context.Context, p auth.Principal, id, verb string) (string, error) {
		if p.Name != "anna" || id != "inc-1" || verb != "acknowledge" {
			return "", fmt.Errorf("%s %s by %s", verb, id, p.Name)
		}
		return "Acknowledged", nil
	}
	r.app = r.open()
	if got := r.click("U1", "acknowledge", notify.Target{Incident: "inc-1"}, "2.2"); !strings.Contains(blocks(got), "Acknowledged by anna") {
		t.Errorf("the message became %v", got)
	}
}
