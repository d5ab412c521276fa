package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/controller"
	"serin/internal/notify"
	"serin/internal/rollout"
	"serin/internal/server"
)

// buildRig builds the program with the tag rig, for the test and its parts.
func buildRig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "serin")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "rig", "-o", path, "serin/cmd/serin").CombinedOutput(); err != nil {
		t.Fatalf("build with the tag rig: %v\n%s", err, out)
	}
	return path
}

// driven is the built program on a clock that the test drives, with a data
// directory that outlives its processes. What it answers with an error that is
// no answer of the program is an errGone: the process is no more.
type driven struct {
	*testing.T
	path, dir string
	env       []string // of the process, besides
	hook      *receiver
	client    *http.Client
	now       time.Time
	boot      server.Bootstrap
	secrets   map[string]string // of the tokens, by role
	crowd     crowd
	starts    []time.Duration // how long each start of the program took

	process  *exec.Cmd
	url, rig string
	ended    chan struct{} // closed when the process is no more
	log      *bytes.Buffer // what it wrote; read it only when it has ended
}

var errGone = errors.New("the process is gone")

// newDriven is a server that is not started yet, at a time.
func newDriven(t *testing.T, path, flagKey string, at time.Time) *driven {
	d := &driven{T: t, path: path, dir: t.TempDir(), now: at, secrets: map[string]string{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
	d.crowd = crowd{d: d, flag: flagKey, every: few, slower: 1}
	d.hook = &receiver{tries: map[string]int{}}
	double := httptest.NewServer(d.hook)
	t.Cleanup(func() {
		if d.process != nil {
			d.kill()
		}
		double.Close()
		d.client.CloseIdleConnections()
	})
	config := fmt.Sprintf("webhooks: { team: { url: %q, secret: whsec_c2NlbmFyaW9zY2VuYXJpb3NjZW5hcmlv, allow_private: true } }\n", double.URL)
	if err := os.WriteFile(d.file("serin.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *driven) file(name string) string { return filepath.Join(d.dir, name) }

// start starts the program at the time that the test has come to; fault is a
// crash point, "" = none.
func (d *driven) start(fault string) error {
	d.Helper()
	began := time.Now()
	d.process = exec.Command(d.path, "serve", "--data", d.file("data"), "--listen", "127.0.0.1:0", "--config", d.file("serin.yaml"), "--log", "error")
	d.process.Env = append([]string{"HOME=" + d.dir, "SERIN_RIG_NOW=" + d.now.Format(time.RFC3339), "SERIN_FAULT=" + fault}, d.env...)
	d.log, d.ended = &bytes.Buffer{}, make(chan struct{})
	d.process.Stderr = d.log
	out, err := d.process.StdoutPipe()
	if err == nil {
		err = d.process.Start()
	}
	if err != nil {
		d.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for found := 0; found < 2 && lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "rig":
			d.rig = strings.TrimSpace(value)
			found++
		case "dashboard":
			d.url = strings.TrimSpace(value)
			found++
		}
	}
	process, ended := d.process, d.ended
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, out) // what it says besides
		_ = process.Wait()
	}()
	d.crowd.forget()
	if err := d.drive(d.now); err != nil {
		return err
	}
	d.starts = append(d.starts, time.Since(began))
	return d.signIn()
}

// signIn reads the first tokens and makes those of the roles.
func (d *driven) signIn() error {
	if d.boot.AdminToken != "" {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(d.file("data"), server.BootstrapFile))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &d.boot); err != nil {
		return err
	}
	d.secrets["admin"] = d.boot.AdminToken
	for _, role := range []string{"lead", "dev"} {
		var made struct{ Secret string }
		if err := d.ask("admin", http.MethodPost, "/tokens", map[string]any{"name": role, "role": role, "scopes": []string{"read", "operate", "approve"}}, &made); err != nil {
			return err
		}
		d.secrets[role] = made.Secret
	}
	return nil
}

// kill is SIGKILL.
func (d *driven) kill() {
	d.Helper()
	if err := d.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.Errorf("kill: %v", err)
	}
	d.buried()
}

// buried waits for the end of a process that was killed.
func (d *driven) buried() {
	d.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.Fatalf("the process that was to be killed runs on")
	}
	d.process = nil
	d.client.CloseIdleConnections()
}

// request does one request. A failure of the connection is an errGone.
func (d *driven) request(method, url string, body []byte, header ...string) (answer, error) {
	req, err := http.NewRequestWithContext(d.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errGone, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errGone, err)
	}
	return answer{resp.StatusCode, resp.Header, data}, nil
}

// drive moves the server's clock, from timer to timer.
func (d *driven) drive(to time.Time) error {
	body, _ := json.Marshal(map[string]time.Time{"to": to})
	a, err := d.request(http.MethodPost, d.rig+"/rig/clock", body)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("drive to %s: %d %s", to, a.status, a.body)
	}
	if err == nil {
		d.now = to
	}
	return err
}

// refusal is an answer of the API that is no success.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.status, r.why) }

// ask calls the operator API with the token of a role. A body of []byte is a
// plan file.
func (d *driven) ask(role, method, path string, body, out any, header ...string) error {
	kind, data := "application/yaml", []byte(nil)
	switch b := body.(type) {
	case nil:
	case []byte:
		data = b
	default:
		kind = "application/json"
		var err error
		if data, err = json.Marshal(b); err != nil {
			return err
		}
	}
	a, err := d.request(method, d.url+"/api/v1"+path, data, append(header, "Authorization", "Bearer "+d.secrets[role], "Content-Type", kind)...)
	if err != nil {
		return err
	}
	if a.status/100 != 2 {
		return &refusal{a.status, a.detail()}
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = a.body
		return nil
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(a.body, out)
}

// look is ask for what can always be read.
func (d *driven) look(path string, out any) {
	d.Helper()
	if err := d.ask("lead", http.MethodGet, path, nil, out); err != nil {
		d.Fatalf("GET %s: %v", path, err)
	}
}

func (d *driven) view(id string) (v controller.View) {
	d.Helper()
	d.look("/rollouts/"+id, &v)
	return v
}

func (d *driven) journal(id string) (events []rollout.Event) {
	d.Helper()
	d.look("/rollouts/"+id+"/journal?limit=10000", &events)
	return events
}

// command gives a command as a role, with the version that is there now. Its
// key makes it one command, however often it is given.
func (d *driven) command(role, id string, verb rollout.Verb, key string, fields map[string]any) (controller.Result, error) {
	body := map[string]any{}
	for k, v := range fields {
		body[k] = v
	}
	if _, given := body["version"]; !given && !verb.Lowers() {
		var v controller.View
		if err := d.ask(role, http.MethodGet, "/rollouts/"+id, nil, &v); err != nil {
			return controller.Result{}, err
		}
		body["version"] = v.Version
	}
	var header []string
	if key != "" {
		header = []string{"Idempotency-Key", key}
	}
	var r controller.Result
	err := d.ask(role, http.MethodPost, "/rollouts/"+id+"/"+string(verb), body, &r, header...)
	return r, err
}

// evaluate asks for a user's variant by OFREP.
func (d *driven) evaluate(flagKey, user string) (string, error) {
	body, _ := json.Marshal(map[string]any{"context": map[string]string{"targetingKey": user}})
	a, err := d.request(http.MethodPost, d.url+"/ofrep/v1/evaluate/flags/"+flagKey, body, "X-API-Key", d.boot.FlagKey, "Content-Type", "application/json")
	if err != nil {
		return "", err
	}
	var e struct{ Variant string }
	if err := json.Unmarshal(a.body, &e); err != nil || a.status != http.StatusOK {
		return "", fmt.Errorf("evaluate %s: %d %s", flagKey, a.status, a.body)
	}
	return e.Variant, nil
}

// receiver is a double of a team's webhook. It answers 500 so many times to
// each new id.
type receiver struct {
	mu       sync.Mutex // guards the fields below
	fails    int
	tries    map[string]int
	accepted []notify.Notice
	repeated []string // ids that were accepted before
	problems []string
	onAccept func(notify.Notice) // called before a notice is accepted
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var in struct{ Data notify.Notice }
	err := json.NewDecoder(req.Body).Decode(&in)
	n := in.Data
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || n.ID == "" || req.Header.Get("Webhook-Id") != n.ID {
		r.problems = append(r.problems, fmt.Sprintf("a notice with id %q in its head and %q in its body: %v", req.Header.Get("Webhook-Id"), n.ID, err))
	}
	if r.tries[n.ID]++; r.tries[n.ID] <= r.fails {
		http.Error(w, "not now", http.StatusInternalServerError)
		return
	}
	if r.onAccept != nil {
		r.onAccept(n)
	}
	if slices.ContainsFunc(r.accepted, func(a notify.Notice) bool { return a.ID == n.ID }) {
		r.repeated = append(r.repeated, n.ID)
	} else {
		r.accepted = append(r.accepted, n)
	}
}

// titles are those of the notices that were accepted, each id once.
func (r *receiver) titles() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.accepted {
		out = append(out, n.Title)
	}
	return out
}

// pointsOf reads how often each crash point was passed from an answer of the clock.
func pointsOf(t *testing.T, a answer) map[string]int64 {
	t.Helper()
	var in struct{ Points map[string]int64 }
	if err := json.Unmarshal(a.body, &in); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return in.Points
}

// TestDriven is what is tried with the program built with the tag rig:
// scenarioDir over HTTP, SIGKILL at the crash points, the source plan's
// incident, pages that survive a SIGKILL, and what a kill under load would lose if telemetry were acknowledged before it is durable.
func TestDriven(t *testing.T) {
	path := buildRig(t)
	t.Run("scenarios", func(t *testing.T) { scenariosOverHTTP(t, path) })
	t.Run("crashes", func(t *testing.T) { crashAtEveryPoint(t, path) })
	t.Run("pages", func(t *testing.T) { pagesSurvive(t, path) })
	t.Run("incident", func(t *testing.T) { incidentOverHTTP(t, path) })
	t.Run("answered early", func(t *testing.T) { testAnsweredEarly(t, path) })
}

// TestRigIsInNoReleasedBinary: the driven clock and the faults are compiled
// with the tag only.
func TestRigIsInNoReleasedBinary(t *testing.T) {
	files := func(args ...string) []string {
		args = append([]string{"list", "-f", "{{range .GoFiles}}{{$.ImportPath}}/{{.}}\n{{end}}"}, args...)
		out, err := exec.CommandContext(t.Context(), "go", append(args, "serin/...")...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	released := files()
	var added []string
	for _, f := range files("-tags", "rig") {
		if !slices.Contains(released, f) {
			added = append(added, f)
		}
	}
	want := []string{"serin/internal/cli/serve_rig.go", "serin/internal/controller/courier_rig.go", "serin/internal/server/rig.go"}
	if d := cmp.Diff(want, added); d != "" {
		t.Errorf("files that the tag adds (-want +got):\n%s", d)
	}
}
