package otlp

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"serin/internal/telemetry"
)

// durations are the histograms that are read: what their values are, and how
// many milliseconds the unit has that a point means by default.
var durations = map[string]struct {
	op     string
	millis float64
}{
	"http.server.request.duration": {telemetry.MetricRequests, 1e3},
	"http.server.duration":         {telemetry.MetricRequests, 1}, // semantic conventions before 1.23
	"db.client.operation.duration": {telemetry.MetricQueries, 1e3},
}

// memories are the metrics of a process's memory. The points of one are parts
// of the whole: pools, spaces.
var memories = map[string]bool{
	"process.memory.usage": true, "go.memory.used": true, "jvm.memory.used": true, "v8js.memory.heap.used": true,
}

// Names of the connection pool's metrics, newer before older.
const (
	poolCount, poolUsage  = "db.client.connection.count", "db.client.connections.usage"
	poolMax, poolMaxOlder = "db.client.connection.max", "db.client.connections.max"
)

// noValue is the flag of a point that says nothing (DataPointFlags).
const noValue = uint32(metrics.DataPointFlags_DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK)

func (d *decoding) metrics(m *metrics.MetricsData) {
	for _, rm := range m.GetResourceMetrics() {
		o := originOf(rm.GetResource())
		for _, sm := range rm.GetScopeMetrics() {
			for _, x := range sm.GetMetrics() {
				d.metric(&o, sm.GetScope().GetName(), x)
			}
		}
	}
}

// point is one data point with what its metric says.
type point struct {
	o          *origin
	scope      string
	m          *metrics.Metric
	attrs      []*common.KeyValue
	start, at  uint64 // ns since 1970
	cumulative bool
}

func (d *decoding) metric(o *origin, scope string, m *metrics.Metric) {
	p := point{o: o, scope: scope, m: m}
	switch {
	case durations[m.GetName()].op != "":
		d.histogram(p)
	case memories[m.GetName()]:
		d.whole(p, telemetry.MetricMemory, d.numbers(p))
	case m.GetName() == poolCount, m.GetName() == poolUsage:
		for _, n := range d.numbers(p) {
			if get(n.attrs, "db.client.connection.state", "state") == "used" {
				d.gauge(n.point, telemetry.MetricPoolUsed, poolOf(n.point), n.value)
			}
		}
	case m.GetName() == poolMax, m.GetName() == poolMaxOlder:
		for _, n := range d.numbers(p) {
			d.gauge(n.point, telemetry.MetricPoolMax, poolOf(n.point), n.value)
		}
	case m.GetGauge() != nil && len(m.GetGauge().GetDataPoints()) == 1:
		d.whole(p, telemetry.MetricGauge, d.numbers(p))
	default:
		d.out.Skipped["metric"]++
	}
}

// number is a point of a gauge or sum with its value.
type number struct {
	point
	value float64
}

// numbers are the values that a gauge stands at. A sum that counts since the
// point before says no value: it is rejected.
func (d *decoding) numbers(p point) []number {
	points := p.m.GetGauge().GetDataPoints()
	if sum := p.m.GetSum(); sum != nil {
		points = sum.GetDataPoints()
		if sum.GetAggregationTemporality() != metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE {
			for range points {
				d.reject(invalidPoint, fmt.Sprintf("metric %s: a sum needs cumulative temporality", cut(p.m.GetName(), maxTextChars)))
			}
			return nil
		}
	}
	var all []number
	for _, n := range points {
		if n.GetFlags()&noValue != 0 || !d.take(n) {
			continue
		}
		x := number{point: p}
		x.attrs, x.start, x.at = n.GetAttributes(), n.GetStartTimeUnixNano(), n.GetTimeUnixNano()
		switch v := n.GetValue().(type) {
		case *metrics.NumberDataPoint_AsInt:
			x.value = float64(v.AsInt)
		case *metrics.NumberDataPoint_AsDouble:
			x.value = v.AsDouble
		default:
			x.value = math.NaN()
		}
		if math.IsNaN(x.value) || math.IsInf(x.value, 0) {
			d.reject(invalidPoint, fmt.Sprintf("metric %s: a point has no finite value", cut(p.m.GetName(), maxTextChars)))
			continue
		}
		all = append(all, x)
	}
	return all
}

// whole makes one value of a metric's points in a resource, which are parts of it.
func (d *decoding) whole(p point, op string, parts []number) {
	if len(parts) == 0 {
		return
	}
	sum := 0.0
	for _, n := range parts {
		sum += n.value
		p.at = max(p.at, n.at)
	}
	if math.IsInf(sum, 0) {
		d.reject(invalidPoint, fmt.Sprintf("metric %s: its points sum up to no finite value", cut(p.m.GetName(), maxTextChars)))
		return
	}
	d.gauge(p, op, p.o.hash, sum)
}

// gauge hands on a value that rules read as it stands. As with the beacon's
// values, a page may not tell it.
func (d *decoding) gauge(p point, op string, series uint64, value float64) {
	if d.req.Publishable {
		d.reject(invalidPublic, "gauges need a key that no page carries: make a secret ingest key for the server")
		return
	}
	e := d.newEvent(telemetry.KindMetric, p.o)
	e.Op = op
	e.Metric = &telemetry.Metric{Name: cut(p.m.GetName(), maxTextChars), Resource: p.o.hash, Series: series, Value: value}
	d.stamp(&e, p.at)
	d.emit(e)
}

// poolOf tells the pools of a process apart.
func poolOf(p point) uint64 {
	return mix(p.o.hash, get(p.attrs, "db.client.connection.pool.name", "pool.name"))
}

// histogram hands on the points of a duration.
func (d *decoding) histogram(p point) {
	if x := p.m.GetHistogram(); x != nil {
		p.cumulative = x.GetAggregationTemporality() == metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
		for _, h := range x.GetDataPoints() {
			if h.GetFlags()&noValue == 0 && d.take(h) {
				p.attrs, p.start, p.at = h.GetAttributes(), h.GetStartTimeUnixNano(), h.GetTimeUnixNano()
				buckets, err := explicit(h, d.millis(p), p.cumulative)
				d.duration(p, buckets, err)
			}
		}
		return
	}
	if x := p.m.GetExponentialHistogram(); x != nil {
		p.cumulative = x.GetAggregationTemporality() == metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
		for _, h := range x.GetDataPoints() {
			if h.GetFlags()&noValue == 0 && d.take(h) {
				p.attrs, p.start, p.at = h.GetAttributes(), h.GetStartTimeUnixNano(), h.GetTimeUnixNano()
				buckets, err := exponential(h, d.millis(p))
				d.duration(p, buckets, err)
			}
		}
		return
	}
	d.reject(invalidPoint, fmt.Sprintf("metric %s: a histogram is needed", cut(p.m.GetName(), maxTextChars)))
}

// millis is how many milliseconds the metric's unit has.
func (d *decoding) millis(p point) float64 {
	switch p.m.GetUnit() {
	case "s":
		return 1e3
	case "ms":
		return 1
	case "us":
		return 1e-3
	case "ns":
		return 1e-6
	}
	return durations[p.m.GetName()].millis
}

func (d *decoding) duration(p point, buckets []telemetry.Bucket, err error) {
	if err != nil {
		d.reject(invalidPoint, fmt.Sprintf("metric %s: %v", cut(p.m.GetName(), maxTextChars), err))
		return
	}
	e := d.newEvent(telemetry.KindMetric, p.o)
	e.Op = durations[p.m.GetName()].op
	describe(&e, p.attrs)
	if e.Op == telemetry.MetricRequests {
		route := get(p.attrs, "http.route", "http.target")
		e.Page, e.Culprit = cut(pathOf(route), maxURLChars), cut(route, maxTextChars)
		setAttribute(&e, "transaction", route)
		status, _ := strconv.Atoi(get(p.attrs, "http.response.status_code", "http.status_code")) // not a number = not told
		setStatus(&e, status)
	}
	e.User = "" // a series is nobody's
	d.stamp(&e, p.at)
	e.Metric = &telemetry.Metric{
		Name: cut(p.m.GetName(), maxTextChars), Resource: p.o.hash, Series: seriesOf(p), Cumulative: p.cumulative, Buckets: buckets,
	}
	if p.start > 0 && p.start <= math.MaxInt64 {
		e.Metric.Start = d.req.Received.Add(-min(max(d.req.Age(time.Unix(0, int64(p.start))), -maxFuture), maxPast))
	}
	if !p.cumulative { // sent again it would count again
		e.ID = "point-" + strconv.FormatUint(e.Metric.Series, 16) + "-" + strconv.FormatUint(p.at, 16)
	}
	d.emit(e)
}

// seriesOf tells time series apart: resource, scope, metric, attributes and
// when counting began. A new start is thus a new series.
func seriesOf(p point) uint64 {
	return mix(p.o.hash, p.scope, p.m.GetName(), strconv.FormatUint(hashOf(p.attrs), 16), strconv.FormatUint(p.start, 16))
}

func mix(first uint64, parts ...string) uint64 {
	h := fnv.New64a()
	h.Write(strconv.AppendUint(nil, first, 16))
	for _, p := range parts {
		h.Write([]byte{0})
		h.Write([]byte(p))
	}
	return h.Sum64()
}

// hashOf is of attributes in any order.
func hashOf(attrs []*common.KeyValue) uint64 {
	all := make([]string, 0, len(attrs))
	for _, a := range attrs {
		s, ok := text(a.GetValue())
		if !ok { // lists, maps and bytes
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a.GetValue())
			if err != nil {
				continue
			}
			s = string(b)
		}
		all = append(all, a.GetKey()+"\x01"+s)
	}
	slices.Sort(all)
	return mix(uint64(len(all)), all...)
}
