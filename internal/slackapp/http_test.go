package slackapp

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The example of docs.slack.dev/authentication/verifying-requests-from-slack.
const (
	exampleSecret    = "8f742231b10e8888abcd99yyyzzz85a5"
	exampleTime      = "1531420618"
	exampleSignature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
	exampleBody      = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)

func TestSign(t *testing.T) {
	if got := Sign(exampleSecret, exampleTime, []byte(exampleBody)); got != exampleSignature {
		t.Errorf("Sign = %s, want %s", got, exampleSignature)
	}
}

func TestVerify(t *testing.T) {
	at := time.Unix(1531420618, 0)
	header := func(timestamp, signature string) http.Header {
		return http.Header{"X-Slack-Request-Timestamp": {timestamp}, "X-Slack-Signature": {signature}}
	}
	for name, tc := range map[string]struct {
		h    http.Header
		body string
		now  time.Time
		ok   bool
	}{
		"right":             {header(exampleTime, exampleSignature), exampleBody, at, true},
		"five minutes old":  {header(exampleTime, exampleSignature), exampleBody, at.Add(maxAge), true},
		"older":             {header(exampleTime, exampleSignature), exampleBody, at.Add(maxAge + time.Second), false},
		"from the future":   {header(exampleTime, exampleSignature), exampleBody, at.Add(-maxAge - time.Second), false},
		"another body":      {header(exampleTime, exampleSignature), exampleBody + "x", at, false},
		"another time":      {header("1531420619", exampleSignature), exampleBody, at, false},
		"another signature": {header(exampleTime, "v0="+strings.Repeat("0", 64)), exampleBody, at, false},
		"none":              {http.Header{}, exampleBody, at, false},
		"no number":         {header("yesterday", exampleSignature), exampleBody, at, false},
	} {
		if err := verify(exampleSecret, tc.h, []byte(tc.body), tc.now); (err == nil) != tc.ok {
			t.Errorf("%s: %v, want ok %v", name, err, tc.ok)
		}
	}
}

// TestDoor: what is not signed does nothing, and without a secret there is no door.
func TestDoor(t *testing.T) {
	a := New(Options{})
	ask := func(method, body, signed string) int {
		r := httptest.NewRequest(method, "/hooks/slack", strings.NewReader(body))
		if signed != "" {
			now := strconv.FormatInt(time.Now().Unix(), 10)
			r.Header.Set("X-Slack-Request-Timestamp", now)
			r.Header.Set("X-Slack-Signature", Sign(signed, now, []byte(body)))
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w.Code
	}
	if got := ask(http.MethodPost, "ssl_check=1", "s"); got != http.StatusNotFound {
		t.Errorf("without a secret: %d", got)
	}
	a.Use(Connection{API: noAPI{}, Secret: "s"})
	command := "command=/serin&text=help&team_id=T1&user_id=U1&trigger_id="
	for _, tc := range []struct {
		name, method, body, signed string
		want                       int
	}{
		{"ssl check", http.MethodPost, "ssl_check=1", "s", 200},
		{"a command", http.MethodPost, command + "1", "s", 200},
		{"not signed", http.MethodPost, command + "2", "", 401},
		{"signed by somebody else", http.MethodPost, command + "3", "other", 401},
		{"GET", http.MethodGet, "", "s", 405},
		{"no user", http.MethodPost, "command=/serin&text=help", "s", 400},
		{"no JSON", http.MethodPost, "payload=%7B", "s", 400},
		{"a click on a link", http.MethodPost, `payload={"type":"block_actions","user":{"id":"U1"},"team":{"id":"T1"},"actions":[{"action_id":"x"}]}`, "s", 200},
		{"too large", http.MethodPost, strings.Repeat("x", maxBody+1), "s", 400},
	} {
		if got := ask(tc.method, tc.body, tc.signed); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
	if got := len(a.jobs); got != 1 {
		t.Errorf("%d jobs wait, want the command's", got)
	}
	ask(http.MethodPost, command+"1", "s") // Slack sends it again
	if got := len(a.jobs); got != 1 {
		t.Errorf("%d jobs after a repeated request, want one", got)
	}
	for i := range queue {
		_ = a.enqueue("http", strconv.Itoa(i), nil)
	}
	if got := ask(http.MethodPost, command+"9", "s"); got != http.StatusServiceUnavailable {
		t.Errorf("a full queue: %d", got)
	}
	if err := a.enqueue("http", "again", nil); !errors.Is(err, errBusy) || !a.recent.first("again", time.Now()) {
		t.Errorf("what was refused for room is remembered: %v", err)
	}
}

type noAPI struct{ API }

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"type":"block_actions","user":{"id":"U1"},"team":{"id":"T1"},"actions":[{"action_id":"serin.approve.0","value":"{}"}]}`))
	f.Add([]byte(`{"type":"view_submission","user":{"id":"U1","team_id":"T1"},"view":{"callback_id":"serin.accept","private_metadata":"{}"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _, ok, err := decodeInteraction(data)
		if ok && (err != nil || c.by.ID == "" || c.by.Team == "" || c.verb == "") && c.value != "" {
			t.Errorf("decoded %+v, %v", c, err)
		}
	})
}
