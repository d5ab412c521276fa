package web

import (
	"html"
	"strings"
	"testing"
	"time"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// TestDeployCard: the page says in each state what the build variable holds and
// what there is to do.
func TestDeployCard(t *testing.T) {
	commands := []string{`export APP_FLAGS="$(serin flag env --name APP_FLAGS)"`, "serin deployed --release VERSION --commit COMMIT"}
	ended := rollout.HookRun{Variable: "APP_FLAGS", Try: 2, Began: fixed.Add(-time.Hour), Ended: fixed.Add(-time.Minute), Took: 90 * time.Second, How: rollout.HookFailed, Why: "exit status 1 <b>"}
	for _, tc := range []struct {
		name string
		d    *controller.DeployView
		want []string
		not  []string
	}{
		{"no variable", nil, nil, []string{`id="deploy"`}},
		{"nothing yet", &controller.DeployView{Variable: "APP_FLAGS", State: controller.DeployUnchanged, Text: "Nothing to deploy."},
			[]string{"APP_FLAGS", "Nothing yet", ": false", "Nothing to deploy."}, []string{"Run by a person", "Since"}},
		{"by hand", &controller.DeployView{Variable: "APP_FLAGS", On: true, Canary: true, State: controller.DeployByHand, Text: "Deploy it by hand.", Since: fixed.Add(-time.Hour), Commands: commands},
			append([]string{"By hand", "_canary: true", "Run by a person", "Since"}, commands...), []string{"Deploy hook"}},
		{"deploying", &controller.DeployView{Variable: "APP_FLAGS", Hook: true, State: controller.DeployRuns, Run: &rollout.HookRun{Try: 1, Began: fixed}},
			[]string{"Deploying", "try 1, under way"}, nil},
		{"given up", &controller.DeployView{Variable: "APP_FLAGS", Hook: true, State: controller.DeployFailed, Run: &ended, Commands: commands},
			[]string{"Failed", "try 2, failed after 90s: exit status 1 <b>", "Run by a person"}, []string{"<b>"}},
		{"waiting", &controller.DeployView{Variable: "APP_FLAGS", Hook: true, State: controller.DeployWaits, Commands: commands[1:]},
			[]string{"Not reported live", "Once it is live", commands[1]}, []string{"Run by a person", "export"}},
		{"live", &controller.DeployView{Variable: "APP_FLAGS", State: controller.DeployLive, Text: "Live: release 1.4.2 was reported."},
			[]string{"Live: release 1.4.2 was reported."}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &fakeRollouts{views: fleet()}
			f.views[0].Deploy = tc.d
			page := get(t, newWeb(t, f), "/rollouts/"+f.views[0].ID).Body.String()
			card := ""
			if _, rest, ok := strings.Cut(page, `id="deploy"`); ok {
				card, _, _ = strings.Cut(rest, "</section>")
			}
			for _, want := range tc.want {
				if !strings.Contains(html.UnescapeString(card), want) {
					t.Errorf("the card lacks %q:\n%s", want, card)
				}
			}
			for _, not := range tc.not {
				if strings.Contains(card, not) || tc.d == nil && strings.Contains(page, not) {
					t.Errorf("the card has %q:\n%s", not, card)
				}
			}
		})
	}
}

// TestDeployStatesHaveWords: each state that a view may have has its own pill.
func TestDeployStatesHaveWords(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range []string{controller.DeployUnchanged, controller.DeployByHand, controller.DeployQueued, controller.DeployRuns,
		controller.DeployRetries, controller.DeployFailed, controller.DeployWaits, controller.DeployLive} {
		p := deployPills[s]
		if p.Word == "" || seen[p.Word] || icons[p.Icon] == "" {
			t.Errorf("%s: pill %+v", s, p)
		}
		seen[p.Word] = true
	}
}
