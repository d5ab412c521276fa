package beacon

import (
	"maps"
	"strconv"
	"strings"

	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// metricNames are the metrics by their lower-case names. Values are
// milliseconds, cls has no unit. Source: GoogleChrome/web-vitals, Metric.
var metricNames = map[string]bool{
	"lcp": true, "fcp": true, "cls": true, "inp": true, "ttfb": true, "fp": true, "tti": true,
}

// customPrefix begins the names of an application's own metrics.
const customPrefix = "custom."

// maxMetric is the largest value that can be true: a day, in milliseconds.
const maxMetric = 24 * 60 * 60 * 1000

// bareMetric decodes a web-vitals Metric that was sent as it is; the query
// says the rest.
func (d *decoding) bareMetric(v loosejson.Value, in string) {
	e := d.newEvent()
	e.User = d.query("user")
	e.Release, e.Environment = d.query("release"), d.query("environment")
	e.Page = orElse(orElse(pathOf(d.query("page")), pathOf(d.text(v.Get("navigationURL"), maxURLChars))), d.referer())
	for key := range d.req.Query {
		if flag, ok := strings.CutPrefix(key, "flag."); ok && flag != "" && len(e.Flags) < maxEntries {
			put(&e.Flags, cut(flag, maxNameChars), d.query(key))
		}
	}
	load := ""
	if id := d.query("load"); id != "" {
		load = "load-" + id
	}
	if load != "" { // the load itself counts once, whichever metric names it
		d.metric(e, v, load, in, pageLoad(e, load, v))
		return
	}
	d.metric(e, v, "", in)
}

func (d *decoding) query(key string) string {
	if values := d.req.Query[key]; len(values) > 0 {
		return cut(strings.ToValidUTF8(values[0], "\uFFFD"), maxNameChars)
	}
	return ""
}

// metric decodes one metric value. also are events that go with it.
func (d *decoding) metric(base telemetry.Event, m loosejson.Value, load, in string, also ...telemetry.Event) {
	name, why := metricName(m)
	x, ok := m.Get("value").Num()
	switch {
	case why != "":
		d.record(in, why)
		return
	case !ok || m.Get("value").Kind() != loosejson.Number:
		d.record(in, "value is not a number")
		return
	case x < 0 || x > maxMetric && metricNames[name]:
		d.record(in, "value is out of range")
		return
	}
	e := clone(base, telemetry.KindVital)
	e.Op = name
	e.Measurements = map[string]float64{name: x}
	if name == "tti" {
		if method := d.text(m.Get("tti_method"), maxNameChars); method != "" {
			put(&e.Tags, "tti_method", method)
		}
	}
	d.metricFields(&e, m)
	id := d.text(m.Get("id"), maxNameChars)
	e.Segment = load
	if id != "" {
		e.ID = "metric-" + id + "=" + strconv.FormatFloat(x, 'g', -1, 64)
		if load == "" {
			e.Segment = "metric-" + id
			if name == "lcp" {
				also = append(also, pageLoad(base, e.Segment, m))
			}
		}
	}
	d.record(in, "", append(also, e)...)
}

// metricName is the lower-case name, or why there is none.
func metricName(m loosejson.Value) (name, why string) {
	if m.Kind() != loosejson.Object {
		return "", "not an object"
	}
	raw, ok := m.Get("name").Str()
	name = cut(strings.ToLower(strings.TrimSpace(raw)), maxNameChars)
	switch {
	case !ok || name == "":
		return "", "name is missing"
	case !metricNames[name] && (!strings.HasPrefix(name, customPrefix) || name == customPrefix):
		return "", "unknown metric: use LCP FCP CLS INP TTFB FP TTI, or custom.NAME with a unit"
	}
	return name, ""
}

// metricFields keeps how the metric was rated and the unit of a custom one.
func (d *decoding) metricFields(e *telemetry.Event, m loosejson.Value) {
	for _, key := range []string{"rating", "navigationType", "unit"} {
		if s := d.text(m.Get(key), maxNameChars); s != "" {
			put(&e.Attributes, key, s)
		}
	}
}

// pageLoad is the page load that a vital belongs to. Its measurements come as
// vitals of the same Segment. A soft navigation and a return from the
// back-forward cache are navigations, as SDKs call them, not loads.
func pageLoad(base telemetry.Event, segment string, m loosejson.Value) telemetry.Event {
	e := clone(base, telemetry.KindPage)
	e.ID, e.Segment, e.SpanID, e.Op = "page-"+segment, segment, segment, "pageload"
	switch kind, _ := m.Get("navigationType").Str(); kind {
	case "soft-navigation", "back-forward-cache":
		e.Op = "navigation"
	}
	return e
}

// loads counts the batch's page load, if it names one.
func (b *batch) loads() {
	if b.load == "" {
		return
	}
	e := pageLoad(b.base, b.load, b.v.Get("load"))
	if ms, ok := b.v.At("load", "durationMS").Num(); ok && ms >= 0 && ms <= maxMetric {
		e.DurationMS = ms
	}
	b.d.record(b.in+"load", "", e)
}

// clone is base as an event of kind k whose maps are its own: scrubbing
// changes them in place.
func clone(base telemetry.Event, k telemetry.Kind) telemetry.Event {
	base.Kind = k
	base.Tags, base.Flags, base.Attributes = maps.Clone(base.Tags), maps.Clone(base.Flags), maps.Clone(base.Attributes)
	return base
}
