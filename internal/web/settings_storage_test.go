package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"serin/internal/auth"
	"serin/internal/health"
	"serin/internal/upkeep"
)

// TestStoragePage shows what the store takes in each state, to admins only.
func TestStoragePage(t *testing.T) {
	s, _ := settingsWeb(t, root)
	report := upkeep.Report{Level: upkeep.OK, Used: 2_500_000, Left: 80e9, Ages: upkeep.Ages{Samples: 90 * 24 * time.Hour}}
	s.Storage = func(context.Context) (upkeep.Report, error) { return report, nil }
	for _, tt := range []struct {
		name   string
		change func()
		want   []string
		not    []string
	}{
		{"no budget", func() {}, []string{"2.50 MB", "80.0 GB", "Room enough", "There is no budget", "90d", "for ever", "nothing is wrong"}, []string{" of 10"}},
		{"short", func() {
			report.Level, report.Room = upkeep.Warning, upkeep.Room{Budget: 10e6, Warn: 8e6, Floor: 1e9}
			report.Used = 9e6
			s.Health = func(context.Context) health.Report {
				return health.Report{Ready: true, Reasons: []health.Reason{{Name: health.StoreBudget, Level: health.Warning, Text: "Much is taken."}}}
			}
		}, []string{"9.00 MB of 10.0 MB, 90 %", "Short of room", "from 8.00 MB on, or when less than 1.00 GB is free", "Much is taken.", "Nothing was ever removed"}, []string{"nothing is wrong"}},
		{"shed", func() {
			report.Level = upkeep.Over
			report.Shed = []upkeep.Shedding{{At: fixed, Samples: 2000, Evidence: 1, Rollouts: []string{`<script>alert(1)</script>`}, Bytes: 5e6}}
		}, []string{"Over the budget", "2,000 samples, 1 row of evidence", "&lt;script&gt;"}, []string{"<script>alert"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.change()
			w := get(t, s, "/settings/storage")
			if w.Code != http.StatusOK {
				t.Fatalf("%d", w.Code)
			}
			text := w.Body.String()
			checkMarkup(t, text)
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("the page does not say %q", want)
				}
			}
			for _, wrong := range append(tt.not, "ZgotmplZ", "<no value>", "%!") {
				if i := strings.Index(text, wrong); i >= 0 {
					t.Errorf("the page has %q near %q", wrong, around(text, i))
				}
			}
		})
	}
	s.Storage = func(context.Context) (upkeep.Report, error) { return report, errors.New("disk is gone") }
	if got := get(t, s, "/settings/storage").Code; got != http.StatusInternalServerError {
		t.Errorf("a store that cannot be measured: %d", got)
	}
	s.Storage = nil
	if got := get(t, s, "/settings/storage").Code; got != http.StatusNotFound {
		t.Errorf("a server that does not measure: %d", got)
	}
	viewer, _ := settingsWeb(t, auth.Principal{Name: "ben", Person: "ben", Kind: "session", Scopes: []string{"read"}})
	viewer.Storage = s.Storage
	if w := get(t, viewer, "/settings/storage"); w.Code != http.StatusForbidden || strings.Contains(get(t, viewer, "/settings").Body.String(), "/settings/storage") {
		t.Errorf("a viewer: %d", w.Code)
	}
}
