package baseline

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// promAnswer is the answer of Prometheus' query_range, and of whatever speaks
// its API.
type promAnswer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		ResultType string       `json:"resultType"`
		Result     []promSeries `json:"result"`
	} `json:"data"`
}

type promSeries struct {
	Metric     map[string]string    `json:"metric"`
	Values     [][2]json.RawMessage `json:"values"` // Unix seconds, value as text
	Histograms []json.RawMessage    `json:"histograms"`
}

// promSample is one sample; value may be NaN or infinite.
type promSample struct {
	where string
	at    time.Time
	value float64
}

// readPrometheus reads a range query's answer, and another with the sample
// sizes. A sample stands for the time before it, as range functions look back:
// increase(errors[1h]) at 10:00 is of 9:00 to 10:00.
func readPrometheus(f File) (points []Point, skipped int, err error) {
	if f.Metric == "" {
		return nil, 0, problem("", "say which metric of the plan the query is: --metric NAME")
	}
	samples, err := promSamples(f.Data, "")
	if err != nil {
		return nil, 0, err
	}
	sizes := map[int64]float64{}
	if f.Counts != nil {
		counts, err := promSamples(f.Counts, "counts ")
		if err != nil {
			return nil, 0, err
		}
		for _, s := range counts {
			sizes[s.at.UnixMilli()] = s.value
		}
	}
	for _, s := range samples {
		size, sized := sizes[s.at.UnixMilli()]
		if unreal(s.value) || sized && unreal(size) {
			skipped++
			continue
		}
		points = append(points, Point{Where: s.where, Begin: before(s.at), Metric: f.Metric, Value: s.value, Count: size, Sized: sized})
	}
	return points, skipped, nil
}

// before is the begin of the hour that ends at t or holds it: what is told at
// 10:00 sharp belongs to the hour from 9:00.
func before(t time.Time) time.Time { return t.Add(-time.Nanosecond).Truncate(time.Hour) }

func unreal(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

// promSamples reads the one series of an answer.
func promSamples(data []byte, prefix string) ([]promSample, error) {
	var a promAnswer
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, problem("", "%sthis is no answer of Prometheus' query_range: %v", prefix, err)
	}
	switch n := len(a.Data.Result); {
	case a.Status == "error" || a.Error != "":
		return nil, problem("", "%sPrometheus answered with an error: %s", prefix, a.Error)
	case a.Status != "success" || a.Data.ResultType != "matrix":
		return nil, problem("", "%sthe answer is of type %q: ask /api/v1/query_range, which answers a matrix", prefix, a.Data.ResultType)
	case n == 0:
		return nil, problem("", "%sthe query found nothing in that time", prefix)
	case n > 1:
		return nil, problem("", "%sthe query has %d series, such as %v and %v: sum them up, so that one is left", prefix, n, a.Data.Result[0].Metric, a.Data.Result[1].Metric)
	}
	series := a.Data.Result[0]
	if len(series.Histograms) > 0 {
		return nil, problem("", "%sthe series is of histograms: ask for histogram_quantile(...) of it", prefix)
	}
	if err := limited(len(series.Values)); err != nil {
		return nil, err
	}
	out := make([]promSample, 0, len(series.Values))
	var bad Problems
	for i, pair := range series.Values {
		s, why := sampleOf(pair)
		s.where = fmt.Sprintf("%svalue %d", prefix, i+1)
		if why != "" {
			bad.add(s.where, "%s", why)
			continue
		}
		out = append(out, s)
	}
	if bad != nil {
		return nil, bad
	}
	return out, nil
}

func sampleOf(pair [2]json.RawMessage) (s promSample, why string) {
	var seconds float64
	var text string
	if json.Unmarshal(pair[0], &seconds) != nil || !(seconds > 0) || seconds >= maxUnix {
		return s, "its time is no Unix time in seconds"
	}
	if json.Unmarshal(pair[1], &text) != nil {
		return s, "its value is no text"
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return s, fmt.Sprintf("its value %q is no number", text)
	}
	s.at, s.value = time.UnixMilli(int64(math.Round(seconds*1000))).UTC(), value
	return s, ""
}
