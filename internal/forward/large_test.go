package forward_test

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"serin/internal/forward"
	"serin/internal/intake"
)

// bigUpstream takes envelopes of any size and keeps a hash of what follows
// their first line.
type bigUpstream struct {
	mu     sync.Mutex // guards the fields below
	header string
	sums   []string
	sizes  []int64
	limit  string // X-Sentry-Rate-Limits of each answer
	refuse int    // how many requests are answered with 503 first
}

func (u *bigUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in := bufio.NewReader(z)
	line, _ := in.ReadString('\n')
	sum := crc32.New(castagnoli)
	n, err := io.Copy(sum, in)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refuse--; u.refuse >= 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	u.header, u.sums, u.sizes = line, append(u.sums, hex.EncodeToString(sum.Sum(nil))), append(u.sizes, n)
	w.Header().Set("X-Sentry-Rate-Limits", u.limit)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// lines are 1 kB each and compress well; together they are longer
// than what a compressor looks back on.
var lines = sync.OnceValue(func() [][]byte {
	out := make([][]byte, 256)
	for i := range out {
		out[i] = make([]byte, 1000)
		copy(out[i], fmt.Sprintf("%x\n", sha256.Sum256([]byte{byte(i)})))
	}
	return out
})

// attachment writes n bytes, a multiple of 1 kB.
func attachment(w io.Writer, n int) error {
	all := lines()
	for i := range n / 1000 {
		if _, err := w.Write(all[i%len(all)]); err != nil {
			return err
		}
	}
	return nil
}

// bigEnvelope writes an envelope of an event, an attachment of n bytes and a
// session, and its hash but for the first line.
func bigEnvelope(w io.Writer, n int, sum hash.Hash) error {
	if _, err := fmt.Fprintf(w, "{\"dsn\":\"http://%s@serin.example/%s\"}\n", ourKey, ourProject); err != nil {
		return err
	}
	w = io.MultiWriter(w, sum)
	_, err := fmt.Fprintf(w, "%s{\"type\":\"attachment\",\"length\":%d}\n", event, n)
	if err == nil {
		err = attachment(w, n)
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "\n%s", session)
	}
	return err
}

// large is passOn with files, as the server has it.
type large struct{ *running }

func (p large) Forward(f intake.Forwarded) {
	p.Accept(forward.Request{Project: f.Project, Endpoint: f.Endpoint, Key: f.Key, Header: f.Request.Header, Query: f.Request.URL.Query(),
		Body: f.Body, File: f.File, Received: monday})
}

// post sends an envelope of about n bytes to a door, compressed or not.
func post(t *testing.T, to http.Handler, n int, packed bool) (status int, sum string) {
	t.Helper()
	r, w := io.Pipe()
	h := crc32.New(castagnoli)
	var sent sync.WaitGroup
	sent.Go(func() {
		if !packed {
			_ = w.CloseWithError(bigEnvelope(w, n, h))
			return
		}
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		err := bigEnvelope(z, n, h)
		if err == nil {
			err = z.Close()
		}
		_ = w.CloseWithError(err)
	})
	req := httptest.NewRequest(http.MethodPost, "/api/"+ourProject+"/envelope/?sentry_key="+ourKey, r)
	if packed {
		req.Header.Set("Content-Encoding", "gzip")
	}
	answer := httptest.NewRecorder()
	to.ServeHTTP(answer, req)
	_ = r.Close()
	sent.Wait()
	return answer.Code, hex.EncodeToString(h.Sum(nil))
}

// TestLargeEnvelope: an envelope of 60 MB reaches the upstream byte for byte,
// also when the first try fails, and is nowhere in memory as a whole.
func TestLargeEnvelope(t *testing.T) {
	u := &bigUpstream{refuse: 1}
	srv := httptest.NewServer(u)
	defer srv.Close()
	dir := t.TempDir()
	f := run(t, dir, strings.Replace(srv.URL, "://", "://"+theirKey+"@", 1)+"/"+theirProject)
	to := intakeDoor(large{f})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	status, want := post(t, to, 60_000_000, true)
	if status != http.StatusOK {
		t.Fatalf("answer %d", status)
	}
	f.until(t, "sent", func(s forward.Status) bool { return s.Sent == 1 && s.Queued == 0 })
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 30<<20 {
		t.Errorf("it took %d MB of memory in all", got>>20)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.sums) != 1 || u.sums[0] != want {
		t.Errorf("the upstream got %d envelopes of %v bytes, not what was sent", len(u.sums), u.sizes)
	}
	if !strings.Contains(u.header, theirKey) || strings.Contains(u.header, ourKey) {
		t.Errorf("header %s", u.header)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*.tmp")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// TestLargeWithout: what the upstream limits is left out of a large envelope,
// and what it takes keeps its bytes.
func TestLargeWithout(t *testing.T) {
	u := &bigUpstream{limit: "3600:attachment:organization"}
	srv := httptest.NewServer(u)
	defer srv.Close()
	f := run(t, t.TempDir(), strings.Replace(srv.URL, "://", "://"+theirKey+"@", 1)+"/"+theirProject)
	to := intakeDoor(large{f})
	for i := range 2 {
		if status, _ := post(t, to, 6_000_000, true); status != http.StatusOK {
			t.Fatalf("answer %d", status)
		}
		f.until(t, "sent", func(s forward.Status) bool { return s.Sent == int64(i+1) && s.Queued == 0 })
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	rest := crc32.New(castagnoli)
	_, _ = io.WriteString(rest, event+session)
	if len(u.sums) != 2 || u.sums[1] != hex.EncodeToString(rest.Sum(nil)) {
		t.Errorf("the upstream got %v bytes, the second time want %d", u.sizes, len(event+session))
	}
	if held := f.Status()[0].Held["attachment"]; held != 1 {
		t.Errorf("%d attachments held", held)
	}
}

// TestLargeLimits: a body beyond the larger limits is refused and leaves
// nothing behind; where nothing is forwarded the usual limits hold.
func TestLargeLimits(t *testing.T) {
	dir := t.TempDir()
	f := run(t, dir, "http://"+theirKey+"@127.0.0.1:1/"+theirProject)
	if status, _ := post(t, intakeDoor(large{f}), 60_000_000, false); status != http.StatusRequestEntityTooLarge {
		t.Errorf("60 MB on the wire: answer %d", status)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*.tmp")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if status, _ := post(t, intakeDoor(nil), 60_000_000, true); status != http.StatusRequestEntityTooLarge {
		t.Errorf("60 MB that nobody forwards: answer %d", status)
	}
}
