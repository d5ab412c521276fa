package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/plan"
	"serin/internal/rollout"
)

// Emergency is the runbook for the case that serin itself is down: who is
// called, what each kind of client does meanwhile, and how the feature is
// switched off all the same. It is meant to be printed before it is needed.
type Emergency struct {
	Rollout  string `json:"rollout,omitempty"` // "" = made from a plan file alone
	Plan     string `json:"plan"`
	Title    string `json:"title"`
	Revision int    `json:"revision,omitempty"` // of the plan, from 1
	Flag     string `json:"flag"`
	New      string `json:"new"` // variants
	Old      string `json:"old"`
	// Standing is where the rollout stood at At; "" without a rollout.
	Standing string            `json:"standing,omitempty"`
	At       time.Time         `json:"at,omitzero"`
	Gone     bool              `json:"gone,omitempty"` // the old code was deleted: the flag does not bring it back
	Call     []EmergencyPerson `json:"call"`
	Clients  []EmergencyClient `json:"clients"`
	Steps    []EmergencyStep   `json:"steps"`
	Text     string            `json:"text"` // the whole of it in Markdown
}

// EmergencyPerson is a role to call.
type EmergencyPerson struct {
	Role      string `json:"role"`
	Who       string `json:"who,omitempty"`       // "" = nobody is named
	Duty      string `json:"duty"`                // why this one: "owns canary", "may roll back"
	Escalates string `json:"escalates,omitempty"` // to which role
}

// EmergencyClient is what a kind of client does while serin is down.
type EmergencyClient struct {
	Kind  string `json:"kind"`
	Keeps string `json:"keeps"` // at first
	Then  string `json:"then"`  // after that
	Back  string `json:"back"`  // when serin is there again
}

// EmergencyStep is a thing to do, with the commands that do it.
type EmergencyStep struct {
	Head     string   `json:"head"`
	Text     string   `json:"text"`
	Commands []string `json:"commands,omitempty"`
}

// Site is where a server keeps its data and is reached, for commands that
// people paste. Empty fields are shown as what is to be filled in.
type Site struct {
	Data    string // data directory
	URL     string // for clients
	Service string // unit of the service manager; "" = "serin"
}

// Emergency returns the emergency runbook of a rollout, by the plan in force;
// the id may be a plan's name. A *rollout.Refusal says that the plan cannot be
// read.
func (c *Controller) Emergency(_ context.Context, id string) (Emergency, error) {
	w, err := c.find(id)
	if err != nil {
		return Emergency{}, err
	}
	if err := w.planKnown(); err != nil {
		return Emergency{}, err
	}
	s := w.view.Load().State
	e := emergency(w.inForce.Load(), &s, c.o.Site)
	e.At = c.o.Clock.Now()
	e.Text = e.markdown()
	return e, nil
}

// EmergencyOf is the emergency runbook of a plan of which no rollout is known.
func EmergencyOf(p *plan.Plan, at Site) Emergency {
	e := emergency(p, nil, at)
	e.Text = e.markdown()
	return e
}

func emergency(p *plan.Plan, s *rollout.State, at Site) Emergency {
	at.Data, at.URL, at.Service = cmp.Or(at.Data, "DIR"), cmp.Or(at.URL, "http://SERIN:8750"), cmp.Or(at.Service, "serin")
	e := Emergency{Plan: p.Name, Title: p.Title, Flag: p.Flag.Key, New: p.Flag.New, Old: p.Flag.Old, Clients: emergencyClients(p)}
	stage := -1
	if s != nil {
		e.Rollout, e.Revision, e.Gone, stage = s.ID, s.Revision, s.Irreversible, s.Stage
		e.Standing = fmt.Sprintf("%s at %s", words(string(s.Status)), s.Exposure)
		if stage < len(p.Stages) && s.Status != rollout.Preflight {
			e.Standing += ", stage " + p.Stages[stage].Name
		}
	}
	e.Call = emergencyCall(p, stage)
	e.Steps = e.steps(p, s, at)
	return e
}

// emergencyCall lists whom to call: the owner of the stage first (without a
// stage every owner), then who may revert by hand, whom no-data pages, and to
// whom each of them escalates.
func emergencyCall(p *plan.Plan, stage int) []EmergencyPerson {
	out := []EmergencyPerson{}
	add := func(name, duty string) {
		if name == "" || slices.ContainsFunc(out, func(e EmergencyPerson) bool { return e.Role == name }) {
			return
		}
		role, _ := p.Role(name)
		out = append(out, EmergencyPerson{Role: name, Who: role.Who, Duty: duty, Escalates: role.EscalatesTo})
	}
	for i, s := range p.Stages {
		if stage < 0 || i == stage {
			for _, name := range s.Owner {
				add(name, "owns "+s.Name)
			}
		}
	}
	add(p.Judge.NoData.Page, "is called when telemetry stops")
	add(p.Actions.Revert.By, "reverts the code by hand")
	for _, role := range p.Roles {
		if slices.Contains(role.May, "override") || slices.Contains(role.May, "start") {
			add(role.Name, "may "+strings.Join(role.May, ", "))
		}
	}
	for i := 0; i < len(out); i++ { // grows
		add(out[i].Escalates, "if "+out[i].Role+" does not answer")
	}
	return out
}

// goProviderStale is openfeature.Options.MaxStale where nobody set it.
const goProviderStale = "10 minutes"

// emergencyClients says what clients do. Where each fact comes from: serin's
// provider by openfeature/provider.go; the others by the OFREP providers'
// sources (a server's keeps nothing, a page's keeps its last answer to all
// flags) and the files that serin init writes.
func emergencyClients(p *plan.Plan) []EmergencyClient {
	old := "the default in the code, which must be " + p.Flag.Old
	out := []EmergencyClient{
		{"Servers with an OFREP provider (Node, Python, Java, Go)", "nothing: each evaluation asks serin and waits for its time limit",
			old + ", from the first evaluation on", "the next evaluation"},
		{"Go servers with serin's provider", "each user's last answer for " + goProviderStale + " (MaxStale); users it has not asked for get the default at once",
			old, "within 15 seconds, by its stream"},
		{"Open pages with the OFREP web provider", "the variant that they show, until they are loaded again",
			old + "; where the provider's cache was left on, the last answer of this browser", "at the next load, tab change or reconnect of its stream"},
	}
	if p.Flag.Env != "" {
		out = append(out, EmergencyClient{"Builds with the variable " + p.Flag.Env, "what it said when they were built", "the same: they never ask serin", "at the next build"})
	}
	return out
}

// steps are in the order in which they are tried.
func (e Emergency) steps(p *plan.Plan, s *rollout.State, at Site) []EmergencyStep {
	out := []EmergencyStep{
		{"Is it serin?", "An answer other than “ok” from the first, or none, means that it does not run or cannot be reached; the second says what a running one lacks. A full disk does not keep it from a rollback.",
			[]string{"curl -fsS " + at.URL + "/healthz", "curl -sS " + at.URL + "/readyz", "systemctl status " + at.Service, "journalctl -u " + at.Service + " -n 100"}},
		e.safe(s),
	}
	if e.Gone {
		out = append(out, e.revert(p))
	} else {
		out = append(out, e.off(p), e.revert(p),
			EmergencyStep{"Write it down for the next start", "With the server stopped, on its machine, as the user that it runs as. It is the rollout's rollback: journalled with your name, served from the first answer on. --dry-run only says how things stand.",
				[]string{fmt.Sprintf("serin flag off %s --data %s --dry-run", e.Flag, at.Data), fmt.Sprintf("serin flag off %s --data %s --reason %q", e.Flag, at.Data, "why")}})
	}
	roll := cmp.Or(e.Rollout, e.Plan)
	start := EmergencyStep{"Start it again", "It goes on where its journal ends. Nothing rises until enough is measured again, and what was missed while it was down counts for nobody.",
		[]string{"systemctl start " + at.Service, "serin rollout get " + roll}}
	if !e.Gone {
		start.Commands = append(start.Commands, "serin rollout rollback "+roll+` --reason "why"`)
	}
	return append(out, start,
		EmergencyStep{"The data is lost or damaged", "Restore the newest backup into a new directory and serve that. Its first start takes every running rollout down to 0 % and waits for serin rollout resume. Tokens that were revoked since the backup work again: revoke them again.",
			[]string{"serin version --check-data --data " + at.Data, "serin backup restore BACKUP.db --data NEW-DIR", "serin serve --data NEW-DIR"}},
		EmergencyStep{"Is it over?", "Ask as a client does, for a user who had " + e.New + ": the variant must be " + e.Old + ". Then look for errors of the new code in your own logs: serin has none of the time in which it was down.",
			[]string{fmt.Sprintf(`curl -sS %s/ofrep/v1/evaluate/flags/%s -H "X-API-Key: $SERIN_SERVER_KEY" -d '{"context":{"targetingKey":"USER"}}'`, at.URL, e.Flag), "serin rollout journal " + roll}})
}

// safe tells whether anything must be done at all.
func (e Emergency) safe(s *rollout.State) EmergencyStep {
	out := EmergencyStep{Head: "Does anything have to be done?", Text: "While serin is down no traffic rises: nobody gets " + e.New + " who did not have it. Those who have it keep it as the table says, and nobody takes it back by itself. "}
	switch {
	case s == nil || s.Status == rollout.Preflight:
		out.Text += "If the new code does no harm, wait and start serin again. If it may, or nobody can tell, switch it off now."
	case e.Gone:
		out.Text += "The old code is gone: the flag does not help, only a revert of the code does."
	case s.Exposure == 0:
		out.Text += "When this was written nobody was on " + e.New + ": then nothing has to be switched off."
	default:
		out.Text += fmt.Sprintf("When this was written %s had it. If the new code does no harm, wait and start serin again. If it may, or nobody can tell, switch it off now.", s.Exposure)
	}
	return out
}

// off are the ways that need no serin.
func (e Emergency) off(p *plan.Plan) EmergencyStep {
	out := EmergencyStep{Head: "Switch it off without serin",
		Text:     "The files of serin init read SERIN_OFF, a list of flags that have their default whatever serin says: set it and start the app again. Pages need a build, or a reload once serin cannot be reached. An app without such a variable needs " + e.Old + " in its code; until it has that, leave serin stopped, because one that runs serves " + e.New + " again.",
		Commands: []string{"SERIN_OFF=" + e.Flag}}
	if p.Flag.Env != "" {
		out.Commands = append(out.Commands, fmt.Sprintf(`%s='{"%s":false,"%s%s":false}'`, p.Flag.Env, e.Flag, e.Flag, canarySuffix))
		out.Text += " Builds that read " + p.Flag.Env + " need it set like this and a new build; other flags in it stay as they are."
	}
	return out
}

func (e Emergency) revert(p *plan.Plan) EmergencyStep {
	rv := p.Actions.Revert
	if len(rv.Show) == 0 {
		return EmergencyStep{Head: "Revert the code", Text: "The plan does not say how (actions.revert): deploy the release from before the feature."}
	}
	out := EmergencyStep{Head: "Revert the code, by hand", Text: "Where a variable does not help.", Commands: rv.Show}
	if rv.By != "" {
		out.Text = "Where a variable does not help, by " + rv.By + "."
	}
	return out
}

// markdown is the runbook as a text to print or to keep beside the code.
func (e Emergency) markdown() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# serin is down: %s\n", e.Plan)
	if e.Title != e.Plan {
		line("%s.\n", strings.TrimSuffix(e.Title, "."))
	}
	about := fmt.Sprintf("Flag `%s`: `%s` is new, `%s` is old.", e.Flag, e.New, e.Old)
	if e.Rollout != "" {
		about += fmt.Sprintf(" %s was %s on %s, plan revision %d. Print it again when the plan changes.", e.Rollout, e.Standing, e.At.UTC().Format("2 Jan 2006 15:04 UTC"), e.Revision)
	}
	line("%s\n\n## Call\n", about)
	for _, p := range e.Call {
		text := fmt.Sprintf("- **%s**: %s, %s", p.Role, cmp.Or(p.Who, "nobody is named"), p.Duty)
		if p.Escalates != "" {
			text += "; then " + p.Escalates
		}
		line("%s", text)
	}
	if len(e.Call) == 0 {
		line("The plan names no roles: write down here who is called.")
	}
	line("\n## What clients do meanwhile\n")
	for _, c := range e.Clients {
		line("- **%s** keep %s. Then: %s. serin is back: %s.", c.Kind, c.Keeps, c.Then, c.Back)
	}
	for i, s := range e.Steps {
		line("\n## %d. %s\n\n%s", i+1, s.Head, s.Text)
		if len(s.Commands) > 0 {
			line("\n```console\n$ %s\n```", strings.Join(s.Commands, "\n$ "))
		}
	}
	return b.String()
}
