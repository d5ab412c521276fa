package server_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"serin/internal/clock"
	"serin/internal/config"
	"serin/internal/evidence"
	"serin/internal/health"
	"serin/internal/rollout"
	"serin/internal/server"
	"serin/internal/store/sqlite"
)

// The faults below are real: each reason of /readyz is told because of what
// was done to the server's world.

// readiness asks /readyz for its report.
func (s *site) readiness() (status int, r health.Report) {
	s.t.Helper()
	a := s.must(http.MethodGet, "/readyz", nil, "Accept", "application/json")
	if err := json.Unmarshal(a.body, &r); err != nil {
		s.t.Fatalf("/readyz: %d %s: %v", a.status, a.body, err)
	}
	return a.status, r
}

// tells waits until /readyz tells a reason, with a level, or no longer does
// (level ""), and checks the answer's status and the metric.
func (s *site) tells(name string, level health.Level) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%s is told as %q", name, level), func() error {
		status, r := s.readiness()
		var got health.Level
		for _, reason := range r.Reasons {
			if reason.Name == name {
				got = reason.Level
			}
		}
		if got != level || r.Ready != (status == http.StatusOK) || level == health.Error && r.Ready {
			return fmt.Errorf("%d %+v", status, r)
		}
		return nil
	})
	if want := map[bool]float64{true: 1}[level != ""]; s.metric(`serin_health_reason{reason="`+name+`"}`) != want {
		s.t.Errorf("the metric of %s is not %v", name, want)
	}
}

// runs starts a server on a directory; stop ends it, at the latest with the test.
func runs(t *testing.T, o server.Options) (s *site, stop func()) {
	t.Helper()
	o.Listen, o.Version = "127.0.0.1:0", "test"
	srv, err := server.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("server ended with: %v", err)
		}
	}
	t.Cleanup(stop)
	s = &site{t: t, url: srv.URL()}
	if b := srv.Bootstrap(); b != nil {
		s.boot = *b
	}
	return s, stop
}

// waits makes a second connection wait for the server's writes in place of being
// told that the database is locked.
const waits = "?_pragma=busy_timeout(20000)"

// opened is a second connection to a server's database.
func opened(t *testing.T, dir string) *sql.Conn {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, server.DatabaseFile)+waits)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = conn.Close(), db.Close() })
	return conn
}

func execute(t *testing.T, c *sql.Conn, queries ...string) {
	t.Helper()
	for _, q := range queries {
		if _, err := c.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// TestReadyAfterRecovery: a server on a restored backup takes its rollouts
// down before it serves anybody; until then it says that it is starting, and
// keeps who asks for more waiting.
func TestReadyAfterRecovery(t *testing.T) {
	dir := t.TempDir()
	s, stop := runs(t, server.Options{Data: dir, Clock: clock.Fast(monday, 1)})
	id := s.create(checkoutPlan)
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	s.tells(health.Starting, "")
	stop()
	copied, fresh := filepath.Join(dir, "copy.db"), t.TempDir()
	if err := errors.Join(sqlite.Backup(t.Context(), filepath.Join(dir, server.DatabaseFile), copied, monday),
		sqlite.Restore(t.Context(), copied, filepath.Join(fresh, server.DatabaseFile))); err != nil {
		t.Fatal(err)
	}

	blocked, release := make(chan struct{}), make(chan struct{})
	first := true
	s, _ = runs(t, server.Options{Data: fresh, Clock: clock.Fast(monday.Add(time.Hour), 1), Fault: func(point string) {
		if point == "before commit" && first { // one goroutine decides of the one rollout
			first = false
			close(blocked)
			<-release
		}
	}})
	<-blocked
	s.tells(health.Starting, health.Error)
	if a := s.must(http.MethodGet, "/healthz", nil); a.status != http.StatusOK {
		t.Errorf("alive while it starts: %d", a.status)
	}
	if a := s.must(http.MethodGet, "/readyz", nil); !strings.HasPrefix(string(a.body), "not ready\nerror starting: ") {
		t.Errorf("in text: %s", a.body)
	}
	answered := make(chan answer, 1)
	go func() {
		a, err := s.send(http.MethodGet, "/login", nil)
		if err != nil {
			t.Error(err)
		}
		answered <- a
	}()
	s.tells(health.Starting, health.Error)
	select {
	case a := <-answered:
		t.Errorf("a page was served before the recovery was over: %d", a.status)
	default:
	}
	close(release)
	if a := <-answered; a.status != http.StatusOK {
		t.Errorf("who waited got %d", a.status)
	}
	s.tells(health.Starting, "")
}

// TestReadyStore: a store that cannot write makes the server not ready, for
// any cause; liveness stays.
func TestReadyStore(t *testing.T) {
	dir := t.TempDir()
	s, _ := runs(t, server.Options{Data: dir})
	db := opened(t, dir)
	execute(t, db, "ALTER TABLE meta RENAME TO elsewhere")
	s.tells(health.Store, health.Error)
	if a := s.must(http.MethodGet, "/healthz", nil); a.status != http.StatusOK {
		t.Errorf("liveness: %d", a.status)
	}
	execute(t, db, "ALTER TABLE elsewhere RENAME TO meta")
	s.tells(health.Store, "")
	if s.metric("serin_health_ready") != 1 {
		t.Error("the server is not ready again")
	}
}

// TestReadyFullDisk: a full disk is told as such, and that the reserve went
// for a rollback.
func TestReadyFullDisk(t *testing.T) {
	s := start(t, 1)
	id := s.create(checkoutPlan)
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	s.tells(health.ReserveUsed, "")
	free := fillDisk(t)
	eventually(t, "the disk is full", func() error {
		s.sent++
		if a := s.envelope(errorEnvelope(eventID(s.sent), "u", "newCheckout", true)); a.status == http.StatusOK {
			return errors.New("still room")
		}
		return nil
	})
	s.tells(health.DiskFull, health.Error)
	_ = s.api(http.MethodPost, "/rollouts/"+id+"/rollback", map[string]any{"reason": "users cannot pay"}) // no file grows here, whatever is freed
	s.tells(health.ReserveUsed, health.Warning)
	free()
	s.tells(health.DiskFull, "")
	s.tells(health.ReserveUsed, health.Warning)
}

// TestReadyRoom: warnings about room leave the server ready, and are told by
// the API too; a configuration that is read again makes them go.
func TestReadyRoom(t *testing.T) {
	dir := t.TempDir()
	c := config.Config{Disk: config.Disk{Budget: "256MiB", Warn: 3, Free: "900000TB"}}
	s, _ := runs(t, server.Options{Data: dir, Config: c})
	s.tells(health.DiskLow, health.Warning)
	s.tells(health.StoreBudget, "")
	execute(t, opened(t, dir), "CREATE TABLE filler AS SELECT zeroblob(9000000)")
	s.tells(health.StoreBudget, health.Warning)
	var r struct {
		Level    string
		Used     int64
		Warnings []struct{ Kind string }
	}
	s.ask(http.MethodGet, "/storage", nil, &r)
	if r.Level != "warning" || r.Used < 9_000_000 || len(r.Warnings) != 2 {
		t.Errorf("GET /storage: %+v", r)
	}
	if used := s.metric("serin_store_bytes"); used < 9_000_000 || s.metric("serin_store_budget_bytes") != 256<<20 || s.metric("serin_disk_free_bytes") <= 0 {
		t.Errorf("metrics: %v bytes used", used)
	}
}

// TestReadyQueue: telemetry that is refused is told of.
func TestReadyQueue(t *testing.T) {
	dir := t.TempDir()
	s, _ := runs(t, server.Options{Data: dir, Limits: evidence.Limits{Queue: 2, Group: 1}})
	s.tells(health.Queue, "")
	db := opened(t, dir)
	execute(t, db, "BEGIN IMMEDIATE")
	answers := make(chan int, 20)
	for n := range cap(answers) {
		go func() {
			a, err := s.send(http.MethodPost, "/api/"+s.boot.Project+"/envelope/?sentry_key="+s.boot.PublicKey, errorEnvelope(eventID(n), "u", "f", true))
			if err != nil {
				t.Error(err)
			}
			answers <- a.status
		}()
	}
	codes := []int{<-answers} // the store stands still: what is answered is refused
	execute(t, db, "ROLLBACK")
	for len(codes) < cap(answers) {
		codes = append(codes, <-answers)
	}
	if !slices.Contains(codes, http.StatusTooManyRequests) {
		t.Fatalf("nothing was refused: %v", codes)
	}
	s.tells(health.Queue, health.Warning)
	if s.metric("serin_health_ready") != 1 {
		t.Error("an overload took the server out of service")
	}
}

// TestReadyPlan: a rollout whose plan cannot be read is told of, without its name.
func TestReadyPlan(t *testing.T) {
	dir := t.TempDir()
	s, stop := runs(t, server.Options{Data: dir})
	s.create(checkoutPlan)
	s.tells(health.Plan, "")
	stop()
	execute(t, opened(t, dir), "UPDATE plan_source SET source = 'serin: 99'")
	s, _ = runs(t, server.Options{Data: dir})
	s.tells(health.Plan, health.Warning)
	if a := s.must(http.MethodGet, "/readyz", nil); strings.Contains(string(a.body), "checkout") {
		t.Errorf("everybody is told the rollout's name: %s", a.body)
	}
}

// TestReadyClock: the clock is set back.
func TestReadyClock(t *testing.T) {
	c := clock.NewManual(monday)
	s, _ := runs(t, server.Options{Data: t.TempDir(), Clock: c})
	s.tells(health.ClockBack, "")
	c.Step(-time.Hour)
	s.tells(health.ClockBack, health.Warning)
	c.Step(time.Hour + time.Minute)
	s.tells(health.ClockBack, "")
}

// TestReadyOutbox: a receiver that is down for a quarter of an hour.
func TestReadyOutbox(t *testing.T) {
	down := httptest.NewServer(http.NotFoundHandler())
	c := clock.NewManual(monday)
	s, _ := runs(t, server.Options{Data: t.TempDir(), Clock: c, Config: config.Config{Webhooks: map[string]config.Webhook{
		"team": {URL: down.URL, Secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", AllowPrivate: true}}}})
	down.Close()
	id := s.create(checkoutPlan + "channels: { team: \"webhook:team\" }\n")
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	eventually(t, "a notice was tried", func() error {
		var notices []struct{ Tries int }
		s.ask(http.MethodGet, "/rollouts/"+id+"/notices", nil, &notices)
		for _, n := range notices {
			if n.Tries > 0 {
				return nil
			}
		}
		return fmt.Errorf("%+v", notices)
	})
	s.tells(health.Outbox, "")
	c.Advance(16 * time.Minute)
	s.tells(health.Outbox, health.Warning)
}
