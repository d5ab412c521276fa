package forward_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// theirKey and theirProject are those of the upstream.
const (
	theirKey     = "fedcba9876543210fedcba9876543210"
	theirProject = "77"
)

// double stands in for the upstream and is as strict as one: what it would not
// take is a fault of ours.
type double struct {
	t   testing.TB
	url string

	mu     sync.Mutex // guards the fields below
	got    []arrived
	before func(w http.ResponseWriter, n int) bool // answers itself if true
	n      int
}

// arrived is one request that the double took.
type arrived struct {
	endpoint string
	query    string
	header   http.Header
	body     []byte
}

func newDouble(t testing.TB) *double {
	d := &double{t: t}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	d.url = srv.URL
	return d
}

func (d *double) dsn() string {
	return strings.Replace(d.url, "://", "://"+theirKey+"@", 1) + "/" + theirProject
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n++
	if d.before != nil && d.before(w, d.n) {
		return
	}
	a, err := d.check(r)
	if err != nil {
		d.t.Errorf("the upstream would not take %s: %v", r.URL, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d.got = append(d.got, a)
	fmt.Fprint(w, `{"id":""}`)
}

// check does what Relay does: path, authentication, encoding, framing.
func (d *double) check(r *http.Request) (a arrived, err error) {
	endpoint, ok := strings.CutPrefix(r.URL.Path, "/api/"+theirProject+"/")
	if a.endpoint = strings.TrimSuffix(endpoint, "/"); !ok || r.Method != http.MethodPost {
		return a, fmt.Errorf("%s %s", r.Method, r.URL.Path)
	}
	auth := r.Header.Get("X-Sentry-Auth")
	if !strings.HasPrefix(auth, "Sentry ") || !strings.Contains(auth, "sentry_version=7") || !strings.Contains(auth, "sentry_key="+theirKey) {
		return a, fmt.Errorf("X-Sentry-Auth: %q", auth)
	}
	if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" || strings.Contains(r.URL.RawQuery, "sentry_key") {
		return a, fmt.Errorf("more authentication than ours: %v, %s", r.Header, r.URL.RawQuery)
	}
	plain := io.Reader(r.Body)
	switch e := r.Header.Get("Content-Encoding"); e {
	case "":
	case "gzip":
		if plain, err = gzip.NewReader(r.Body); err != nil {
			return a, err
		}
	default:
		return a, fmt.Errorf("encoding %q", e)
	}
	if a.body, err = io.ReadAll(plain); err != nil {
		return a, err
	}
	a.header, a.query = r.Header, r.URL.RawQuery
	if a.endpoint == "envelope" {
		_, _, err = split(a.body)
	}
	return a, err
}

func (d *double) arrived() []arrived {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]arrived(nil), d.got...)
}

// split is a framer of its own, written from the specification: the header,
// and every item's header line and payload.
func split(body []byte) (head []byte, items [][2][]byte, err error) {
	head, rest, _ := bytes.Cut(body, []byte("\n"))
	var object map[string]any
	if err := json.Unmarshal(head, &object); err != nil {
		return nil, nil, fmt.Errorf("envelope header: %w", err)
	}
	for len(rest) > 0 {
		if rest[0] == '\n' {
			rest = rest[1:]
			continue
		}
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		var item struct{ Length *int }
		if err := json.Unmarshal(line, &item); err != nil {
			return nil, nil, fmt.Errorf("item header %q: %w", line, err)
		}
		n := bytes.IndexByte(after, '\n')
		if n < 0 {
			n = len(after)
		}
		if item.Length != nil {
			n = *item.Length
		}
		if n > len(after) || n < len(after) && after[n] != '\n' {
			return nil, nil, fmt.Errorf("item %q: its length does not fit", line)
		}
		items = append(items, [2][]byte{line, after[:n]})
		rest = after[min(n+1, len(after)):]
	}
	return head, items, nil
}
