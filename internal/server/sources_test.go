package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
)

// promDouble stands in for a Prometheus whose pool is 40 % in use for one
// tenant and 20 % for another. When it fails, its queries find nothing.
type promDouble struct {
	url   string
	fails atomic.Bool
	asked atomic.Int64
}

func newPromDouble(t *testing.T) *promDouble {
	d := &promDouble{}
	// Its clock is this machine's and not the test's: without a Date header
	// nothing is taken to be old.
	srv := httptest.NewServer(undated(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.asked.Add(1)
		if r.URL.Path != "/api/v1/query" || r.FormValue("query") == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		series := `{"metric":{"tenant":"b"},"value":[1,"0.2"]},{"metric":{"tenant":"a"},"value":[1,"0.4"]}`
		if d.fails.Load() {
			series = ""
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, series)
	})))
	t.Cleanup(srv.Close)
	d.url = srv.URL
	return d
}

func undated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		next.ServeHTTP(w, r)
	})
}

// addSource adds a Prometheus to the program's configuration.
func (d *driven) addSource(url string) error {
	f, err := os.OpenFile(d.file("serin.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, "sources: { metrics: { kind: prometheus, url: %q, allow_private: true } }\n", url); err != nil {
		return err
	}
	return f.Close()
}
