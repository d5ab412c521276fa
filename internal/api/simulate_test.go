package api_test

import (
	"net/http"
	"testing"

	"serin/internal/auth"
	"serin/internal/simulate"
)

// played is a plan that is quickly simulated.
const played = `serin: 1
plan: played
timezone: UTC
flag: { key: played }
calendar: { raise: ["daily 00:00-24:00"] }
stages:
  - { stage: canary, traffic: 10%, bake: 2h, proceed: [p1 = 0], checks: [] }
  - { stage: half,   traffic: 50%, bake: 2h, proceed: [p1 = 0], checks: [] }
rollback: [errors > 5 over 1h]
`

func TestSimulate(t *testing.T) {
	r := newRig(t)
	const path = "/plans/simulate"
	ask := func(more map[string]any) map[string]any {
		body := map[string]any{"plan": played, "runs": 20}
		for k, v := range more {
			body[k] = v
		}
		return body
	}
	got := decode[simulate.Result](t, r.as(auth.Read, 200, http.MethodPost, path, ask(map[string]any{"traffic": map[string]any{"views_per_day": 5000, "lcp": "1.5s"}, "seed": 9})))
	if got.Plan != "played" || got.Runs != 20 || got.Seed != 9 || got.Traffic.ViewsPerDay != 5000 || got.Traffic.Values["lcp"] != 1500 || got.Traffic.Users != 1000 ||
		len(got.Stages) != 2 || len(got.Guards) != 1 || got.Stages[1].Reached.Of != 20 || got.Grid != nil {
		t.Errorf("got %+v", got)
	}
	broken := decode[simulate.Result](t, r.as(auth.Read, 200, http.MethodPost, path, ask(map[string]any{"grid_runs": 5, "traffic": map[string]any{"errors_per_view": "5%"}})))
	if len(broken.Grid) != 5 || broken.Grid[4].Caught.P != 1 || broken.FalseRollback.P != 1 || len(broken.Suggestions) != 2 {
		t.Errorf("a thousand errors a day: %+v", broken.Grid)
	}

	r.refused(auth.Read, 422, "the plan has errors", http.MethodPost, path, map[string]any{"plan": "serin: 1\n"})
	r.refused(auth.Read, 422, "is no figure", http.MethodPost, path, ask(map[string]any{"traffic": map[string]any{"users": "many"}}))
	r.refused(auth.Read, 422, "traffic.users: write a number", http.MethodPost, path, ask(map[string]any{"traffic": map[string]any{"users": true}}))
	r.refused(auth.Read, 422, `"speed" is no metric`, http.MethodPost, path, ask(map[string]any{"traffic": map[string]any{"speed": 3}}))
	r.refused(auth.Read, 422, "validation failed", http.MethodPost, path, ask(map[string]any{"runs": 100000}))
}
