package controller_test

import (
	"cmp"
	"fmt"
	"math"
	"sync"
	"time"

	"serin/internal/flag"
	"serin/internal/telemetry"
)

// rigLoads are the LCPs of the page loads, ms: load i of user n is at n*6+i.
var rigLoads = sync.OnceValue(func() []float64 {
	out := make([]float64, rigUsers*loads)
	for k := range out {
		p := math.Mod(float64(k)*0.618034, 1)
		z := math.Sqrt2 * math.Erfinv(2*max(p, 1e-9)-1)
		out[k] = 1000 * math.Exp(0.3559+0.5*z)
	}
	return out
})

// world is what users do besides loading pages, and how their telemetry is
// bent. The zero world is the rig's own: everybody may take part, everything
// arrives, pages are "/".
type world struct {
	role       string            // attribute of every user; "" = none
	attributes map[string]string // the same, as telemetry carries it
	onPage     string            // where pages lie; "" = "/"
	variant    string            // name of the new variant; "" = new
	anonymous  int               // percent of the page loads that say neither user nor variant
	newLost    int               // percent of the users on new of whom nothing arrives
	requests   bool              // with each page load come a server request and a query
	usage      bool              // with each page load users log in, and those on new open the feature
	vitals     bool              // page loads tell fcp, cls and tti too
	hours      int               // a user comes in one hour of so many; 0 and 1: every hour
	pace       int               // page loads of a user in an hour, without sessions; 0 = all six, with them
}

func (w *world) newName() string { return cmp.Or(w.variant, "new") }

func (w *world) page() string { return cmp.Or(w.onPage, "/") }

// context is what an application tells about a user when it evaluates.
func (w *world) context(key string) flag.Context {
	c := flag.Context{"targetingKey": key}
	if w.role != "" {
		c["role"] = w.role
	}
	return c
}

// comes reports whether load i of user n is made and arrives.
func (w *world) comes(r *rig, n, i int) bool {
	if w.pace > 0 && (n/r.every+i)%(loads/w.pace) > 0 {
		return false
	}
	if w.hours > 1 && (r.minute/60+warmest/60+n/r.every/loads)%w.hours > 0 {
		return false
	}
	return w.newLost == 0 || n/r.every%100 >= w.newLost || r.variant(n) != w.newName()
}

// besides is what comes with load i of user n.
func (w *world) besides(r *rig, n, i int) (out []telemetry.Event) {
	variant := r.variant(n)
	if w.requests {
		request, query := r.event(telemetry.KindRequest, user(n), variant), r.event(telemetry.KindSpan, user(n), variant)
		request.Op, request.DurationMS, request.Status = "http.server", 80+float64((n+i)%100), 200
		query.Op, query.DurationMS = "db.sql.query", 5+float64((n+i)%20)
		out = append(out, request, query)
	}
	if w.usage {
		login := r.event(telemetry.KindAction, user(n), variant)
		login.Action, login.OK = "login", true
		out = append(out, login)
		if variant == w.newName() {
			opened := r.event(telemetry.KindAction, user(n), variant)
			opened.Action, opened.OK, opened.Page = "open", true, w.page()
			out = append(out, opened)
		}
	}
	return out
}

// traffic is what users send in a minute after T.
func (r *rig) traffic(minute int) (out []telemetry.Event) {
	if r.silent || minute >= r.skip[0] && minute < r.skip[1] {
		return nil
	}
	minute, hour := minute+warmest, r.begin.Add(time.Duration(minute)*time.Minute).Hour()
	if r.office {
		if minute%5 == 0 && r.checkIn {
			out = append(out, telemetry.Event{Kind: telemetry.KindCheckIn, Project: "1", ID: "nightly"})
		}
		if hour < 8 || hour >= 18 {
			return out
		}
	}
	slot := int(hourly / time.Minute)
	i := minute / slot % loads
	for second := minute % slot * 60; second < minute%slot*60+60; second++ {
		for n := second; n < rigUsers; n += slot * 60 {
			if n%r.every > 0 || !r.world.comes(r, n, i) {
				continue
			}
			out = append(out, r.load(n, i))
			out = append(out, r.world.besides(r, n, i)...)
			if i == 0 && r.world.pace == 0 {
				out = append(out, r.session(n, minute/60))
			}
		}
	}
	return out
}

func user(n int) string { return fmt.Sprintf("u%04d", n) }

func (r *rig) load(n, i int) telemetry.Event {
	lcp, variant := rigLoads()[n*loads+i], r.variant(n)
	if variant == r.world.newName() {
		lcp *= r.slower
	}
	e := r.event(telemetry.KindPage, user(n), variant)
	e.Page, e.Measurements = r.world.page(), map[string]float64{"lcp": lcp}
	if r.world.vitals {
		e.Measurements["fcp"], e.Measurements["cls"], e.Measurements["tti"] = lcp/2, 0.05, lcp+300
	}
	if r.world.anonymous > 0 && (n*loads+i)%100 < r.world.anonymous {
		e.User, e.Flags = "", nil
	}
	return e
}

func (r *rig) session(n, hour int) telemetry.Event {
	e := r.event(telemetry.KindSession, user(n), r.variant(n))
	e.Session = &telemetry.Session{ID: fmt.Sprintf("s%d-%d", n, hour), Status: "ok", Count: 1}
	return e
}

func (r *rig) event(kind telemetry.Kind, user, variant string) telemetry.Event {
	r.ids++
	return telemetry.Event{Kind: kind, Project: "1", ID: fmt.Sprintf("e%d", r.ids), User: user,
		Environment: "production", Flags: map[string]string{r.flag: variant}, Attributes: r.world.attributes}
}

// variant is what the service answers for a user.
func (r *rig) variant(n int) string { return r.evaluate(user(n)) }

func (r *rig) evaluate(key string) string {
	rs := r.hub.Current()
	variant := rs.EvaluateAt(r.flag, r.world.context(key), time.Now().Unix()).Variant
	if !r.cutOff {
		r.hub.Served(rs, r.flag)
	}
	return variant
}

// send hands events to the service, which have arrived now.
func (r *rig) send(events ...telemetry.Event) {
	r.Helper()
	now := r.clk.Now()
	for i := range events {
		if events[i].Time.IsZero() {
			events[i].Time = now
		}
		events[i].Received = now
		events[i].Late = now.Sub(events[i].Time) > 10*time.Minute
	}
	if err := r.engine.Accept(r.Context(), events); err != nil {
		r.Fatalf("send: %v", err)
	}
}

// p1 are k serious errors from k different users on new.
func (r *rig) p1(k int) (out []telemetry.Event) {
	for n := 0; n < rigUsers && len(out) < k; n++ {
		if r.variant(n) != r.world.newName() {
			continue
		}
		e := r.event(telemetry.KindError, user(n), r.world.newName())
		e.Level, e.Title, e.Message, e.Tags = "error", "Error: boom", "boom", map[string]string{"severity": "p1"}
		out = append(out, e)
	}
	if len(out) < k {
		r.Fatalf("only %d users on new", len(out))
	}
	return out
}

// onNew are the users who are on new, by evaluation.
func (r *rig) onNew() map[int]bool {
	out := map[int]bool{}
	for n := range rigUsers {
		if r.variant(n) == r.world.newName() {
			out[n] = true
		}
	}
	return out
}
