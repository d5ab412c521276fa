package evidence

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// Data points of OpenTelemetry carry no user. A histogram's point becomes
// requests or spans with a weight, spread evenly over the width of each bucket,
// so that quantiles are interpolated as Prometheus' histogram_quantile does; a
// value at a bucket's bound stays on its side. Gauges become values of the
// project: the highest of its processes.
//
// Points that count since a start are told apart by series, and what a series
// had counted before is taken off. The newest point of each series is kept in
// memory only. So of a process that is new here, or is heard for the first time
// since this server began, the first point counts only if the process is
// younger than that; else it is where counting begins, and what came since its
// last point before is lost (counter point_begin).

// Bounds of what is remembered of points.
const (
	maxSeries = 20_000        // series of all processes; those of others are not counted
	idlePoint = 15 * minuteMS // a process silent for so long is forgotten
	// firstBatch is how long the points of a process' first export may take to arrive.
	firstBatch = 5_000
	// freshGauge is how old the value of a process may be to be the project's.
	freshGauge = 5 * minuteMS
	// twiceMS is how long spans of a service keep its histograms of the same from counting.
	twiceMS = 10 * minuteMS
	// pieces is into how many parts a bucket's width is spread.
	pieces = 16
)

// What becomes of points, in counters.
const (
	countPointBegin = "point_begin"   // the first of its series: nothing is counted
	countPointReset = "point_reset"   // a count fell, or buckets moved: counted anew
	countPointFull  = "point_full"    // no room for another series
	countPointTwice = "point_twice"   // the same requests came as spans
	countPointDrop  = "point_evicted" // series of processes forgotten after their silence
)

// Keys of the values that gauges of processes stand for, as in the vocabulary.
const (
	valueMemory = "process.memory.usage"
	valuePool   = "db.client.connection.utilization"
)

// points is what is remembered of data points. Engine.mu guards it.
type points struct {
	began     int64 // Unix ms
	processes map[process]*pointSource
	series    int
	gauges    map[process]map[string]*gaugePoint // by the value's key and, for pools, the pool
	spans     map[spanSource]int64               // arrival of the newest span by service and operation
}

type process struct {
	project  string
	resource uint64
}

// pointSource is one process that sends points.
type pointSource struct {
	first, last int64 // arrival, Unix ms
	series      map[uint64][]telemetry.Bucket
}

type spanSource struct{ project, service, op string }

// gaugePoint is where a gauge of a process stands. For pools, value is the
// connections in use and limit how many there may be, 0 = not told.
type gaugePoint struct {
	key          string // of the project's value
	name         string // the metric
	at           int64  // of value, Unix ms; 0 = none yet
	heard        int64  // of whichever came last, Unix ms
	value, limit float64
}

func newPoints(now int64) points {
	return points{
		began: now, processes: map[process]*pointSource{}, gauges: map[process]map[string]*gaugePoint{}, spans: map[spanSource]int64{},
	}
}

// spanned notes that a service sends its requests or queries as spans, which
// know their user: its histograms of the same are then not counted again.
func (p *points) spanned(e *telemetry.Event) {
	if e.Source != "otlp" || e.Weight > 0 || e.Kind != telemetry.KindRequest && e.Kind != telemetry.KindSpan {
		return
	}
	key := spanSource{e.Project, e.Attributes["service.name"], e.Op}
	if _, known := p.spans[key]; known || len(p.spans) < maxSeries {
		p.spans[key] = max(p.spans[key], toMS(e.Received))
	}
}

// point counts one data point.
func (e *Engine) point(b *batch, ev *telemetry.Event) {
	if ev.Metric == nil {
		return
	}
	switch ev.Op {
	case telemetry.MetricRequests, telemetry.MetricQueries:
		e.histogram(b, ev)
	default:
		e.gaugeOf(b, ev)
	}
}

// histogram counts what a histogram's point adds.
func (e *Engine) histogram(b *batch, ev *telemetry.Event) {
	buckets := ev.Metric.Buckets
	if ev.Metric.Cumulative {
		buckets = e.points.since(b, ev)
	}
	if len(buckets) == 0 {
		return
	}
	at, known := e.points.spans[spanSource{ev.Project, ev.Attributes["service.name"], ev.Op}]
	if known && toMS(ev.Received)-at < twiceMS {
		b.count(countPointTwice, 1)
		return
	}
	one := *ev
	one.Metric, one.ID, one.Kind = nil, "", telemetry.KindRequest
	if ev.Op == telemetry.MetricQueries {
		one.Kind = telemetry.KindSpan
	}
	for _, bucket := range buckets {
		spread(bucket, func(value float64, n int64) {
			piece := one
			piece.DurationMS, piece.Weight = value, n
			e.addEverywhere(b, &piece)
		})
	}
}

// spread gives the values that a bucket stands for: in the middle of equal
// parts of its width, with how many there are of each. Sums are exact.
func spread(b telemetry.Bucket, visit func(value float64, n int64)) {
	parts := min(b.N, pieces)
	for i := range parts {
		n := b.N*(i+1)/parts - b.N*i/parts
		visit(b.Lower+(b.Upper-b.Lower)*(float64(i)+0.5)/float64(parts), n)
	}
}

// since is what a cumulative point adds to the one before of its series.
func (p *points) since(b *batch, ev *telemetry.Event) []telemetry.Bucket {
	m, now := ev.Metric, toMS(ev.Received)
	key := process{ev.Project, m.Resource}
	src := p.processes[key]
	if src == nil {
		src = &pointSource{first: now, series: map[uint64][]telemetry.Bucket{}}
	}
	before, known := src.series[m.Series]
	if !known {
		if p.series >= maxSeries {
			b.count(countPointFull, 1)
			return nil
		}
		p.series++
	}
	p.processes[key] = src
	src.last = max(src.last, now)
	src.series[m.Series] = m.Buckets
	if !known {
		// A process that was heard before had not counted anything in this
		// series; one that is new here counts if it began under our eyes.
		start := toMS(m.Start)
		young := !m.Start.IsZero() && start >= p.began && now-start < idlePoint
		if now-src.first < firstBatch && !young {
			b.count(countPointBegin, 1)
			return nil
		}
		return m.Buckets
	}
	added, ok := difference(m.Buckets, before)
	if !ok {
		b.count(countPointReset, 1)
		return m.Buckets
	}
	return added
}

// difference takes the counts of before off those of now, each bucket of before
// off the same one of now, else off the one that holds it: an exponential
// histogram merges its buckets as its range grows. ok is false where a count
// falls or a bucket finds no place: then counting began anew.
func difference(now, before []telemetry.Bucket) (added []telemetry.Bucket, ok bool) {
	added = slices.Clone(now)
	for _, old := range before {
		if old.N == 0 {
			continue
		}
		i, same := slices.BinarySearchFunc(added, old, byEdges)
		if !same {
			i = holder(added, old)
		}
		if i == len(added) || added[i].N < old.N {
			return nil, false
		}
		added[i].N -= old.N
	}
	return slices.DeleteFunc(added, func(b telemetry.Bucket) bool { return b.N == 0 }), true
}

// byEdges orders buckets. What lies above the last bound of a histogram has a
// bucket that is hardly wider than nothing, so that rounding cannot tell it from
// the one below; its edges can.
func byEdges(a, b telemetry.Bucket) int {
	return cmp.Or(cmp.Compare(a.Lower, b.Lower), cmp.Compare(a.Upper, b.Upper))
}

// holder finds the bucket that holds old, but for rounding; len(all) = none.
func holder(all []telemetry.Bucket, old telemetry.Bucket) int {
	i, _ := slices.BinarySearchFunc(all, old.Upper, func(b telemetry.Bucket, upper float64) int {
		if upper <= b.Upper*(1+roundingShare) { // the edges of two scales are computed apart
			return 1
		}
		return -1
	})
	if i < len(all) && all[i].Lower > old.Lower*(1+roundingShare) {
		return len(all)
	}
	return i
}

// roundingShare is how much two computations of one bucket's edge may differ.
const roundingShare = 1e-9

// memoryOrder ranks the metrics of a process' memory where it sends several:
// the whole process before the runtime's own count.
var memoryOrder = []string{valueMemory, "jvm.memory.used", "go.memory.used", "v8js.memory.heap.used"}

// gaugeOf notes where a gauge of a process stands, and the project's value
// that follows from it.
func (e *Engine) gaugeOf(b *batch, ev *telemetry.Event) {
	m := ev.Metric
	key, slot := m.Name, m.Name
	switch ev.Op {
	case telemetry.MetricMemory:
		key, slot = valueMemory, valueMemory
	case telemetry.MetricPoolUsed, telemetry.MetricPoolMax:
		key, slot = valuePool, valuePool+" "+strconv.FormatUint(m.Series, 16)
	default:
		if !e.readAsGauge(ev.Project, key) {
			return
		}
	}
	g := e.points.gaugeAt(process{ev.Project, m.Resource}, key, slot)
	if g == nil {
		b.count(countPointFull, 1)
		return
	}
	now := toMS(ev.Received)
	g.heard = now
	switch ev.Op {
	case telemetry.MetricPoolUsed:
		g.value, g.at = m.Value, now
	case telemetry.MetricPoolMax:
		g.limit = m.Value
	default:
		better := slices.Index(memoryOrder, m.Name) > slices.Index(memoryOrder, g.name)
		if g.name != "" && g.name != m.Name && better && now-g.at < freshGauge {
			return
		}
		g.name, g.value, g.at = m.Name, m.Value, now
	}
	if value, ok := e.points.highest(ev.Project, key, now); ok {
		e.setValue(b, store.KeyValue{Key: valueKey(ev.Project, key), Value: store.Value{Text: strconv.FormatFloat(value, 'f', -1, 64), At: ev.Received}})
		e.streams(b, ev, key)
	}
}

// readAsGauge reports whether a watched rollout reads a value as a gauge: others
// are not kept, as their number has no bound.
func (e *Engine) readAsGauge(project, key string) bool {
	for _, r := range e.rollouts {
		if !sameProject(r.target.Project, project) {
			continue
		}
		for _, d := range r.defs {
			if d.m.Kind == plan.Gauge && d.m.Of == key {
				return true
			}
		}
	}
	return false
}

// gaugeAt finds or makes a gauge of a process; nil when there is no room.
func (p *points) gaugeAt(of process, key, slot string) *gaugePoint {
	set := p.gauges[of]
	if g := set[slot]; g != nil {
		return g
	}
	if p.series >= maxSeries {
		return nil
	}
	if set == nil {
		set = map[string]*gaugePoint{}
		p.gauges[of] = set
	}
	g := &gaugePoint{key: key}
	set[slot] = g
	p.series++
	return g
}

// highest is the highest value of a project's processes that are fresh. A pool
// whose limit is not told has none.
func (p *points) highest(project, key string, now int64) (value float64, ok bool) {
	for of, set := range p.gauges {
		if of.project != project {
			continue
		}
		for _, g := range set {
			v := g.value
			if key == valuePool {
				v = g.value / g.limit
			}
			if g.key != key || g.at == 0 || now-g.at >= freshGauge || math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			if !ok || v > value {
				value, ok = v, true
			}
		}
	}
	return value, ok
}

// streamPrefix begins the keys of values that say another value is streamed:
// it is sent about once a minute, so a longer silence is a failure.
const streamPrefix = reservedMark + "stream "

// streamAge is how long a streamed value may stand.
const streamAge = 10 * time.Minute

// streams notes the first delivery of a gauge.
func (e *Engine) streams(b *batch, ev *telemetry.Event, key string) {
	mark := valueKey(ev.Project, streamPrefix+key)
	if _, known := e.values[mark]; !known {
		e.setValue(b, store.KeyValue{Key: mark, Value: store.Value{Text: "otlp", At: ev.Received}})
	}
}

// streamed reports whether a value of a project is sent all the time.
func (e *Engine) streamed(project, key string) bool {
	_, ok := e.values[valueKey(project, streamPrefix+key)]
	return ok
}

// forget lets go of processes that have been silent.
func (p *points) forget(b *batch) {
	now := toMS(b.now)
	gone := 0
	for of, src := range p.processes {
		if now-src.last >= idlePoint {
			gone += len(src.series)
			delete(p.processes, of)
		}
	}
	for of, set := range p.gauges {
		for slot, g := range set {
			if now-g.heard >= idlePoint {
				delete(set, slot)
				gone++
			}
		}
		if len(set) == 0 {
			delete(p.gauges, of)
		}
	}
	for of, at := range p.spans {
		if now-at >= twiceMS {
			delete(p.spans, of)
		}
	}
	if p.series -= gone; gone > 0 {
		b.count(countPointDrop, int64(gone))
	}
}
