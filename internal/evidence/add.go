package evidence

import (
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/telemetry"
)

// place is where a value went, so that a newer one can take its place.
type place struct {
	Rollout  string  `json:"r"`
	Metric   string  `json:"m"`
	Group    int     `json:"g"`
	Attempt  int     `json:"a"`
	Interval int     `json:"i"`
	Minute   int64   `json:"t"`
	Field    string  `json:"f"` // measurement
	Value    float64 `json:"v"`
}

// outcome is what became of one event in one rollout.
type outcome struct {
	places   []place
	counted  bool // by a count metric of a group
	arm      telemetry.Arm
	conflict bool
}

// adder carries one event through the series of one rollout.
type adder struct {
	r    *rollout
	b    *batch
	e    *telemetry.Event
	a    telemetry.Attribution
	at   int64 // arrival as counted, Unix ms
	user uint64
	name string // user id
	page bool   // on scope.pages
	met  bool   // the event itself shows its user to be in the audience
	f    *shared
	in   [groups]bool
	out  outcome
}

// isPage reports whether e is about one page load.
func isPage(e *telemetry.Event) bool {
	return e.Kind == telemetry.KindPage || e.Kind == telemetry.KindVital
}

// attributable are the kinds whose missing arm counts against the share of
// unattributed telemetry; servers' own records often carry no user.
func attributable(k telemetry.Kind) bool {
	switch k {
	case telemetry.KindError, telemetry.KindPage, telemetry.KindVital, telemetry.KindFeedback, telemetry.KindSurvey, telemetry.KindAction:
		return true
	}
	return false
}

// add counts the event that b.shared is about.
func (r *rollout) add(b *batch) outcome {
	e := b.shared.event
	x := adder{r: r, b: b, e: e, f: &b.shared, at: r.arrivalOf(e, b)}
	x.put(seriesAlive, 0, sample{at: x.at, n: 1})
	r.alive(x.at)
	if e.Kind == telemetry.KindLoss && e.Value >= 1 && isLoss(e.Message) {
		x.put(seriesLost, 0, sample{at: x.at, n: int64(e.Value)})
	}
	if e.Kind == telemetry.KindCheckIn || e.Kind == telemetry.KindLoss || !r.attr.InEnvironment(e) {
		return x.out
	}
	x.attribute()
	if e.Late {
		x.enrol()
		x.late()
		return x.out
	}
	if e.Weight == 0 { // a weighted record is a metric's, which knows no users
		x.activity()
		x.quality()
	} else {
		x.enrol()
	}
	x.measureAll()
	return x.out
}

// arrivalOf is an event's arrival in Unix ms. It is never in the future, and
// never before a five-minute block that was already judged.
func (r *rollout) arrivalOf(e *telemetry.Event, b *batch) int64 {
	now := toMS(b.now)
	return max(min(max(toMS(e.Received), now-youngMS/2), now), r.closed+1)
}

func (x *adder) attribute() {
	r, e := x.r, x.e
	x.name = e.User
	if x.name == "" {
		x.name = e.SessionUser
	}
	x.user = x.b.userHash(x.name)
	met, known := x.f.audience(r)
	x.met = met && len(r.attr.Split.Audience.Terms) > 0
	x.a = x.f.reading.Attribute(&r.attr, met, known, r.members.has)
	x.out.arm = x.a.Arm()
	x.out.conflict = x.a.Conflict
	x.page = x.f.reading.OnPage(&r.attr)
	x.scope()
}

// enrol notes the user as a member of the audience, where the event shows it.
func (x *adder) enrol() {
	if x.name != "" && x.met && x.r.members.add(x.name) {
		x.b.Users = append(x.b.Users, member{x.r.target.Rollout, x.name}.row())
	}
}

// scope finds the groups that the event belongs to.
func (x *adder) scope() {
	known := x.a.Arm() == telemetry.New
	x.in[judge.Exposed] = x.r.attr.Tagged(x.e) || known && (!isPage(x.e) || x.page)
	comparable := x.comparable()
	x.in[judge.AssignedNew] = comparable && x.a.Assigned == telemetry.New
	x.in[judge.AssignedOld] = comparable && x.a.Assigned == telemetry.Old
}

// comparable reports whether e may be compared: page loads on scope.pages,
// other records unless they are known to lie elsewhere, spans by scope.spans.
func (x *adder) comparable() bool {
	e, t := x.e, &x.r.attr
	if e.Kind == telemetry.KindRequest || e.Kind == telemetry.KindSpan {
		return t.Spans.Match(e, e.Received)
	}
	if e.Kind == telemetry.KindSession || e.Page == "" && e.URL == "" && !isPage(e) {
		return true
	}
	return x.page
}

// put adds to one series and notes the cell as changed.
func (x *adder) put(metric string, group int, s sample) *cell {
	c, _ := x.putUser(metric, group, s)
	return c
}

// putUser is put; again reports whether the user's newest event was in the
// same cell already, so that whatever follows from that is known.
func (x *adder) putUser(metric string, group int, s sample) (c *cell, again bool) {
	r := x.r
	c, again = r.seriesOf(metric, group).put(r.target.Attempt, r.interval(), s)
	if !c.queued {
		c.queued = true
		r.dirtyCells = append(r.dirtyCells, dirtyCell{metric, uint8(group), c})
	}
	return c, again
}

// activity notes the user as active, whatever was reported.
func (x *adder) activity() {
	if x.user == 0 {
		return
	}
	s := sample{at: x.at, n: 1, user: x.user}
	if x.a.Arm() == telemetry.New {
		x.put(seriesActive, int(judge.Exposed), s)
	}
	switch x.a.Assigned {
	case telemetry.New:
		x.assigned(judge.AssignedNew, s)
	case telemetry.Old:
		x.assigned(judge.AssignedOld, s)
	}
	if !x.a.Member {
		x.enrol()
		return
	}
	if _, again := x.putUser(seriesActive, groupAudience, s); !again {
		x.enrol()
	}
}

// assigned notes the user as active in an arm, and sights users who are new
// in the minute.
func (x *adder) assigned(g judge.Group, s sample) {
	if _, again := x.putUser(seriesActive, int(g), s); !again {
		x.r.sight(x.r.target.Attempt, x.r.interval(), g, x.user)
	}
}

// quality counts what is known of the events in scope.
func (x *adder) quality() {
	r, s := x.r, sample{at: x.at, n: 1}
	if x.in[judge.Exposed] || x.in[judge.AssignedNew] || x.in[judge.AssignedOld] {
		x.put(seriesScope, 0, s)
		r.scopeAt = max(r.scopeAt, x.at)
	}
	if x.a.Conflict {
		x.put(seriesConflict, 0, s)
	}
	if x.a.Arm() == telemetry.New && !x.in[judge.Exposed] {
		x.put(seriesSkipped, 0, s)
	}
	switch {
	case x.a.Arm() != telemetry.Unknown:
		x.put(seriesKnown, 0, s)
		switch {
		case x.a.Reported != telemetry.Unknown && x.a.Assigned != telemetry.Unknown:
			x.put(seriesBoth, 0, s)
		case x.a.Reported != telemetry.Unknown:
			x.put(seriesReported, 0, s)
		}
	case !attributable(x.e.Kind) || x.a.Included || x.a.Why == telemetry.WhyOutside:
	case r.attr.Tagged(x.e), len(r.attr.Pages) > 0 && x.page, len(r.attr.Tags)+len(r.attr.Pages) == 0:
		x.put(seriesNoArm, 0, s)
	}
}

// measureAll adds the event to every metric that takes it.
func (x *adder) measureAll() {
	if x.e.Kind == telemetry.KindSession {
		x.session()
		return
	}
	defs := &x.r.taking
	if !x.in[judge.Exposed] && !x.in[judge.AssignedNew] && !x.in[judge.AssignedOld] {
		defs = &x.r.unscoped // among many rollouts the common case: another's page
	}
	for _, d := range defs[x.e.Kind] {
		switch {
		case d.m.Kind == plan.Computed:
			x.computed(d)
		default:
			if value, measured, ok := d.value(x.e); ok && x.f.matches(d) {
				x.count(d, d.m.Name, sample{n: x.e.Times(), value: value, measured: measured})
			}
			if d.countsPages(x.e.Kind) {
				x.count(d, d.m.Name+pagesSuffix, sample{n: 1})
			}
		}
	}
}

// count adds a sample to the groups of the event, and to the tests of d.
func (x *adder) count(d *definition, metric string, s sample) {
	s.at, s.user = x.at, x.user
	for g := range 3 {
		if !x.in[g] && (g != int(judge.Exposed) || !d.m.All) {
			continue
		}
		c := x.put(metric, g, s)
		x.out.counted = x.out.counted || d.counted
		if s.measured && isPage(x.e) {
			x.out.places = append(x.out.places, place{x.r.target.Rollout, metric, g, c.attempt, c.interval, c.minute, d.m.Field, s.value})
		}
	}
	if !x.in[judge.AssignedNew] && !x.in[judge.AssignedOld] {
		return
	}
	x.testShares(d, metric, s.n)
	if metric == d.m.Name {
		x.test(d, s)
	}
}

// computed counts the metrics that are defined by their name.
func (x *adder) computed(d *definition) {
	switch e := x.e; d.m.Name {
	case "logins":
		if e.Kind != telemetry.KindAction || e.Action != "login" {
			return
		}
		x.count(d, d.m.Name+allSuffix, sample{n: 1})
		if e.OK {
			x.count(d, d.m.Name, sample{n: 1})
		}
	case "adoption":
		page := e.Kind == telemetry.KindPage && x.page
		opened := e.Kind == telemetry.KindAction && e.Action == "open" && (x.r.attr.Feature == "" || e.Tags["feature"] == "" || e.Tags["feature"] == x.r.attr.Feature)
		if (page || opened) && x.a.Arm() == telemetry.New {
			x.count(d, d.m.Name, sample{n: 1})
		}
	}
}

// late counts an event in the charts only, by its own time.
func (x *adder) late() {
	if x.e.Kind == telemetry.KindSession {
		return
	}
	at := toMS(x.e.Time)
	for _, d := range x.r.defs {
		value, measured, ok := d.measure(x.e)
		if !ok || d.m.Kind == plan.Computed {
			continue
		}
		for g := range 3 {
			if x.in[g] {
				x.put(d.m.Name+lateSuffix, g, sample{at: at, n: x.e.Times(), value: value, measured: measured})
			}
		}
	}
}

// lossReasons are the reasons of client reports that mean lost data; the
// others (sampling, filters) are intended.
var lossReasons = map[string]bool{
	"queue_overflow": true, "cache_overflow": true, "ratelimit_backoff": true, "network_error": true,
	"send_error": true, "internal_sdk_error": true, "backpressure": true,
}

func isLoss(reason string) bool { return lossReasons[reason] }

// alive notes a sign of life and the gap before it.
func (r *rollout) alive(at int64) {
	if grace := r.grace(); r.aliveAt != 0 && at-r.aliveAt > grace {
		r.gaps = append(r.gaps, gap{r.aliveAt + grace, at})
	}
	r.aliveAt = max(r.aliveAt, at)
}

func (r *rollout) grace() int64 {
	if g := r.target.Plan.Judge.NoData.Grace.Milliseconds(); g > 0 {
		return g
	}
	return 2 * blockMS
}

// gap is a span without signs of life, beyond grace.
type gap struct{ from, to int64 }
