package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/api"
	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/incident"
	"serin/internal/response"
	"serin/internal/rollout"
)

// sourceIncident is the source plan's incident: alert, page, ticket, clocks,
// decision tree.
const sourceIncident = `serin: 1
plan: shop
timezone: UTC
flag: { key: shop }
calendar: { raise: ["daily 00:00-24:00"] }
roles:
  lead: { who: "@lead", may: [start, resume], escalates_to: dev }
  dev: { who: "@dev" }
channels: { team: "webhook:team", page: "pagerduty:main", ticket: "jira:OPS/P1" }
criteria: { ok: [error_rate < 99%] }
stages:
  - { stage: half, traffic: 50%,  bake: 72h, owner: lead, proceed: ok }
  - { stage: full, traffic: 100%, bake: 72h, proceed: ok }
rollback: [p1 > 500 over 6h]
alerts:
  - { alert: Errors, if: errors > 5 over 10m, severity: p1, notify: [page, ticket] }
incident:
  opens: [alert p1]
  decide:
    - { if: p1 > 10 over stage, do: rollback }
    - { if: traffic = 100%, do: hotfix }
    - { if: affected_users < 5, do: hotfix, then: [test in staging, deploy, resume] }
    - { do: reduce 5%, then: [{ set: { flag: debug, to: "on" } }, find the root cause] }
  close: [timeline, root cause, post-mortem]
`

// pagerDouble is the Events API of PagerDuty: what is open, by its key.
type pagerDouble struct {
	mu     sync.Mutex // guards the fields below
	events []string   // action and key
	open   map[string]bool
}

func (p *pagerDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e struct {
		Action  string `json:"event_action"`
		Key     string `json:"dedup_key"`
		Routing string `json:"routing_key"`
	}
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil || e.Routing != "r0ut1ng" || e.Key == "" {
		http.Error(w, `{"status":"invalid event"}`, http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e.Action)
	p.open[e.Key] = e.Action != "resolve"
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, `{"status":"success","dedup_key":%q}`, e.Key)
}

// pages are the actions so far, and how many pages are open.
func (p *pagerDouble) pages() (actions []string, open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, on := range p.open {
		if on {
			open++
		}
	}
	return slices.Clone(p.events), open
}

// ticketDouble is a Jira site: tickets with their comments and where they stand.
type ticketDouble struct {
	mu      sync.Mutex // guards tickets
	tickets []*ticketRow
}

type ticketRow struct {
	label    string
	texts    []json.RawMessage // description, comments
	done     bool
	comments int
}

func (d *ticketDouble) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(t *ticketRow, body []byte) any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			d.mu.Lock()
			defer d.mu.Unlock()
			var n int
			if _, err := fmt.Sscanf(r.PathValue("key"), "OPS-%d", &n); r.PathValue("key") != "" && (err != nil || n < 1 || n > len(d.tickets)) {
				http.Error(w, "{}", http.StatusNotFound)
				return
			}
			var t *ticketRow
			if n > 0 {
				t = d.tickets[n-1]
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(f(t, body))
		})
	}
	handle("POST /rest/api/3/search/jql", func(_ *ticketRow, body []byte) any {
		found := []map[string]string{}
		for i, t := range d.tickets {
			if strings.Contains(string(body), t.label) {
				found = append(found, map[string]string{"key": fmt.Sprintf("OPS-%d", i+1)})
			}
		}
		return map[string]any{"issues": found}
	})
	handle("POST /rest/api/3/issue", func(_ *ticketRow, body []byte) any {
		var in struct {
			Fields struct {
				Labels      []string
				Description json.RawMessage
			}
		}
		_ = json.Unmarshal(body, &in)
		d.tickets = append(d.tickets, &ticketRow{label: in.Fields.Labels[1], texts: []json.RawMessage{in.Fields.Description}})
		return map[string]string{"key": fmt.Sprintf("OPS-%d", len(d.tickets))}
	})
	handle("GET /rest/api/3/issue/{key}", func(t *ticketRow, _ []byte) any {
		return map[string]any{"fields": map[string]any{"description": t.texts[0]}}
	})
	handle("GET /rest/api/3/issue/{key}/comment", func(t *ticketRow, _ []byte) any {
		list := []map[string]any{}
		for _, text := range slices.Backward(t.texts[1:]) {
			list = append(list, map[string]any{"body": text})
		}
		return map[string]any{"comments": list}
	})
	handle("POST /rest/api/3/issue/{key}/comment", func(t *ticketRow, body []byte) any {
		var in struct{ Body json.RawMessage }
		_ = json.Unmarshal(body, &in)
		t.texts, t.comments = append(t.texts, in.Body), t.comments+1
		return map[string]any{}
	})
	handle("GET /rest/api/3/issue/{key}/transitions", func(*ticketRow, []byte) any {
		return map[string]any{"transitions": []map[string]string{{"id": "31", "name": "Done"}}}
	})
	handle("POST /rest/api/3/issue/{key}/transitions", func(t *ticketRow, _ []byte) any {
		t.done = true
		return map[string]any{}
	})
	return mux
}

// standing are the tickets in words.
func (d *ticketDouble) standing() (out []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tickets {
		out = append(out, fmt.Sprintf("%d comments, done %v", t.comments, t.done))
	}
	return out
}

// incidentDesk is a driven server with its doubles.
type incidentDesk struct {
	*driven
	pager   *pagerDouble
	tickets *ticketDouble
	minute  int
}

// incidentOverHTTP plays the source plan's incident for real: telemetry by
// envelopes, people by API and CLI, PagerDuty, Jira and a webhook as doubles,
// and one of each in spite of everything that is told. A second incident of
// the same rollout is mended by a hotfix.
func incidentOverHTTP(t *testing.T, path string) {
	t.Parallel()
	d := newIncidentDesk(t, path)
	id := d.begin()

	d.crash(5)
	d.eventually("five errors are counted", func() error {
		var why struct{ Readings []struct{ Value *float64 } }
		if err := d.ask("lead", http.MethodGet, "/alerts/shop-1.errors/why", nil, &why); err != nil {
			return err
		}
		if len(why.Readings) != 1 || why.Readings[0].Value == nil || *why.Readings[0].Value != 5 {
			return fmt.Errorf("%+v", why)
		}
		return nil
	})
	if all := d.incidents(); len(all) != 0 {
		t.Fatalf("the fifth error opened %+v", all)
	}
	d.crash(1)
	v := d.awaitOpen("INC-1")
	if v.Severity != "p1" || v.Rollout != id || v.Proposed == nil || v.Proposed.Do != incident.Reduce || v.Live.Affected != 5 || v.Live.P1 != 6 {
		t.Errorf("opened as %s of %s, measured %+v, proposed %+v", v.Severity, v.Rollout, v.Live, v.Proposed)
	}
	d.told([]string{"trigger"}, 1, []string{"0 comments, done false"}, "P1 INC-1: opened for shop-1")
	d.visit(5)
	d.told([]string{"trigger"}, 1, []string{"0 comments, done false"}, "P1 INC-1: escalated to dev (@dev): nobody responded in time")
	d.act("INC-1", "acknowledge", nil)
	for range 2 { // the same key: one decision
		d.must(d.ask("lead", http.MethodPost, "/incidents/INC-1/decide", nil, nil, "Idempotency-Key", "once"))
	}
	d.stands(id, rollout.Reduced, 5_000)
	if d.evaluate1("debug") != "on" {
		t.Error("the users on the new variant have no detailed logging")
	}
	d.visit(1)
	d.clocks("INC-1", "respond missed", "decide kept", "act kept")
	d.visit(22)
	d.told([]string{"trigger", "resolve"}, 0, []string{"1 comments, done true"})
	d.refusedWith(id, "INC-1")
	d.act("INC-1", "resolve", map[string]any{"text": "a hit without title"})
	if d.evaluate1("debug") != "off" {
		t.Error("detailed logging goes on after the incident")
	}
	d.resume(id)
	d.stands(id, rollout.Running, 50_000)

	d.visit(2)
	d.crash(6)
	v = d.awaitOpen("INC-2")
	if v.Proposed == nil || v.Proposed.Do != incident.Reduce || v.Live.P1 != 6 { // of this incident alone
		t.Errorf("proposed %+v, measured %+v", v.Proposed, v.Live)
	}
	d.told([]string{"trigger", "resolve", "trigger"}, 1, []string{"1 comments, done true", "0 comments, done false"})
	d.act("INC-2", "decide", map[string]any{"do": "hotfix", "text": "the fix is ready"})
	d.stands(id, rollout.Reduced, 0)
	d.visit(3)
	d.refusedWith(id, "no deployment was reported since the hotfix")
	d.cli("deployed", "--release", "shop@2")
	d.visit(1)
	d.refusedWith(id, "INC-2")
	d.act("INC-2", "resolve", map[string]any{"text": "a hit without title, once more"})
	d.resume(id)
	d.stands(id, rollout.Running, 50_000)
	d.visit(1)
	d.clocks("INC-2", "respond kept", "decide kept", "act kept")

	d.act("INC-1", "item", map[string]any{"item": "timeline"})
	d.must(d.ask("lead", http.MethodPut, "/incidents/INC-1/postmortem", map[string]any{"text": "- Contract test (dev)"}, nil))
	d.act("INC-1", "close", nil)
	d.reads("INC-1", "Users affected: 5 of", "P1: 6", "lead decided reduce 5%", "escalated to dev (@dev)", "flag debug set to on", "alert is over: Errors", "traffic is 50%: running",
		"a hit without title", "- Contract test (dev)")
	d.readsNot("INC-1", "shop@2", "traffic is 0%")
	d.reads("INC-2", "lead decided hotfix: the fix is ready", "the tree proposed reduce 5%", "release shop@2 is deployed", "traffic is 0%: reduced", "traffic is 50%: running")
	d.must(d.drive(d.now))
	if len(d.hook.problems)+len(d.hook.repeated) > 0 {
		t.Errorf("the webhook: %v, repeated %v", d.hook.problems, d.hook.repeated)
	}
}

func newIncidentDesk(t *testing.T, path string) *incidentDesk {
	d := &incidentDesk{driven: newDriven(t, path, "shop", scenarioBegin.Add(tickSecond-warmUp)), pager: &pagerDouble{open: map[string]bool{}}, tickets: &ticketDouble{},
		minute: -int(warmUp / time.Minute)}
	pager, site := httptest.NewServer(d.pager), httptest.NewServer(d.tickets.handler())
	t.Cleanup(pager.Close)
	t.Cleanup(site.Close)
	config, err := os.ReadFile(d.file("serin.yaml"))
	d.must(err)
	config = fmt.Appendf(config, "pagerduty: { main: { key: r0ut1ng, url: %q } }\njira: { url: %q, email: bot@example.com, token: t0ken, resolve: Done }\n", pager.URL, site.URL)
	d.must(os.WriteFile(d.file("serin.yaml"), config, 0o600))
	d.must(d.start(""))
	return d
}

// begin starts the rollout with users that are there.
func (d *incidentDesk) begin() string {
	d.Helper()
	d.must(d.ask("admin", http.MethodPut, "/flags/debug", map[string]any{"state": "ENABLED", "defaultVariant": "off", "variants": map[string]bool{"on": true, "off": false}}, nil))
	var made controller.Result
	d.must(d.ask("lead", http.MethodPost, "/rollouts", []byte(sourceIncident), &made))
	d.visit(-d.minute)
	_, err := d.command("lead", made.State.ID, rollout.Start, "", nil)
	d.must(err)
	d.visit(2)
	return made.State.ID
}

func (d *incidentDesk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// visit lets so many minutes go by with users.
func (d *incidentDesk) visit(minutes int) {
	d.Helper()
	for range minutes {
		d.must(d.drive(scenarioBegin.Add(time.Duration(d.minute)*time.Minute + sendSecond)))
		d.must(d.crowd.minute(d.minute))
		d.minute++
		d.must(d.drive(scenarioBegin.Add(time.Duration(d.minute) * time.Minute)))
	}
}

// crash sends P1 errors of as many users on the new variant.
func (d *incidentDesk) crash(n int) {
	d.Helper()
	events, err := d.crowd.p1(n, 0)
	d.must(err)
	d.must(d.crowd.report(events))
}

func (d *incidentDesk) eventually(what string, f func() error) {
	d.Helper()
	eventually(d.T, what, f)
}

func (d *incidentDesk) incidents() (all []response.View) {
	d.Helper()
	d.look("/incidents?all=true", &all)
	return all
}

func (d *incidentDesk) awaitOpen(id string) (v response.View) {
	d.Helper()
	d.eventually(id+" is open", func() error {
		if err := d.ask("lead", http.MethodGet, "/incidents/"+id, nil, &v); err != nil {
			return err
		}
		if v.Status != incident.Open {
			return fmt.Errorf("it is %s", v.Status)
		}
		return nil
	})
	return v
}

// told waits until the services know what they have to know, and no more.
func (d *incidentDesk) told(actions []string, open int, tickets []string, title ...string) {
	d.Helper()
	d.eventually("all are told", func() error {
		paged, n := d.pager.pages()
		diff := cmp.Diff(actions, paged) + cmp.Diff(open, n) + cmp.Diff(tickets, d.tickets.standing())
		for _, want := range title {
			if !slices.Contains(d.hook.titles(), want) {
				diff += fmt.Sprintf("the team was not told %q: %q", want, d.hook.titles())
			}
		}
		if diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

// act does something about an incident as the lead.
func (d *incidentDesk) act(id, verb string, body any) {
	d.Helper()
	if err := d.ask("lead", http.MethodPost, "/incidents/"+id+"/"+verb, body, nil); err != nil {
		d.Fatalf("%s %s: %v", verb, id, err)
	}
}

func (d *incidentDesk) stands(id string, status rollout.Status, exposure flag.Percent) {
	d.Helper()
	if s := d.view(id).State; s.Status != status || s.Exposure != exposure || s.Attempt != 1 {
		d.Errorf("%s at %v in attempt %d, want %s at %v in 1", s.Status, s.Exposure, s.Attempt, status, exposure)
	}
}

// evaluate1 is what a user on the new variant gets of a flag.
func (d *incidentDesk) evaluate1(key string) string {
	d.Helper()
	for n := range crowdSize {
		variant, err := d.evaluate("shop", userName(n))
		d.must(err)
		if variant == "new" {
			variant, err = d.evaluate(key, userName(n))
			d.must(err)
			return variant
		}
	}
	d.Fatal("nobody is on the new variant")
	return ""
}

func (d *incidentDesk) clocks(id string, want ...string) {
	d.Helper()
	d.eventually("the clocks of "+id, func() error {
		var v response.View
		if err := d.ask("lead", http.MethodGet, "/incidents/"+id, nil, &v); err != nil {
			return err
		}
		var got []string
		for _, c := range v.Clocks {
			got = append(got, string(c.Clock)+" "+c.State)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

// refusedWith expects that the rollout cannot be resumed now.
func (d *incidentDesk) refusedWith(id, why string) {
	d.Helper()
	_, err := d.command("lead", id, rollout.Resume, "", nil)
	var no *refusal
	if !errors.As(err, &no) || no.status != http.StatusConflict || !strings.Contains(no.why, why) {
		d.Errorf("resume: %v, want 409 with %q", err, why)
	}
}

func (d *incidentDesk) resume(id string) {
	d.Helper()
	_, err := d.command("lead", id, rollout.Resume, "", nil)
	d.must(err)
}

// cli runs the program's own command line as a pipeline does.
func (d *incidentDesk) cli(args ...string) {
	d.Helper()
	cmd := exec.CommandContext(d.Context(), d.path, args...)
	cmd.Env = []string{"HOME=" + d.dir, "SERIN_URL=" + d.url, "SERIN_TOKEN=" + d.boot.AdminToken}
	if out, err := cmd.CombinedOutput(); err != nil {
		d.Fatalf("serin %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// reads expects texts in a post-mortem, readsNot expects that others are not there.
func (d *incidentDesk) reads(id string, wanted ...string) {
	d.Helper()
	d.finds(id, true, wanted)
}

func (d *incidentDesk) readsNot(id string, unwanted ...string) {
	d.Helper()
	d.finds(id, false, unwanted)
}

func (d *incidentDesk) finds(id string, there bool, texts []string) {
	d.Helper()
	var p api.PostMortem
	d.look("/incidents/"+id+"/postmortem", &p)
	for _, text := range texts {
		if strings.Contains(p.Markdown, text) != there {
			d.Errorf("%q in the post-mortem of %s: %v, want %v:\n%s", text, id, !there, there, p.Markdown)
		}
	}
}
