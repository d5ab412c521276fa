package beacon

import (
	"fmt"
	"strings"

	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// each calls f for the items of a list field; one object counts as a list of it.
func (b *batch) each(field string, f func(v loosejson.Value, in string)) {
	list := b.v.Get(field)
	switch list.Kind() {
	case loosejson.Missing, loosejson.Null:
	case loosejson.Object:
		f(list, b.in+field)
	case loosejson.Array:
		i := 0
		for v := range list.Items() {
			f(v, fmt.Sprintf("%s%s[%d]", b.in, field, i))
			i++
		}
	default:
		b.d.record(b.in+field, "not a list")
	}
}

// fullScore is what every survey is scaled to.
const fullScore = 5

// survey decodes an answer: score x 5 / max.
func (b *batch) survey(v loosejson.Value, in string) {
	score, ok := v.Get("score").Num()
	top := float64(fullScore)
	if m := v.Get("max"); !m.Absent() {
		top, _ = m.Num()
	}
	switch {
	case !ok:
		b.d.record(in, "score is not a number")
		return
	case top <= 0 || score < 0 || score > top:
		b.d.record(in, "score is not between 0 and max")
		return
	}
	e := b.event(telemetry.KindSurvey)
	e.Value = score * fullScore / top
	e.Op = orElse(b.d.text(v.Get("question"), maxNameChars), "csat")
	e.Message = b.d.text(v.Get("comment"), maxMessageChars)
	b.identify(&e, v, "survey-")
	b.d.record(in, "", e)
}

// identify takes a record's own id for deduplication, if it has one.
func (b *batch) identify(e *telemetry.Event, v loosejson.Value, prefix string) {
	if id := b.d.text(v.Get("id"), maxNameChars); id != "" {
		e.ID = prefix + id
	}
}

// sentiments are the kinds of feedback and how they feel.
var sentiments = map[string]string{
	"complaint": "negative", "failure": "negative", "revert_request": "negative",
	"escalation": "negative", "praise": "positive", "other": "neutral",
}

// feedback decodes what a user told.
func (b *batch) feedback(v loosejson.Value, in string) {
	if v.Kind() != loosejson.Object {
		b.d.record(in, "not an object")
		return
	}
	kind := strings.ToLower(orElse(b.d.text(v.Get("kind"), maxNameChars), "complaint"))
	sentiment := sentiments[kind]
	if sentiment == "" {
		b.d.record(in, "unknown kind: use complaint, failure, revert_request, escalation, praise or other")
		return
	}
	e := b.event(telemetry.KindFeedback)
	e.Message = b.d.text(v.Get("message"), maxMessageChars)
	e.Title, _, _ = strings.Cut(cut(e.Message, maxNameChars), "\n")
	put(&e.Tags, "kind", kind)
	put(&e.Tags, "sentiment", sentiment)
	if critical, _ := v.Get("critical").Bool(); critical {
		put(&e.Tags, "severity", "critical")
	}
	b.identify(&e, v, "feedback-")
	b.d.record(in, "", e)
}

// action decodes usage. OK is true unless the record says otherwise. A login
// may name the account it was for, which nobody is signed in as if it failed.
func (b *batch) action(v loosejson.Value, in string) {
	name := b.d.text(v.Get("action"), maxNameChars)
	if name == "" {
		b.d.record(in, "action is missing")
		return
	}
	e := b.event(telemetry.KindAction)
	e.Action, e.OK = name, true
	if ok, told := v.Get("ok").Bool(); told {
		e.OK = ok
	}
	if feature := b.d.text(v.Get("feature"), maxNameChars); feature != "" {
		put(&e.Tags, "feature", feature)
	}
	if user := b.d.text(v.Get("user"), maxNameChars); user != "" {
		e.User = user
	}
	b.identify(&e, v, "action-")
	b.d.record(in, "", e)
}

// exposure decodes a recorded evaluation, with the attributes that the
// audience looks at.
func (b *batch) exposure(v loosejson.Value, in string) {
	flag := b.d.text(v.Get("flag"), maxNameChars)
	variant := b.d.text(v.Get("variant"), maxNameChars)
	if flag == "" || variant == "" {
		b.d.record(in, "flag and variant are needed")
		return
	}
	e := b.event(telemetry.KindExposure)
	e.Flags = map[string]string{flag: variant} // what this evaluation gave, not the page's other flags
	for key, value := range b.d.entries(v.Get("attributes")) {
		put(&e.Attributes, key, value)
	}
	if user := b.d.text(v.Get("user"), maxNameChars); user != "" {
		e.User = user
	}
	b.identify(&e, v, "exposure-")
	b.d.record(in, "", e)
}

// heartbeat is a sign of life that took the users' road.
func (b *batch) heartbeat() {
	v := b.v.Get("heartbeat")
	if v.Absent() {
		return
	}
	beat, ok := v.Bool()
	if !ok {
		b.d.record(b.in+"heartbeat", "not true or false")
		return
	}
	if !beat {
		return
	}
	e := b.event(telemetry.KindCheckIn)
	e.Op, e.OK = "heartbeat", true
	b.d.record(b.in+"heartbeat", "", e)
}

// values decodes a build report. A page may not push what a rule reads.
func (b *batch) values() {
	v := b.v.Get("values")
	if !v.Absent() && v.Kind() != loosejson.Object {
		b.d.record(b.in+"values", "not an object")
		return
	}
	for name, value := range v.Fields() {
		in := b.in + "values." + cut(name, maxNameChars)
		x, ok := value.Num()
		switch {
		case b.d.req.Publishable:
			b.d.record(in, "values are taken with a server key only")
		case name == "" || !ok || value.Kind() != loosejson.Number:
			b.d.record(in, "not a named number")
		default:
			e := b.event(telemetry.KindValue)
			e.Op, e.Value = cut(name, maxNameChars), x
			b.d.record(in, "", e)
		}
	}
}
