package telemetry

import "time"

// What a data point of OpenTelemetry stands for: Event.Op of KindMetric.
const (
	MetricRequests = "http.server" // a histogram of server requests
	MetricQueries  = "db"          // a histogram of database operations
	MetricMemory   = "memory"      // bytes that a process uses
	MetricPoolUsed = "pool.used"   // connections in use
	MetricPoolMax  = "pool.max"    // connections that there may be
	MetricGauge    = "gauge"       // any other value, by its name
)

// Metric is one data point of an OpenTelemetry metric. It carries no user.
// Resource and Series are hashes that tell processes and time series apart;
// a new start of the same series has another Series.
type Metric struct {
	Name     string // "http.server.request.duration"
	Resource uint64
	Series   uint64
	// Start is when counting began, in server time; zero = not told.
	Start time.Time
	// Cumulative is true when Buckets count since Start, false when they count
	// since the point before.
	Cumulative bool
	Buckets    []Bucket `json:",omitempty"` // of histograms, ascending
	Value      float64  // of the others, in the unit of the metric
}

// Bucket is N values in (Lower, Upper], in milliseconds. Where they lie within
// is not known.
type Bucket struct {
	Lower, Upper float64
	N            int64
}

// Times is how many requests or spans the event stands for, at least 1.
func (e *Event) Times() int64 { return max(e.Weight, 1) }
