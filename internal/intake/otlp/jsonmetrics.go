package otlp

import (
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"

	"serin/internal/intake/loosejson"
)

func (d *decoding) jsonMetrics(root loosejson.Value, m *metrics.MetricsData) {
	for rv := range root.Get("resourceMetrics").Items() {
		rm := &metrics.ResourceMetrics{Resource: d.jsonResource(rv.Get("resource"))}
		for sv := range rv.Get("scopeMetrics").Items() {
			sm := &metrics.ScopeMetrics{Scope: d.jsonScope(sv.Get("scope"))}
			for v := range sv.Get("metrics").Items() {
				sm.Metrics = append(sm.Metrics, d.jsonMetric(v))
			}
			rm.ScopeMetrics = append(rm.ScopeMetrics, sm)
		}
		m.ResourceMetrics = append(m.ResourceMetrics, rm)
	}
}

func (d *decoding) jsonMetric(v loosejson.Value) *metrics.Metric {
	m := &metrics.Metric{Name: d.jsonText(v.Get("name")), Unit: d.jsonText(v.Get("unit"))}
	temporality := func(x loosejson.Value) metrics.AggregationTemporality {
		return metrics.AggregationTemporality(d.jsonInt32(x.Get("aggregationTemporality")))
	}
	for key, x := range v.Fields() {
		if x.Absent() {
			continue
		}
		switch key {
		case "gauge":
			m.Data = &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: d.jsonNumbers(x)}}
		case "sum":
			monotonic, _ := x.Get("isMonotonic").Bool()
			m.Data = &metrics.Metric_Sum{Sum: &metrics.Sum{DataPoints: d.jsonNumbers(x), AggregationTemporality: temporality(x), IsMonotonic: monotonic}}
		case "histogram":
			m.Data = &metrics.Metric_Histogram{Histogram: &metrics.Histogram{DataPoints: d.jsonHistograms(x), AggregationTemporality: temporality(x)}}
		case "exponentialHistogram":
			m.Data = &metrics.Metric_ExponentialHistogram{ExponentialHistogram: &metrics.ExponentialHistogram{DataPoints: d.jsonExponentials(x), AggregationTemporality: temporality(x)}}
		case "summary":
			m.Data = &metrics.Metric_Summary{Summary: &metrics.Summary{}}
		}
	}
	return m
}

func (d *decoding) jsonNumbers(v loosejson.Value) []*metrics.NumberDataPoint {
	var all []*metrics.NumberDataPoint
	for p := range v.Get("dataPoints").Items() {
		n := &metrics.NumberDataPoint{
			Attributes: d.jsonAttributes(p.Get("attributes")), Flags: uint32(d.jsonInt32(p.Get("flags"))),
			StartTimeUnixNano: d.jsonUint(p.Get("startTimeUnixNano")), TimeUnixNano: d.jsonUint(p.Get("timeUnixNano")),
		}
		if x := p.Get("asInt"); !x.Absent() {
			n.Value = &metrics.NumberDataPoint_AsInt{AsInt: d.jsonInt(x)}
		} else if x := p.Get("asDouble"); !x.Absent() {
			n.Value = &metrics.NumberDataPoint_AsDouble{AsDouble: d.jsonFloat(x)}
		}
		all = append(all, n)
	}
	return all
}

// jsonMax reads the largest value of a point; nil = not told.
func (d *decoding) jsonMax(p loosejson.Value) *float64 {
	v := p.Get("max")
	if v.Absent() {
		return nil
	}
	x := d.jsonFloat(v)
	return &x
}

func (d *decoding) jsonCounts(v loosejson.Value) []uint64 {
	var all []uint64
	for n := range v.Items() {
		all = append(all, d.jsonUint(n))
	}
	return all
}

func (d *decoding) jsonHistograms(v loosejson.Value) []*metrics.HistogramDataPoint {
	var all []*metrics.HistogramDataPoint
	for p := range v.Get("dataPoints").Items() {
		h := &metrics.HistogramDataPoint{
			Attributes: d.jsonAttributes(p.Get("attributes")), Count: d.jsonUint(p.Get("count")), Max: d.jsonMax(p), Flags: uint32(d.jsonInt32(p.Get("flags"))),
			StartTimeUnixNano: d.jsonUint(p.Get("startTimeUnixNano")), TimeUnixNano: d.jsonUint(p.Get("timeUnixNano")),
			BucketCounts: d.jsonCounts(p.Get("bucketCounts")),
		}
		for b := range p.Get("explicitBounds").Items() {
			h.ExplicitBounds = append(h.ExplicitBounds, d.jsonFloat(b))
		}
		all = append(all, h)
	}
	return all
}

func (d *decoding) jsonExponentials(v loosejson.Value) []*metrics.ExponentialHistogramDataPoint {
	var all []*metrics.ExponentialHistogramDataPoint
	for p := range v.Get("dataPoints").Items() {
		buckets := func(key string) *metrics.ExponentialHistogramDataPoint_Buckets {
			b := p.Get(key)
			return &metrics.ExponentialHistogramDataPoint_Buckets{Offset: d.jsonInt32(b.Get("offset")), BucketCounts: d.jsonCounts(b.Get("bucketCounts"))}
		}
		all = append(all, &metrics.ExponentialHistogramDataPoint{
			Attributes: d.jsonAttributes(p.Get("attributes")), Count: d.jsonUint(p.Get("count")), Max: d.jsonMax(p), Flags: uint32(d.jsonInt32(p.Get("flags"))),
			StartTimeUnixNano: d.jsonUint(p.Get("startTimeUnixNano")), TimeUnixNano: d.jsonUint(p.Get("timeUnixNano")),
			Scale: d.jsonInt32(p.Get("scale")), ZeroCount: d.jsonUint(p.Get("zeroCount")), ZeroThreshold: d.jsonFloat(p.Get("zeroThreshold")),
			Positive: buckets("positive"), Negative: buckets("negative"),
		})
	}
	return all
}
