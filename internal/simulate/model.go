package simulate

import (
	"fmt"
	"math"
	"slices"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
)

// kind is how a metric's data are made.
type kind uint8

const (
	steady  kind = iota // constant, on the good side
	counted             // events of a stream
	volume              // page views
	timed               // a quantile of latencies
	divided             // a count over a count
	adopted             // adoption
	crowd               // concurrent
	absent              // never measured: a figure of 0
)

// model is one metric of the plan with the figures it is made from. It is
// shared by all runs.
type model struct {
	kind     kind
	metric   *plan.Metric
	index    int // among the models of its kind
	stream   int // counted
	mark     float64
	same     int     // counted: index of the first model with the same events, mostly its own
	level    float64 // timed, steady: the value
	compared bool    // a rule compares it with control
	shifts   []int   // timed: of the comparisons
	of, per  *model  // divided
	likeness float64 // timed: how alike the loads of a user are, see stick
	slowness float64
}

// stream is a Poisson process of events.
type stream struct {
	perDay float64
	heavy  bool // too many to be told one by one
	tracks []*model
}

// heavyPerDay is the number of events a day from which on they are counted in
// blocks of five minutes, and their users as occupancy does.
const heavyPerDay = 3000

// ofErrors are the counts whose events are errors.
var ofErrors = []string{"errors", "affected_users", "console_errors", "p1", "p2", "timeouts", "db_conn_errors"}

// world is what all runs of one plan and traffic share.
type world struct {
	plan    *plan.Plan
	traffic Traffic
	cycle   *cycle
	models  map[string]*model
	streams []stream
	counted []*model
	timed   []*model
	step    time.Duration // between closes of windows of quantiles
	block   time.Duration // of comparisons
	users   int64
	assumed []string
	usual   []map[string]bool // by stage: criteria that keep a healthy feature as a rule
}

// anyError is the metric by which harmed users are counted.
const anyError = "errors"

// rules lists the rules that a run judges.
func rules(p *plan.Plan) []*plan.Rule {
	out := slices.Concat(p.Rollback, p.Reduce)
	for _, s := range p.Stages {
		out = append(out, s.Proceed...)
		for _, c := range s.Checks {
			out = append(out, c.Expect...)
		}
	}
	return out
}

func versus(r *plan.Rule) bool { return r.Ref == plan.Control || r.Ref == plan.Reference }

func newWorld(p *plan.Plan, t Traffic, start time.Time) *world {
	w := &world{plan: p, traffic: t, models: map[string]*model{}, users: int64(math.Round(t.Users))}
	w.streams = []stream{{perDay: t.ErrorsPerView * t.ViewsPerDay}}
	w.streams[0].heavy = w.streams[0].perDay > heavyPerDay
	for _, r := range rules(p) {
		if m := w.model(r.Metric); m != nil && versus(r) {
			m.compare(p)
		}
	}
	w.model(anyError)
	w.pace()
	w.cycle = newCycle(start, p.Location, t, max(w.longest(), week+time.Hour))
	return w
}

// compare makes ready what comparisons of the metric need.
func (m *model) compare(p *plan.Plan) {
	m.compared = true
	if m.kind == timed {
		m.shifts = judge.Shifts(p, m.metric.Name)
	}
	if m.kind == divided {
		m.of.compared = true
	}
}

// model finds or makes the model of a metric, nil for what is no metric.
func (w *world) model(name string) *model {
	if m := w.models[name]; m != nil {
		return m
	}
	def := w.plan.Metrics[name]
	if def == nil {
		return nil
	}
	m := &model{metric: def}
	w.models[name] = m
	switch {
	case def.Kind == plan.Count || def.Kind == plan.Users:
		w.count(m)
	case def.Kind == plan.Quantile && w.figure(name) > 0:
		m.kind, m.level, m.index = timed, w.figure(name), len(w.timed)
		m.stick(w.traffic.Sticky)
		w.timed = append(w.timed, m)
	case def.Kind == plan.Quantile && w.given(name) != nil && *w.given(name) == 0:
		m.kind = absent
	case def.Kind == plan.Ratio && w.given(name) == nil:
		of, per := w.model(def.Of), w.model(def.Per)
		if of != nil && per != nil && of.counts() && per.counts() {
			m.kind, m.of, m.per = divided, of, per
			break
		}
		w.hold(m)
	case name == "adoption" && w.given(name) == nil:
		m.kind = adopted
	case name == "concurrent" && w.given(name) == nil:
		m.kind = crowd
	default:
		w.hold(m)
	}
	return m
}

func (m *model) counts() bool { return m.kind == counted || m.kind == volume }

func (w *world) figure(name string) float64 { return w.traffic.Values[name] }

// given is the level that the traffic figures give, nil for none.
func (w *world) given(name string) *float64 {
	if v, ok := w.traffic.Values[name]; ok {
		return &v
	}
	return nil
}

// count makes a metric that counts events, or users of events.
func (w *world) count(m *model) {
	name := m.metric.Name
	perDay, known := w.traffic.PerDay[name]
	errors := w.streams[0].perDay
	whole := name == "errors" || name == "affected_users" || name == "console_errors"
	switch of := m.metric.Of; {
	case whole && !known:
		perDay = errors
	case !known && m.metric.Where == "" && (of == "pages" || of == "requests" || of == "sessions" || of == "spans"), name == "requests" && !known:
		m.kind = volume
		return
	case !known:
		w.assumed = append(w.assumed, fmt.Sprintf("%s: none, no figure was given", name))
	}
	m.kind, m.index, m.same = counted, len(w.counted), len(w.counted)
	w.counted = append(w.counted, m)
	if slices.Contains(ofErrors, name) && perDay <= errors && errors > 0 {
		m.mark = perDay / errors
		if i := slices.IndexFunc(w.streams[0].tracks, func(o *model) bool { return o.mark >= 1 }); i >= 0 && m.mark >= 1 {
			m.same = w.streams[0].tracks[i].index
		}
		w.streams[0].tracks = append(w.streams[0].tracks, m)
		return
	}
	m.stream, m.mark = len(w.streams), 1
	w.streams = append(w.streams, stream{perDay: perDay, heavy: perDay > heavyPerDay, tracks: []*model{m}})
}

// hold makes a metric constant: at its figure, else on the good side of every
// rule of the plan.
func (w *world) hold(m *model) {
	m.kind = steady
	name := m.metric.Name
	if v := w.given(name); v != nil {
		m.level = *v
		w.assumed = append(w.assumed, fmt.Sprintf("%s: constant at the figure given", name))
		return
	}
	m.level = healthy(w.plan, m.metric)
	w.assumed = append(w.assumed, fmt.Sprintf("%s: constant and healthy, no figure was given", name))
}

// healthy is a value that no fixed rule of the plan minds, if there is one: well
// inside the strictest limit. Where there is no such rule it is 1: rules against
// the baseline ask how much it has changed, of which 0 knows nothing.
func healthy(p *plan.Plan, m *plan.Metric) float64 {
	const inside = 0.8
	low, high := math.Inf(-1), math.Inf(1)
	guards := len(p.Rollback) + len(p.Reduce)
	for i, r := range rules(p) {
		if r.Metric != m.Name || r.Ref != plan.None {
			continue
		}
		upper := r.Op == plan.LT || r.Op == plan.LE || r.Op == plan.EQ
		if i < guards {
			upper = r.Op == plan.GT || r.Op == plan.GE || r.Op == plan.NE
		}
		if upper {
			high = min(high, r.Value)
		} else {
			low = max(low, r.Value)
		}
	}
	switch {
	case math.IsInf(high, 1) && math.IsInf(low, -1):
		return 1
	case math.IsInf(low, -1):
		return high * inside
	case math.IsInf(high, 1) && m.Unit == "%":
		return low + (1-low)*inside
	case math.IsInf(high, 1):
		return low / inside
	}
	return (low + high) / 2
}

// The lengths of blocks: as in the engine five minutes, longer for plans of
// days, where that changes little and costs much.
const (
	shortestBlock = 5 * time.Minute
	longestBlock  = time.Hour
	blocksAStage  = 48
	stepsAWindow  = 2
)

// pace chooses how finely time is cut.
func (w *world) pace() {
	bake := time.Duration(math.MaxInt64)
	for _, s := range w.plan.Stages {
		if s.Bake > 0 {
			bake = min(bake, s.Bake)
		}
	}
	w.block = whole(bake / blocksAStage)
	w.step = w.block
	for _, r := range slices.Concat(w.plan.Rollback, w.plan.Reduce) {
		if m := w.models[r.Metric]; m != nil && (m.kind == timed || m.kind == divided) && r.Over.Dur > 0 {
			w.step = min(w.step, whole(r.Over.Dur/stepsAWindow))
		}
	}
	for w.block%w.step != 0 {
		w.block -= shortestBlock
	}
}

// whole cuts a length to whole short blocks, within the bounds.
func whole(d time.Duration) time.Duration {
	return min(max(d/shortestBlock*shortestBlock, shortestBlock), longestBlock)
}

// stuckAfter is how long after the overrun a stage that a criterion keeps is
// called stuck.
const stuckAfter = 7 * 24 * time.Hour

// longest is the longest that a run can take.
func (w *world) longest() time.Duration {
	const closed = 30 * 24 * time.Hour // the longest that calendar and clock may keep a stage, for the cycles
	var sum time.Duration
	for _, s := range w.plan.Stages {
		sum += s.Bake + w.plan.Judge.Overrun + stuckAfter + closed
	}
	return min(sum, 400*24*time.Hour)
}
