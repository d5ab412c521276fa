package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/getsentry/sentry-go"
	of "github.com/open-feature/go-sdk/openfeature"

	"serin/openfeature"
)

// How admins and the shop behave when nothing is broken.
const (
	errorRate     = 0.004   // errors a page load, old and new alike
	fatalShare    = 0.25    // of the broken dashboard's errors leave a white page: p1
	surveyRate    = 0.02    // answers a page load
	loginRate     = 0.03    // logins a page load
	complaintRate = 0.00003 // complaints a page load
	brokenError   = "TypeError: Cannot read properties of undefined (reading 'rows')"
)

// visitor is one admin: a browser with its own flag provider and Sentry scope.
type visitor struct {
	d      *demo
	id     string
	random *rand.Rand
	client *of.Client
	hub    *sentry.Hub
	beacon string
	domain string

	mu  sync.Mutex // guards the fields below
	on  bool       // sees the new dashboard
	off time.Time  // when the last switch to the old one was seen
}

func (d *demo) newVisitor(i int) (*visitor, error) {
	id := fmt.Sprintf("admin-%03d", i)
	sc, err := newSentry(d, "shop-web@7.1.0")
	if err != nil {
		return nil, err
	}
	beacon, err := beaconURL(d.DSN)
	if err != nil {
		return nil, err
	}
	v := &visitor{d: d, id: id, random: rand.New(rand.NewPCG(d.Seed, uint64(i))), hub: sentry.NewHub(sc, sentry.NewScope()),
		beacon: beacon, domain: fmt.Sprintf("demo-%d-%s", d.begin.UnixNano(), id)}
	v.hub.Scope().SetUser(sentry.User{ID: id, Data: map[string]string{"role": "admin"}})
	provider := openfeature.NewProvider(openfeature.Options{BaseURL: d.URL, Key: d.FlagKey, HTTPClient: &http.Client{Transport: d.http.Transport}})
	if err := of.SetNamedProviderAndWait(v.domain, provider); err != nil {
		return nil, fmt.Errorf("connect the flag provider: %w", err)
	}
	v.client = of.NewClient(v.domain)
	changed := func(of.EventDetails) { v.look(context.Background()) }
	v.client.AddHandler(of.ProviderConfigChange, &changed)
	return v, nil
}

// beaconURL is where a page posts what the Sentry SDK has no item for.
func beaconURL(dsn string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", fmt.Errorf("read DSN: %w", err)
	}
	return fmt.Sprintf("%s://%s/api%s/beacon/?sentry_key=%s", u.Scheme, u.Host, u.Path, u.User.Username()), nil
}

func (v *visitor) close() {
	_ = of.SetNamedProvider(v.domain, of.NoopProvider{}) // shuts the old one down
}

// look asks for the flag and remembers when the new dashboard went away.
func (v *visitor) look(ctx context.Context) bool {
	on, err := v.client.BooleanValue(ctx, flagKey, false, of.NewEvaluationContext(v.id, map[string]any{"role": "admin"}))
	if err != nil && ctx.Err() == nil {
		v.d.Logger.Debug("evaluate flag", "user", v.id, "err", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.on && !on && err == nil { // the default after an error is no switch
		v.off = time.Now()
	}
	v.on = on
	return on
}

// state returns whether the admin is on the new dashboard and when it last went away.
func (v *visitor) state() (on bool, off time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.on, v.off
}

// run loads the page again and again until ctx ends.
func (v *visitor) run(ctx context.Context) {
	wait := time.Duration(v.random.Int64N(int64(reloadAvg)))
	for {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		v.visit(ctx)
		wait = reloadAvg/2 + time.Duration(v.random.Int64N(int64(reloadAvg)))
	}
}

// visit is one page load.
func (v *visitor) visit(ctx context.Context) {
	on := v.look(ctx)
	broken, err := v.fetch(ctx, on)
	if err != nil {
		return // the shop is closing
	}
	tagArm(v.hub.Scope(), on)
	complaint := complaintRate
	switch {
	case broken && v.random.Float64() < math.Min(errorRate*v.d.Effect, 1):
		v.breakDown()
		complaint = 0.03
	case v.random.Float64() < errorRate:
		v.report("NetworkError", "Failed to fetch /api/avatars", "loadAvatars", sentry.LevelError)
	}
	v.send(ctx, on, complaint)
}

// fetch calls the shop's API; broken says whether the dashboard that was asked for is.
func (v *visitor) fetch(ctx context.Context, on bool) (broken bool, err error) {
	view := "old"
	if on {
		view = "new"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.d.shop.url+"/api/users?user="+v.id+"&view="+view, nil)
	if err != nil {
		return false, err
	}
	resp, err := v.d.http.Do(req)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Broken bool }
	err = json.NewDecoder(resp.Body).Decode(&answer)
	return answer.Broken, err
}

// breakDown is the regression: a widget that throws, now and then so early
// that the page stays white.
func (v *visitor) breakDown() {
	level := sentry.LevelError
	if v.random.Float64() < fatalShare {
		level = sentry.LevelFatal
	}
	kind, value, _ := strings.Cut(brokenError, ": ")
	v.d.bad(v.id, time.Now())
	v.report(kind, value, "WidgetGrid", level)
}

// report sends an unhandled error by the Sentry SDK.
func (v *visitor) report(kind, value, function string, level sentry.Level) {
	handled := false
	event := sentry.NewEvent()
	event.Level = level
	event.Platform = "javascript"
	event.Exception = []sentry.Exception{{
		Type: kind, Value: value, Mechanism: &sentry.Mechanism{Type: "onerror", Handled: &handled},
		Stacktrace: &sentry.Stacktrace{Frames: stackOf(function)},
	}}
	now := time.Now()
	event.Breadcrumbs = []*sentry.Breadcrumb{
		{Timestamp: now.Add(-2100 * time.Millisecond), Category: "ui.click", Message: "a[href=/admin/users]"},
		{Timestamp: now.Add(-1900 * time.Millisecond), Category: "navigation", Data: map[string]any{"from": "/admin", "to": "/admin/users"}},
		{Timestamp: now.Add(-400 * time.Millisecond), Category: "fetch", Data: map[string]any{"method": "GET", "url": "/api/admin/widgets", "status_code": 200}},
	}
	event.Request = &sentry.Request{URL: v.d.shop.url + "/admin/users"}
	v.hub.CaptureEvent(event)
}

// send posts what the page measured: web vitals, usage, now and then a login,
// a survey answer or a complaint.
func (v *visitor) send(ctx context.Context, on bool, complaint float64) {
	load := fmt.Sprintf("v6-%s-%d", v.id, v.random.Int64())
	lcp := 1600 * math.Exp(0.3*v.random.NormFloat64())
	b := map[string]any{
		"v": 1, "user": v.id, "page": "/admin/users", "release": "shop-web@7.1.0", "environment": "production",
		"flags":   map[string]string{flagKey: fmt.Sprint(on)},
		"metrics": []map[string]any{{"name": "LCP", "value": lcp, "id": load, "navigationType": "navigate"}},
	}
	records := 1
	var actions []map[string]any
	if on {
		b["tags"] = map[string]string{"feature": "admin-workbench"}
		actions = append(actions, map[string]any{"feature": "admin-workbench", "action": "open"})
	}
	if v.random.Float64() < loginRate {
		actions = append(actions, map[string]any{"action": "login", "ok": true})
	}
	if len(actions) > 0 {
		b["actions"] = actions
		records += len(actions)
	}
	if v.random.Float64() < surveyRate {
		b["surveys"] = []map[string]any{{"question": "csat", "score": 4 + v.random.IntN(2), "max": 5}}
		records++
	}
	if v.random.Float64() < complaint {
		b["feedback"] = []map[string]any{{"kind": "complaint", "message": "the user list stays empty"}}
		records++
	}
	v.post(ctx, b, records)
}

// post sends one beacon and counts what the server says it accepted.
func (v *visitor) post(ctx context.Context, b map[string]any, records int) {
	data, err := json.Marshal(b)
	if err != nil {
		v.d.Logger.Error("encode beacon", "err", err)
		return
	}
	// A page sends its last beacon even while it closes.
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, v.beacon, bytes.NewReader(data))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	resp, err := v.d.http.Do(req)
	if err != nil {
		return
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	var answer struct{ Accepted int64 }
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &answer) != nil {
		v.d.tally.refused.Add(1)
		return
	}
	v.d.tally.records.Add(answer.Accepted)
	if answer.Accepted != int64(records) {
		v.d.Logger.Warn("beacon accepted in part", "sent", records, "answer", string(body))
	}
}
