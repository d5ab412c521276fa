package otlp

import (
	"errors"
	"math"

	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"

	"serin/internal/telemetry"
)

// Why a histogram's point is rejected.
var (
	errCounts  = errors.New("the number of counts does not fit the number of bounds")
	errBounds  = errors.New("the bounds do not ascend")
	errBuckets = errors.New("a point has too many buckets or counts")
	errScale   = errors.New("the scale is out of range")
)

// maxCount bounds a bucket's count, so that sums stay exact.
const maxCount = 1 << 50

// explicit are the buckets of a point with explicit bounds, empty ones too, so
// that those of the next point stand at the same places. Durations begin at 0.
// What lies above the last bound lies below the point's largest value where
// that is of the same span of time; else it counts as just above the bound.
func explicit(h *metrics.HistogramDataPoint, millis float64, cumulative bool) ([]telemetry.Bucket, error) {
	bounds, counts := h.GetExplicitBounds(), h.GetBucketCounts()
	switch {
	case len(counts) == 0 && len(bounds) == 0: // no buckets: all is one
		counts = []uint64{h.GetCount()}
	case len(counts) != len(bounds)+1:
		return nil, errCounts
	case len(counts) > maxBuckets:
		return nil, errBuckets
	}
	out := make([]telemetry.Bucket, 0, len(counts))
	lower := 0.0
	for i, n := range counts {
		if n > maxCount {
			return nil, errBuckets
		}
		upper := above(lower)
		switch {
		case i < len(bounds):
			if math.IsNaN(bounds[i]) || math.IsInf(bounds[i], 0) || i > 0 && bounds[i] <= bounds[i-1] {
				return nil, errBounds
			}
			upper = max(bounds[i]*millis, 0)
		case !cumulative && h.Max != nil && finite(h.GetMax()*millis) && h.GetMax()*millis > lower:
			upper = h.GetMax() * millis
		}
		if !finite(upper) {
			return nil, errBounds
		}
		out = append(out, telemetry.Bucket{Lower: lower, Upper: upper, N: int64(n)})
		lower = upper
	}
	return out, nil
}

func above(x float64) float64 { return math.Nextafter(x, math.MaxFloat64) }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Bounds of an exponential histogram's scale: a base of 2^(2^10), and the
// finest that SDKs make (OpenTelemetry SDK, MaxScale 20).
const (
	minScale = -10
	maxScale = 20
)

// exponential are the filled buckets of an exponential histogram: bucket i is
// (base^i, base^(i+1)] with base = 2^(2^-scale) (opentelemetry-proto,
// ExponentialHistogramDataPoint). Durations have no negative values.
func exponential(h *metrics.ExponentialHistogramDataPoint, millis float64) ([]telemetry.Bucket, error) {
	scale, positive := h.GetScale(), h.GetPositive()
	switch {
	case scale < minScale || scale > maxScale:
		return nil, errScale
	case len(positive.GetBucketCounts()) > maxBuckets, h.GetZeroCount() > maxCount:
		return nil, errBuckets
	case !finite(h.GetZeroThreshold()) || h.GetZeroThreshold() < 0:
		return nil, errBounds
	}
	var out []telemetry.Bucket
	if n := h.GetZeroCount(); n > 0 {
		out = append(out, telemetry.Bucket{Upper: h.GetZeroThreshold() * millis, N: int64(n)})
	}
	edge := func(i int64) float64 { return math.Exp2(math.Ldexp(float64(i), -int(scale))) * millis }
	for i, n := range positive.GetBucketCounts() {
		if n == 0 {
			continue
		}
		at := int64(positive.GetOffset()) + int64(i)
		lower, upper := edge(at), edge(at+1)
		if n > maxCount || !finite(lower) || !finite(upper) {
			return nil, errBuckets
		}
		out = append(out, telemetry.Bucket{Lower: lower, Upper: upper, N: int64(n)})
	}
	return out, nil
}
