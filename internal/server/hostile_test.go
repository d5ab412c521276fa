package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"serin/internal/web"
)

// TestHostileContent: whatever a sender writes into an error is text on the
// pages, of bounded length, and no command to a terminal; what is too large or
// too deep is dropped and counted, and the next event is taken.
func TestHostileContent(t *testing.T) {
	p := build(t)
	p.serve()
	s := p.site()
	crash := func(n int, kind, value, release string) []byte {
		payload, err := json.Marshal(map[string]any{"event_id": eventID(n), "level": "error", "platform": "javascript", "release": release,
			"user": map[string]any{"id": "<b>anna</b>"}, "tags": map[string]any{"<i>tag</i>": "<u>value</u>"}, "transaction": value,
			"breadcrumbs": []any{map[string]any{"category": "\x1b[31mui", "message": value}},
			"exception": map[string]any{"values": []any{map[string]any{"type": kind, "value": value, "stacktrace": map[string]any{"frames": []any{
				map[string]any{"function": value, "filename": "javascript:alert(1)", "lineno": 1, "in_app": true}}}}}}})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Appendf(nil, "{\"event_id\":%q}\n{\"type\":\"event\",\"length\":%d}\n%s\n", eventID(n), len(payload), payload)
	}
	const script = `<script>alert("1")</script><img src=x onerror=alert(2)>`
	const terminal = "\x1b]0;owned\x07\x1b[2J\u202eevil\r\nSERIN-9  forged"
	deep := []byte("{}\n{\"type\":\"event\"}\n" + strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000) + "\n")
	for n, tt := range []struct {
		name string
		body []byte
		want int
	}{
		{"scripts", crash(0, script, script, script), http.StatusOK},
		{"control characters", crash(1, terminal, terminal, "web@1"+terminal), http.StatusOK},
		{"a long text", crash(2, "Long", strings.Repeat("q", 100_000), "web@1"), http.StatusOK},
		{"ten megabytes", crash(3, "Huge", strings.Repeat("w", 10<<20), "web@1"), http.StatusRequestEntityTooLarge},
		{"an item over its limit", crash(4, "Big", strings.Repeat("v", 400_000), "web@1"), http.StatusOK},
		{"a hundred thousand levels", deep, http.StatusBadRequest},
		{"an ordinary error afterwards", crash(5, "TypeError", "cart is undefined", "web@1"), http.StatusOK},
	} {
		if a := s.envelope(tt.body); a.status != tt.want {
			t.Errorf("%d %s: %d %.200s, want %d", n, tt.name, a.status, a.body, tt.want)
		}
	}
	if c := s.counters(); c["counted:error"] != 4 {
		t.Errorf("counters: %v, want 4 errors", c)
	}

	for _, args := range [][]string{{"issues"}, {"issues", "show", "SERIN-1"}, {"issues", "show", "SERIN-2"}} {
		out := p.says(args...)
		for _, bad := range []string{"\x1b", "\x07", "\u202e", "\r", "\nSERIN-9"} {
			if strings.Contains(out, bad) {
				t.Errorf("serin %s prints %q:\n%q", strings.Join(args, " "), bad, out)
			}
		}
	}

	cookie := s.adminCookie() // after which the tokens of the first start are gone
	for _, path := range []string{"/issues", "/issues/SERIN-1", "/issues/SERIN-2", "/issues/SERIN-3"} {
		a := s.must(http.MethodGet, path, nil, "Cookie", cookie)
		page := string(a.body)
		if a.status != http.StatusOK {
			t.Errorf("%s: %d", path, a.status)
		}
		for _, bad := range []string{"<script>alert", "<img src=x", "<b>anna", "<i>tag", "<u>value", `href="javascript:`, strings.Repeat("q", 9000)} {
			if strings.Contains(page, bad) {
				t.Errorf("%s holds %.40q", path, bad)
			}
		}
		if len(page) > 200<<10 {
			t.Errorf("%s is of %d bytes", path, len(page))
		}
	}
	if a := s.must(http.MethodGet, "/issues/SERIN-1", nil, "Cookie", cookie); !strings.Contains(string(a.body), "&lt;script&gt;alert") {
		t.Error("the text of the error is not on its page")
	}
}

// adminCookie signs in by the first link and returns the Cookie header.
func (s *site) adminCookie() string {
	s.t.Helper()
	token := s.boot.SignIn[strings.LastIndexByte(s.boot.SignIn, '=')+1:]
	a, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).PostForm(s.url+"/login", url.Values{"token": {token}})
	if err != nil {
		s.t.Fatal(err)
	}
	_ = a.Body.Close()
	for _, c := range a.Cookies() {
		if c.Name == web.CookieName {
			return c.Name + "=" + c.Value
		}
	}
	s.t.Fatalf("the first link does not sign in: %s", a.Status)
	return ""
}

// says runs a command line against the server and returns what it prints.
func (p *program) says(args ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), p.path, append([]string{"--data", p.data}, args...)...)
	cmd.Env = []string{"HOME=" + p.data}
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("serin %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
