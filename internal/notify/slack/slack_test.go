package slack

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"serin/internal/notify"
	"serin/internal/notify/notifytest"
)

const token = "xoxb-secret"

func bot(url string) *Bot {
	return New(Options{Token: token, BaseURL: url + "/api", Channels: map[string]string{"#team": "C1"}, Every: -1})
}

// double answers like Slack and is as strict: it keeps the messages that it accepted.
func double(t *testing.T, answers ...string) (url string, messages *[]message) {
	messages = new([]message)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/chat.postMessage" ||
			r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("request %s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
		}
		if r.Header.Get("Authorization") != "Bearer "+token {
			fmt.Fprint(w, `{"ok":false,"error":"not_authed"}`)
			return
		}
		var m message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Errorf("body: %v", err)
		}
		*messages = append(*messages, m)
		answer := `{"ok":true,"channel":"C1","ts":"1.2"}`
		if n := len(*messages); n <= len(answers) {
			answer = answers[n-1]
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, messages
}

// plain is v as it is on the wire.
func plain(t *testing.T, v any) (out any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func notice() notify.Notice {
	return notify.Notice{ID: "demo-1/7/team", Address: "slack:#team", Rollout: "demo-1", Type: "rolled_back",
		Title: "demo <rolled> back", Text: "errors & more <!channel>", Rule: "error-rate", Value: "4.1 %", Limit: "2 %",
		Link: "https://serin.example/rollouts/demo-1?a=1&b=2", At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
}

func TestConformance(t *testing.T) {
	notifytest.Run(t, notifytest.Service{
		Open:    func(_ *testing.T, url string) notify.Notifier { return bot(url) },
		Address: "slack:#team", Secret: token,
		Accept: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"ok":true}`) },
	})
}

func TestMessage(t *testing.T) {
	url, messages := double(t)
	if err := bot(url).Deliver(t.Context(), notice()); err != nil {
		t.Fatal(err)
	}
	body := section("errors &amp; more &lt;!channel&gt;")
	want := []message{{
		Channel: "C1",
		Text:    "demo &lt;rolled&gt; back: rule error-rate, value 4.1 %, limit 2 %",
		Blocks: []block{
			section("*demo &lt;rolled&gt; back*"), body,
			{Type: "section", Fields: []text{mrkdwn("*Rule*\nerror-rate"), mrkdwn("*Value*\n4.1 %"), mrkdwn("*Limit*\n2 %")}},
			{Type: "context", Elements: []any{mrkdwn("demo-1 · 2026-03-02 09:00:00 UTC · <https://serin.example/rollouts/demo-1?a=1&amp;b=2|open in serin>")}},
		},
	}}
	if diff := cmp.Diff(plain(t, want), plain(t, *messages)); diff != "" {
		t.Errorf("message differs (-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		answer    string
		temporary bool
	}{
		{`{"ok":false,"error":"channel_not_found"}`, false},
		{`{"ok":false,"error":"invalid_auth"}`, false},
		{`{"ok":false,"error":"missing_scope","needed":"chat:write"}`, false},
		{`{"ok":false,"error":"ratelimited"}`, true},
		{`{"ok":false,"error":"internal_error"}`, true},
		{`{"ok":false}`, true},
		{`<html>maintenance</html>`, true},
		{``, true},
	} {
		url, messages := double(t, tc.answer)
		err := bot(url).Deliver(t.Context(), notice())
		if _, got := notify.Temporary(err); err == nil || got != tc.temporary {
			t.Errorf("%s: error %v, temporary %v; want %v", tc.answer, err, got, tc.temporary)
		}
		if len(*messages) != 1 {
			t.Errorf("%s: %d requests, want 1", tc.answer, len(*messages))
		}
	}
}

func TestBlocksTooLong(t *testing.T) {
	url, messages := double(t, `{"ok":false,"error":"msg_blocks_too_long"}`)
	if err := bot(url).Deliver(t.Context(), notice()); err != nil {
		t.Fatal(err)
	}
	if got := *messages; len(got) != 2 || got[1].Blocks != nil || got[1].Text == "" {
		t.Errorf("messages %+v, want a second one of text alone", got)
	}
}

func TestChannel(t *testing.T) {
	for address, want := range map[string]string{
		"slack:#team": "C1", "slack:C024BE91L": "C024BE91L", "slack:#other": "", "slack:CHANGES": "", "webhook:#team": "", "": "",
	} {
		if got, err := bot("").channel(address); got != want || (err == nil) != (want != "") {
			t.Errorf("channel(%q) = %q, %v; want %q", address, got, err, want)
		}
	}
}

func TestRedirect(t *testing.T) {
	url, messages := double(t)
	srv := httptest.NewServer(http.RedirectHandler(url+"/api/chat.postMessage", http.StatusTemporaryRedirect))
	defer srv.Close()
	if err := bot(srv.URL).Deliver(t.Context(), notice()); err == nil || len(*messages) != 0 {
		t.Errorf("Deliver = %v with %d messages at the redirect's target, want an error and none", err, len(*messages))
	}
}

func TestHook(t *testing.T) {
	for _, tc := range []struct {
		status          int
		answer          string
		ok, isTemporary bool
	}{
		{200, "ok", true, false},
		{200, "hello", false, false},
		{404, "no_service", false, false},
		{410, "channel_is_archived", false, false},
		{429, "", false, true},
		{500, "", false, true},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(tc.status)
			io.WriteString(w, tc.answer)
		}))
		err := NewHook(HookOptions{URL: srv.URL + "/services/T/B/hook-secret"}).Deliver(t.Context(), notice())
		srv.Close()
		if _, temporary := notify.Temporary(err); (err == nil) != tc.ok || temporary != tc.isTemporary {
			t.Errorf("%d %q: error %v, temporary %v", tc.status, tc.answer, err, temporary)
		}
	}
	err := NewHook(HookOptions{URL: "http://127.0.0.1:1/hook-secret"}).Deliver(t.Context(), notice())
	if _, temporary := notify.Temporary(err); !temporary || strings.Contains(err.Error(), "hook-secret") {
		t.Errorf("nobody there: error %v, want a temporary one without the address", err)
	}
}

func TestEscape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, limit := rapid.String().Draw(t, "s"), rapid.IntRange(1, 40).Draw(t, "limit")
		got := escape(s, limit)
		if n := utf8.RuneCountInString(got); n > limit {
			t.Errorf("escape(%q, %d) = %q, %d characters", s, limit, got, n)
		}
		if strings.ContainsAny(got, "<>") {
			t.Errorf("escape(%q) = %q holds markup", s, got)
		}
		plain := strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(strings.TrimSuffix(got, "…"))
		if utf8.ValidString(s) && !strings.HasPrefix(s, plain) {
			t.Errorf("escape(%q, %d) = %q, not its beginning", s, limit, got)
		}
	})
}
