package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"
)

// The traffic of the scenarios: a thousand users with six page loads an hour,
// evenly spread, user n offset by n seconds. Load i of user n has an LCP of
// exp(0.3559 + 0.5·z) s, z the normal quantile of frac((n·6+i)·0.618034).
const (
	crowdSize = 1000
	loadsHour = 6
	slot      = 60 / loadsHour // minutes between two loads of a user
	few       = 4              // every fourth user is enough where nothing is proved by numbers
)

// crowdLoads are the LCPs in ms, load i of user n at n*6+i.
var crowdLoads = sync.OnceValue(func() []float64 {
	out := make([]float64, crowdSize*loadsHour)
	for k := range out {
		p := math.Mod(float64(k)*0.618034, 1)
		out[k] = 1000 * math.Exp(0.3559+0.5*math.Sqrt2*math.Erfinv(2*max(p, 1e-9)-1))
	}
	return out
})

// crowd are the users: they evaluate the flag, and tell with each page load
// what they were answered. Like a provider that polls they keep the answers
// while the service says that nothing has changed.
type crowd struct {
	d      *driven
	flag   string
	every  int // of how many users one comes
	silent bool
	slower float64 // factor on the LCP of users on new
	ids    int     // of events so far

	kept map[string]string // answers, by user
	etag string            // under which they hold
}

func (c *crowd) forget() { c.kept, c.etag = map[string]string{}, "" }

func userName(n int) string { return fmt.Sprintf("u%04d", n) }

// renew asks whether the answers of before still hold.
func (c *crowd) renew() error {
	a, err := c.d.request(http.MethodPost, c.d.url+"/ofrep/v1/evaluate/flags", []byte(`{"context":{"targetingKey":"u0000"}}`),
		"X-API-Key", c.d.boot.FlagKey, "Content-Type", "application/json", "If-None-Match", c.etag)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusNotModified:
		return nil
	case a.status != http.StatusOK:
		return fmt.Errorf("evaluate all: %d %s", a.status, a.body)
	}
	c.forget()
	c.etag = a.header.Get("ETag")
	return nil
}

// variant is what the service answers for a user.
func (c *crowd) variant(user string) (string, error) {
	if v, ok := c.kept[user]; ok {
		return v, nil
	}
	v, err := c.d.evaluate(c.flag, user)
	if err == nil {
		c.kept[user] = v
	}
	return v, err
}

// minute sends what users do in a minute since T as one envelope: their page
// loads as the segment spans of one container, as Sentry's SDK 11 sends them,
// and a session each hour.
func (c *crowd) minute(m int) error {
	if c.silent {
		return nil
	}
	if err := c.renew(); err != nil {
		return err
	}
	m += 24 * 60 // never negative
	i := m / slot % loadsHour
	var spans, sessions []any
	for second := m % slot * 60; second < m%slot*60+60; second++ {
		for n := second; n < crowdSize; n += slot * 60 {
			if n%c.every > 0 {
				continue
			}
			variant, err := c.variant(userName(n))
			if err != nil {
				return err
			}
			spans = append(spans, c.load(n, i, m, variant))
			if i == 0 {
				sessions = append(sessions, c.session(n, m))
			}
		}
	}
	if len(spans) == 0 {
		return nil
	}
	items := []any{map[string]any{"type": "span", "item_count": len(spans), "content_type": "application/vnd.sentry.items.span.v2+json"},
		map[string]any{"version": 2, "items": spans}}
	for _, s := range sessions {
		items = append(items, map[string]any{"type": "session"}, s)
	}
	return c.envelope(items...)
}

// load is the segment of a page load; the minute is in its ids, so that one
// which is sent again is known.
func (c *crowd) load(n, i, m int, variant string) any {
	lcp := crowdLoads()[n*loadsHour+i]
	if variant == "new" {
		lcp *= c.slower
	}
	text := func(v string) any { return map[string]any{"type": "string", "value": v} }
	end := float64(c.d.now.UnixMilli()) / 1000
	return map[string]any{
		"trace_id": fmt.Sprintf("%016x%016x", m+1, n+1), "span_id": fmt.Sprintf("%08x%08x", m+1, n+1), "is_segment": true, "name": "/",
		"status": "ok", "start_timestamp": end - lcp/1000, "end_timestamp": end,
		"attributes": map[string]any{
			"sentry.op": text("pageload"), "sentry.environment": text("production"), "sentry.release": text("shop@1"),
			"sentry.segment.name": text("/"), "user.id": text(userName(n)), "flag.evaluation." + c.flag: text(variant),
			"browser.web_vital.lcp.value": map[string]any{"type": "double", "value": lcp},
		},
	}
}

func (c *crowd) session(n, m int) any {
	at := c.d.now.Format(time.RFC3339)
	return map[string]any{"sid": fmt.Sprintf("%032x", m/60*crowdSize+n+1), "did": userName(n), "init": true, "status": "ok", "errors": 0,
		"started": at, "timestamp": at, "attrs": map[string]any{"release": "shop@1", "environment": "production"}}
}

// p1 are k serious errors of k users on new; late is how long ago they happened.
func (c *crowd) p1(k int, late time.Duration) (out []map[string]any, err error) {
	if err := c.renew(); err != nil {
		return nil, err
	}
	for n := 0; n < crowdSize && len(out) < k; n++ {
		variant, err := c.variant(userName(n))
		if err != nil {
			return nil, err
		}
		if variant != "new" {
			continue
		}
		c.ids++
		out = append(out, map[string]any{
			"event_id": fmt.Sprintf("%032x", c.ids), "timestamp": float64(c.d.now.Add(-late).UnixMilli()) / 1000,
			"platform": "javascript", "level": "error", "environment": "production", "release": "shop@1",
			"tags": map[string]any{"severity": "p1"}, "user": map[string]any{"id": userName(n)},
			"contexts":  map[string]any{"flags": map[string]any{"values": []any{map[string]any{"flag": c.flag, "result": "new"}}}},
			"exception": map[string]any{"values": []any{map[string]any{"type": "Error", "value": "boom"}}},
		})
	}
	if len(out) < k {
		return nil, fmt.Errorf("only %d users are on new, %d errors are to come from as many", len(out), k)
	}
	return out, nil
}

// report sends errors, each in an envelope of its own.
func (c *crowd) report(events []map[string]any) error {
	for _, e := range events {
		if err := c.envelope(map[string]any{"type": "event"}, e); err != nil {
			return err
		}
	}
	return nil
}

// envelope sends items: a header and a payload each.
func (c *crowd) envelope(items ...any) error {
	var body bytes.Buffer
	lines := json.NewEncoder(&body) // a line each
	for _, v := range append([]any{map[string]any{"sent_at": c.d.now.Format(time.RFC3339Nano), "dsn": c.d.boot.DSN}}, items...) {
		if err := lines.Encode(v); err != nil {
			return err
		}
	}
	a, err := c.d.request(http.MethodPost, c.d.url+"/api/"+c.d.boot.Project+"/envelope/?sentry_key="+c.d.boot.PublicKey, body.Bytes())
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("envelope: %d %s", a.status, a.body)
	}
	return err
}
