package prometheus

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"serin/internal/outbound"
	"serin/internal/source"
	"serin/internal/source/sourcetest"
)

func answerOf(kind, result string) string {
	return fmt.Sprintf(`{"status":"success","data":{"resultType":%q,"result":%s}}`, kind, result)
}

func TestConformance(t *testing.T) {
	sourcetest.Run(t, sourcetest.Service{
		Open: func(t *testing.T, url string, c *outbound.Client) source.Source {
			s, err := New(Options{URL: url, Client: c})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Query: source.Query{Text: "up"},
		Good: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/v1/query" || r.FormValue("query") != "up" {
				w.WriteHeader(http.StatusNotFound)
			}
			fmt.Fprint(w, answerOf("vector", `[{"metric":{},"value":[1,"1"]}]`))
		},
	})
}

func TestDecode(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	for _, tt := range []struct {
		name, body string
		low        bool
		want       source.Value
		wantErr    string
		empty      bool
	}{
		{name: "scalar", body: answerOf("scalar", `[1000000,"0.4"]`), want: source.Value{Number: 0.4, Count: 1}},
		{name: "worst of a vector", body: answerOf("vector", `[{"metric":{"__name__":"p","tenant":"a"},"value":[1000000,"0.2"]},{"metric":{"tenant":"b"},"value":[1000000,"0.9"]},{"metric":{"tenant":"c"},"value":[1000000,"NaN"]}]`),
			want: source.Value{Number: 0.9, Series: `{tenant="b"}`, Count: 2}},
		{name: "lowest is worse", low: true, body: answerOf("vector", `[{"metric":{"tenant":"a"},"value":[1000000,"0.2"]},{"metric":{"tenant":"b"},"value":[1000000,"0.9"]}]`),
			want: source.Value{Number: 0.2, Series: `{tenant="a"}`, Count: 2}},
		{name: "first of equals by label", body: answerOf("vector", `[{"metric":{"z":"2"},"value":[1000000,"1"]},{"metric":{"z":"1"},"value":[1000000,"1"]}]`),
			want: source.Value{Number: 1, Series: `{z="1"}`, Count: 2}},
		{name: "matrix: the last of the worst", body: answerOf("matrix", `[{"metric":{},"values":[[999900,"7"],[999940,"3"]]}]`), want: source.Value{Number: 3, Count: 1, Age: time.Minute}},
		{name: "no series", body: answerOf("vector", `[]`), wantErr: "found no series", empty: true},
		{name: "only NaN", body: answerOf("vector", `[{"metric":{},"value":[1,"NaN"]},{"metric":{"a":"b"},"value":[1,"+Inf"]}]`), wantErr: "no finite value", empty: true},
		{name: "out of range", body: answerOf("scalar", `[1,"1e999"]`), wantErr: "no finite value", empty: true},
		{name: "histogram", body: answerOf("vector", `[{"metric":{},"histogram":[1,{}]}]`), wantErr: "histogram_quantile"},
		{name: "string", body: answerOf("string", `[1,"x"]`), wantErr: "ask for a number"},
		{name: "error", body: `{"status":"error","error":"it is late"}`, wantErr: "it is late"},
		{name: "no API", body: `<html>`, wantErr: "no answer of Prometheus"},
		{name: "bad pair", body: answerOf("scalar", `[1]`), wantErr: "not [time"},
		{name: "bad number", body: answerOf("scalar", `[1,"x"]`), wantErr: "no number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decode([]byte(tt.body), tt.low, at)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) || errors.Is(err, source.ErrEmpty) != tt.empty {
					t.Fatalf("error %v, want %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWorst: whatever the order of the series, the answer is the extreme one.
func TestWorst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 1, 20).Draw(t, "values")
		low := rapid.Bool().Draw(t, "low")
		var found []series
		want := values[0]
		for i, v := range values {
			found = append(found, series{Metric: map[string]string{"i": fmt.Sprint(i)}, Value: &sample{1, v}})
			if low {
				want = min(want, v)
			} else {
				want = max(want, v)
			}
		}
		got, err := worst(rapid.Permutation(found).Draw(t, "order"), low, time.Time{})
		if err != nil || got.Number != want || got.Count != len(values) {
			t.Fatalf("got %+v, %v, want %v", got, err, want)
		}
	})
}

// TestOneBadQuery: a refused query does not stop the others, a server that
// cannot be asked is asked once.
func TestOneBadQuery(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.FormValue("query") {
		case "bad":
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"status":"error","error":"parse error at char 1"}`)
		case "down":
			w.WriteHeader(http.StatusBadGateway)
		default:
			fmt.Fprint(w, answerOf("scalar", `[1,"2"]`))
		}
	}))
	defer srv.Close()
	c, err := outbound.NewClient(outbound.Options{Guard: outbound.Guard{Allow: outbound.Private}, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{URL: srv.URL, Client: c})
	if err != nil {
		t.Fatal(err)
	}
	got := s.Fetch(t.Context(), []source.Query{{Text: "bad"}, {Text: "good"}, {Text: "down"}, {Text: "good"}})
	if got[0].Err == nil || !strings.Contains(got[0].Err.Error(), "parse error at char 1") {
		t.Errorf("bad query: %v", got[0].Err)
	}
	if got[1].Err != nil || got[1].Value.Number != 2 {
		t.Errorf("good query: %+v", got[1])
	}
	if got[2].Err == nil || got[3].Err == nil || asked != 3 {
		t.Errorf("after a gateway error: %v, %v, asked %d times, want 3", got[2].Err, got[3].Err, asked)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(answerOf("vector", `[{"metric":{"a":"b"},"value":[1,"1"]}]`)), true)
	f.Add([]byte(answerOf("matrix", `[{"metric":{},"values":[[1,"1"]]}]`)), false)
	f.Fuzz(func(t *testing.T, body []byte, low bool) {
		v, err := decode(body, low, time.Unix(1e9, 0))
		if err == nil && (v.Count < 1 || v.Number-v.Number != 0 || v.Age < 0) {
			t.Errorf("%q: %+v", body, v)
		}
	})
}
