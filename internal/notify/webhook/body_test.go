package webhook

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/notify"
)

var update = flag.Bool("update", false, "write the golden file")

// TestBody: the body of a request is what the guide shows, field by field.
func TestBody(t *testing.T) {
	var got bytes.Buffer
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := json.Indent(&got, body, "", "  "); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	n := notify.Notice{ID: "alert/checkout-1.errors/3/page", Channel: "page", Address: "webhook:ci", Rollout: "checkout-1", For: []string{"on-call (@ben)"},
		Type: "alert.firing", Title: "P1 firing: Errors (checkout-1)", Text: "errors is 6 over 10m, limit 5, since 2 Mar 09:00:00 UTC", Rule: "errors > 5 over 10m", Value: "6", Limit: "5",
		Link: "https://serin.example/alerts/checkout-1.errors", At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), Thread: "alert/checkout-1.errors/3/page", Severity: "p1",
		Actions: []notify.Action{{Label: "Acknowledge", Verb: notify.VerbAcknowledge, Value: notify.Target{Alert: "checkout-1.errors"}.Encode()}}}
	if err := open(t, srv.URL, local).Deliver(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	const golden = "testdata/body.golden.json"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
	guide, err := os.ReadFile("../../../docs/guide/channels.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(guide), "```json\n"+string(want)+"```") {
		t.Errorf("docs/guide/channels.md does not show the body as it is sent:\n%s", want)
	}
}
