package api_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"serin/internal/auth"
)

// frame is one server-sent event.
type frame struct{ id, event, data string }

// listener reads a stream until the test ends.
type listener struct {
	*testing.T
	lines *bufio.Scanner
	resp  *http.Response
}

func (r *rig) listen(token, last string) *listener {
	r.Helper()
	req := r.request(http.MethodGet, "/stream", token, nil)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		r.Fatalf("stream: %d %v", resp.StatusCode, resp.Header)
	}
	return &listener{r.T, bufio.NewScanner(resp.Body), resp}
}

// next reads one event; open is false at the end of the stream.
func (l *listener) next() (f frame, open bool) {
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "id":
			f.id = value
		case "event":
			f.event = value
		case "data":
			f.data = value
		case "":
			return f, true
		}
	}
	return f, false
}

// fact reads on to the next event that is no beat.
func (l *listener) fact() frame {
	l.Helper()
	for {
		f, open := l.next()
		if !open {
			l.Fatal("the stream ended")
		}
		if f.event != "beat" {
			return f
		}
		if f.id != "" || !strings.HasPrefix(f.data, `{"now":`) {
			l.Errorf("beat: %+v", f)
		}
	}
}

func TestStream(t *testing.T) {
	r := newRig(t)
	l := r.listen(r.tokens[auth.Read], "")
	for range 3 { // it lives
		if f, open := l.next(); !open || f.event != "beat" {
			t.Fatalf("got %+v, want a beat", f)
		}
	}
	seq := r.feed.Send("rollout", map[string]any{"id": "checkout-1"})
	if got, want := l.fact(), (frame{number(seq), "rollout", `{"id":"checkout-1"}`}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for range 3 {
		r.feed.Send("flag", map[string]any{})
	}

	// A page that was away gets what it missed; one away for too long, or from
	// before a restart, reads everything again.
	if got := r.listen(r.tokens[auth.Read], number(seq+2)).fact(); got.id != number(seq+3) || got.event != "flag" {
		t.Errorf("resumed with %+v", got)
	}
	for range 5 {
		r.feed.Send("flag", map[string]any{})
	}
	for _, last := range []string{number(seq), "7", number(seq + 1_000_000)} {
		if got := r.listen(r.tokens[auth.Read], last).fact(); got.event != "reload" {
			t.Errorf("after %s: %+v", last, got)
		}
	}
}

// TestStreamEnds: with the server, and when the token is revoked.
func TestStreamEnds(t *testing.T) {
	r := newRig(t)
	secret, token, err := r.people.CreateToken(t.Context(), auth.Principal{Name: "rig", Scopes: []string{"admin"}},
		auth.NewToken{Name: "leaver", Kind: auth.KindOperator, Scopes: []string{"read"}})
	if err != nil {
		t.Fatal(err)
	}
	leaver, stayer := r.listen(secret, ""), r.listen(r.tokens[auth.Read], "")
	r.as(auth.Admin, 204, http.MethodDelete, "/tokens/"+token.ID, nil)
	for {
		if _, open := leaver.next(); !open {
			break
		}
	}
	if _, open := stayer.next(); !open {
		t.Error("another's stream ended too")
	}
	r.feed.Close()
	for {
		if _, open := stayer.next(); !open {
			break
		}
	}
}
