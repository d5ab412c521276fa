package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"serin/internal/auth"
	"serin/internal/baseline"
	"serin/internal/controller"
	"serin/internal/store"
)

// againstBaseline compares with the baseline.
const againstBaseline = `serin: 1
plan: compared
timezone: UTC
flag: { key: compared }
stages:
  - { stage: full, traffic: 100%, bake: 24h, proceed: [errors < 100], checks: [] }
rollback: [errors > +50% vs baseline over 2h]
`

func TestBaselineImport(t *testing.T) {
	r := newRig(t)
	r.as(auth.Operate, 200, http.MethodPost, "/plans", againstBaseline)
	const path = "/baselines/compared"
	short := decode[controller.BaselineReport](t, r.as(auth.Read, 200, http.MethodGet, path, nil))
	if len(short.Metrics) != 1 || short.Metrics[0].Text() != "0 of 7 d" || short.Metrics[0].Rules[0] != "errors > +50% vs baseline over 2h" {
		t.Errorf("before: %+v", short)
	}
	lint := decode[controller.PlanCheck](t, r.as(auth.Read, 200, http.MethodPost, "/plans/lint", againstBaseline))
	if !strings.Contains(fmt.Sprint(lint.Problems), "baseline of errors: 0 of 7 d") {
		t.Errorf("lint does not say that the baseline is short: %v", lint.Problems)
	}
	hours := func(n int) string {
		var b strings.Builder
		b.WriteString("time,metric,value,count\n")
		end := time.Now().Truncate(time.Hour)
		for i := range n {
			fmt.Fprintf(&b, "%d,errors,9,120\n", end.Add(-time.Duration(i+1)*time.Hour).Unix())
		}
		return b.String()
	}
	ask := func(source, data string) map[string]any {
		return map[string]any{"format": "csv", "source": source, "data": data}
	}
	done := decode[controller.BaselineImported](t, r.as(auth.Approve, 200, http.MethodPost, path, ask("old", hours(169))))
	if m := done.Metrics[0]; m.New != 169 || m.Baseline.Imported < 167 || m.Baseline.Short() {
		t.Errorf("imported %+v", done)
	}
	whole := decode[controller.BaselineReport](t, r.as(auth.Read, 200, http.MethodGet, path, nil))
	if whole.Short() || !whole.Imported() || whole.Metrics[0].Sources[0] != "old" {
		t.Errorf("after: %+v", whole)
	}
	if lint := decode[controller.PlanCheck](t, r.as(auth.Read, 200, http.MethodPost, "/plans/lint", againstBaseline)); strings.Contains(fmt.Sprint(lint.Problems), "baseline of errors") {
		t.Errorf("lint still misses the baseline: %v", lint.Problems)
	}
	entries := decode[[]store.AuditEntry](t, r.as(auth.Read, 200, http.MethodGet, "/audit?target="+"plan%20compared", nil))
	if len(entries) == 0 || entries[0].Verb != "import baseline" || entries[0].Who != "approve" || !strings.Contains(string(entries[0].After), `"source":"old"`) {
		t.Errorf("the audit log says %+v", entries)
	}

	r.refused(auth.Operate, 403, "scope", http.MethodPost, path, ask("old", hours(1)))
	r.refused(auth.Approve, 404, "not found", http.MethodPost, "/baselines/nothing", ask("old", hours(1)))
	r.refused(auth.Approve, 409, `"old" already`, http.MethodPost, path, ask("new", hours(1)))
	r.refused(auth.Approve, 422, "line 2: time", http.MethodPost, path, ask("old", "time,metric,value,count\nx,errors,1,2\n"))
	r.refused(auth.Approve, 422, "lies in the future", http.MethodPost, path, ask("old", "time,metric,value,count\n4000000000,errors,1,2\n"))
	r.refused(auth.Approve, 422, "nobody was there", http.MethodPost, path, ask("old", strings.ReplaceAll(hours(1), "9,120", "0,0")))
	r.refused(auth.Approve, 422, "validation failed", http.MethodPost, path, map[string]any{"format": "xml", "source": "a", "data": "b"})
	r.as(auth.Approve, 200, http.MethodPost, path, map[string]any{"format": "csv", "source": "new", "data": hours(1), "replace": true})
	if got := len(baseline.Formats()); got != 4 {
		t.Errorf("%d formats, the enum of the API has 4", got)
	}
}
