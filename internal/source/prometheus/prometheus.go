// Package prometheus asks any API that speaks Prometheus' instant query:
// Prometheus, Mimir, Thanos, VictoriaMetrics. It knows the answers vector,
// scalar and matrix of prometheus.io/docs/prometheus/latest/querying/api.
//
// Of several series the worst is the answer, and its labels name it: of a pool
// by tenant, the tenant whose pool is fullest. Values that are not finite, such
// as 0/0, are no values. Units are as the query gives them.
package prometheus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/outbound"
	"serin/internal/source"
)

// maxAnswer bounds an answer in bytes. A series takes about 200.
const maxAnswer = 4 << 20

// maxLabels bounds the text that names a series, in bytes.
const maxLabels = 200

// Options are where to ask and how.
type Options struct {
	URL    string // of the server, without /api/v1
	Client *outbound.Client
}

// Source is a source.Source.
type Source struct {
	query  string // address of the instant query
	client *outbound.Client
}

var _ source.Source = (*Source)(nil)

// New returns a Source, or what is wrong with its address.
func New(o Options) (*Source, error) {
	if err := outbound.CheckURL(o.URL); err != nil {
		return nil, err
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, errors.New("url: write it as https://HOST/PATH")
	}
	return &Source{query: u.JoinPath("api/v1/query").String(), client: o.Client}, nil
}

// refused is an answer that is about one query: the next may well succeed.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// Fetch implements source.Source. Where the server cannot be asked at all the
// queries that are left get the same error: they would wait as long each.
func (s *Source) Fetch(ctx context.Context, queries []source.Query) []source.Answer {
	out := make([]source.Answer, len(queries))
	for i, q := range queries {
		value, err := s.ask(ctx, q)
		out[i] = source.Answer{Value: value, Err: err}
		var one refused
		if err == nil || errors.Is(err, source.ErrEmpty) || errors.As(err, &one) {
			continue
		}
		for j := i + 1; j < len(queries); j++ {
			out[j].Err = err
		}
		break
	}
	return out
}

// ask sends one query as a form, which has no limit of length as addresses have.
func (s *Source) ask(ctx context.Context, q source.Query) (source.Value, error) {
	form := url.Values{"query": {q.Text}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.query, strings.NewReader(form))
	if err != nil {
		return source.Value{}, errors.New("the address cannot be asked")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, body, whole, err := s.client.Do(r, maxAnswer)
	switch {
	case err != nil:
		return source.Value{}, fmt.Errorf("ask prometheus: %w", err)
	case resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusUnprocessableEntity:
		return source.Value{}, refused{fmt.Errorf("prometheus refuses the query: %s", reason(body))}
	case resp.StatusCode != http.StatusOK:
		return source.Value{}, fmt.Errorf("prometheus answers %d: %s", resp.StatusCode, reason(body))
	case !whole:
		return source.Value{}, refused{fmt.Errorf("the answer is longer than %d MiB: let the query find fewer series", maxAnswer>>20)}
	}
	value, err := decode(body, q.LowIsWorse, answeredAt(resp))
	if err != nil && !errors.Is(err, source.ErrEmpty) {
		err = refused{err}
	}
	return value, err
}

// answeredAt is the server's own time, against which samples are as old as they are.
func answeredAt(resp *http.Response) time.Time {
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at
}

// reason is what the API says of an error, or the begin of what is no API's.
func reason(body []byte) string {
	var a struct{ Error string }
	if json.Unmarshal(body, &a) == nil && a.Error != "" {
		return outbound.Excerpt([]byte(a.Error))
	}
	return outbound.Excerpt(body)
}

// answer is the body of an instant query.
type answer struct {
	Status string
	Error  string
	Data   struct {
		ResultType string
		Result     json.RawMessage
	}
}

// series is one of a vector or a matrix.
type series struct {
	Metric     map[string]string
	Value      *sample
	Values     []sample
	Histogram  json.RawMessage
	Histograms json.RawMessage
}

// sample is [Unix seconds, "value"].
type sample struct {
	at    float64
	value float64
}

// UnmarshalJSON reads a pair.
func (s *sample) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	var text string
	if len(pair) != 2 || json.Unmarshal(pair[0], &s.at) != nil || json.Unmarshal(pair[1], &text) != nil {
		return errors.New("a sample is not [time, \"value\"]")
	}
	var err error
	if s.value, err = strconv.ParseFloat(text, 64); err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("value %q is no number", outbound.Excerpt([]byte(text)))
	}
	return nil
}

// decode reads an answer and takes the worst series; now is when it was given,
// zero = not known.
func decode(body []byte, lowIsWorse bool, now time.Time) (source.Value, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return source.Value{}, fmt.Errorf("this is no answer of Prometheus' API: %s", outbound.Excerpt(body))
	}
	if a.Status != "success" {
		return source.Value{}, fmt.Errorf("prometheus answers with an error: %s", outbound.Excerpt([]byte(a.Error)))
	}
	var found []series
	switch a.Data.ResultType {
	case "scalar":
		s := &sample{}
		if err := json.Unmarshal(a.Data.Result, s); err != nil {
			return source.Value{}, fmt.Errorf("read the scalar: %w", err)
		}
		found = []series{{Value: s}}
	case "vector", "matrix":
		if err := json.Unmarshal(a.Data.Result, &found); err != nil {
			return source.Value{}, fmt.Errorf("read the %s: %w", a.Data.ResultType, err)
		}
	default:
		return source.Value{}, fmt.Errorf("the answer is a %q: ask for a number", outbound.Excerpt([]byte(a.Data.ResultType)))
	}
	return worst(found, lowIsWorse, now)
}

// worst picks a series; of equal ones the first by its labels, so that the
// same series is named each time.
func worst(found []series, lowIsWorse bool, now time.Time) (source.Value, error) {
	var out source.Value
	unreal := 0
	for _, s := range found {
		last := s.Value
		if n := len(s.Values); n > 0 {
			last = &s.Values[n-1]
		}
		if last == nil {
			if s.Histogram != nil || s.Histograms != nil {
				return source.Value{}, errors.New("the series are histograms: ask for histogram_quantile of them")
			}
			continue
		}
		if math.IsNaN(last.value) || math.IsInf(last.value, 0) {
			unreal++
			continue
		}
		name := labels(s.Metric)
		if out.Count++; out.Count == 1 || worse(last.value, name, out, lowIsWorse) {
			out.Number, out.Series, out.Age = last.value, name, age(last.at, now)
		}
	}
	if out.Count == 0 {
		why := "the query found no series"
		if unreal > 0 {
			why = "the query found no finite value"
		}
		return source.Value{}, fmt.Errorf("%s: %w", why, source.ErrEmpty)
	}
	return out, nil
}

func worse(v float64, name string, than source.Value, lowIsWorse bool) bool {
	if v == than.Number {
		return name < than.Series
	}
	return v < than.Number == lowIsWorse
}

// age is how old a sample is; less than two seconds is the grain of the Date header.
func age(unix float64, now time.Time) time.Duration {
	if now.IsZero() || !(unix > 0) || unix > 1e11 {
		return 0
	}
	d := now.Sub(time.UnixMilli(int64(unix * 1000)))
	if d < 2*time.Second {
		return 0
	}
	return d
}

// labels writes a series' labels as PromQL does, without the metric's name.
func labels(metric map[string]string) string {
	var b bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(metric)) {
		if key == "__name__" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=%q", key, metric[key])
	}
	if b.Len() == 0 {
		return ""
	}
	if b.Len() > maxLabels {
		b.Truncate(maxLabels)
		return "{" + strings.ToValidUTF8(b.String(), "") + "…}"
	}
	return "{" + b.String() + "}"
}
