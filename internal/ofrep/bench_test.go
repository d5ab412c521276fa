package ofrep

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/murmur3"
)

func flags100(t testing.TB) string {
	data, err := os.ReadFile("testdata/flags-100.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// bare is what any handler costs: the rule by hand, the answer appended.
func bare(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request struct {
		Context struct{ TargetingKey, Country string }
	}
	if err != nil || json.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	on := request.Context.Country == "NL" || uint64(murmur3.StringSum32("new-checkout"+request.Context.TargetingKey))*100>>32 < 25
	b := append([]byte(nil), `{"key":"new-checkout","value":`...)
	b = strconv.AppendBool(b, on)
	b = append(b, `,"reason":"TARGETING_MATCH","variant":"on","metadata":{}}`...)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

func benchBodies() []string {
	bodies := make([]string, 1024)
	countries := []string{"NL", "DE", "BE", "FR", "US", "GB", "ES", "PL"}
	for i := range bodies {
		bodies[i] = fmt.Sprintf(`{"context":{"targetingKey":"user-%06d","country":%q,"plan":"pro","email":"user-%06d@example.com"}}`, i, countries[i%8], i)
	}
	return bodies
}

func benchPost(b *testing.B, url string, status int, header ...string) {
	bodies := benchBodies()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		req, err := http.NewRequestWithContext(b.Context(), "POST", url, strings.NewReader(bodies[i&1023]))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer server")
		for j := 0; j+1 < len(header); j += 2 {
			req.Header.Set(header[j], header[j+1])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != status {
			b.Fatalf("status %d", res.StatusCode)
		}
	}
}

// BenchmarkHTTP goes through the loopback; client and server share the cores,
// so only the ratio to bare means something.
func BenchmarkHTTP(b *testing.B) {
	f := start(b, flags100(b), func(o *Options) { o.Observer = nil })
	srv := httptest.NewServer(http.HandlerFunc(bare))
	defer srv.Close()
	b.Run("bare", func(b *testing.B) { benchPost(b, srv.URL, 200) })
	b.Run("single", func(b *testing.B) { benchPost(b, f.url+bulkPath+"/new-checkout", 200) })
	b.Run("bulk100", func(b *testing.B) { benchPost(b, f.url+bulkPath, 200) })
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkHandler is the door's own share, without net/http.
func BenchmarkHandler(b *testing.B) {
	f := start(b, flags100(b), nil)
	door := New(Options{Hub: f.hub, Keys: keys{}, Heartbeat: time.Minute})
	bodies := benchBodies()
	run := func(h http.Handler, path string, header ...string) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			req := httptest.NewRequest("POST", path, nil)
			req.Header.Set("Authorization", "Bearer server")
			for j := 0; j+1 < len(header); j += 2 {
				req.Header.Set(header[j], header[j+1])
			}
			w := discard{http.Header{}}
			for i := 0; b.Loop(); i++ {
				req.Body = io.NopCloser(strings.NewReader(bodies[i&1023]))
				h.ServeHTTP(w, req)
			}
		}
	}
	b.Run("bare", run(http.HandlerFunc(bare), "/"))
	b.Run("single", run(door, bulkPath+"/new-checkout"))
	b.Run("bulk100", run(door, bulkPath))
	b.Run("unchanged", func(b *testing.B) {
		one := bodies[0]
		for i := range bodies {
			bodies[i] = one
		}
		tag := f.do("POST", bulkPath, one).header.Get("ETag")
		run(door, bulkPath, "If-None-Match", tag)(b)
	})
}

// BenchmarkPropagation is from Publish until all clients have read the frame.
func BenchmarkPropagation(b *testing.B) {
	for _, clients := range []int{1, 100, 1000} {
		b.Run(strconv.Itoa(clients), func(b *testing.B) {
			f := start(b, testFlags, nil)
			var got atomic.Int64
			var all sync.WaitGroup
			arrived := make(chan struct{}, clients)
			for range clients {
				lines, cancel := f.events("/ofrep/v1/stream?token=page")
				defer cancel()
				all.Go(func() {
					for l := range lines {
						if strings.HasPrefix(l, "data: ") {
							got.Add(1)
							arrived <- struct{}{}
						}
					}
				})
			}
			revision := int64(1)
			for b.Loop() {
				revision++
				f.hub.Publish(compileFlags(b, revision, testFlags))
				for range clients {
					<-arrived
				}
			}
			if want := int64(clients) * (revision - 1); got.Load() != want {
				b.Errorf("got %d frames, want %d", got.Load(), want)
			}
			f.hub.Close()
			all.Wait()
		})
	}
}
