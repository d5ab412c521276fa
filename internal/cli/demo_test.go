package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"serin/internal/demo"
)

// TestDemo runs the main job whole, as "serin demo" does, on a faster clock:
// real clients over real protocols, a regression, and its rollback by serin.
func TestDemo(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	code := Run(t.Context(), []string{"demo", "--json", "--listen", "127.0.0.1:0", "--speed", "6000", "--seed", "4", "--data", t.TempDir()},
		Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, func(string) string { return "" })
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var r demo.Result
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatalf("the last line is no result: %v\n%s\n%s", err, out.String(), errs.String())
	}
	if code != exitOK || r.Type != "result" || r.Outcome != "rolled_back" {
		t.Errorf("exit status %d, %+v\n%s", code, r, errs.String())
	}
	if r.Stage != "ramp-25" || r.Rule == "" || r.Why == "" {
		t.Errorf("rolled back in %q by %q: %q", r.Stage, r.Rule, r.Why)
	}
	if r.EventsAcknowledged == 0 || r.EventsAcknowledged != r.EventsCounted {
		t.Errorf("the clients counted %d acknowledged events, the evidence holds %d", r.EventsAcknowledged, r.EventsCounted)
	}
	if r.HarmedUsers == 0 || r.ClientsOnNew == 0 || r.EventToLastMS < r.EventToFlagOffMS || r.EventToFlagOffMS <= 0 {
		t.Errorf("the measures do not fit together: %+v", r)
	}
}
