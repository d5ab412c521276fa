package controller_test

import (
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/telemetry"
)

// happen lets something happen in the world: how users behave from now on, or
// what is sent, fails or stops in this moment.
func (x *run) happen(words []string) {
	switch words[0] {
	case "healthy":
		x.silent, x.office, x.slower = false, false, 1
	case "office":
		x.silent, x.office = false, true
	case "silence":
		x.silent = true
	case "check-ins":
		x.checkIn = x.onOff(words)
	case "users":
		x.every = x.population(words[1:])
	case "canary":
		x.canary(words[1:])
	case "anonymous":
		x.world.anonymous = x.number(words, 1)
	case "lost":
		x.world.newLost = x.number(words, 1)
	case "role":
		x.world.role, x.world.attributes = words[1], map[string]string{"user.role": words[1]}
	case "page":
		x.world.onPage = words[1]
	case "variant":
		x.world.variant = words[1]
	case "requests":
		x.world.requests = x.onOff(words)
	case "vitals":
		x.world.vitals = x.onOff(words)
	case "pace":
		x.world.pace = x.number(words, 1)
		if len(words) == 4 && words[2] == "every" {
			x.world.hours = int(x.duration(words[3:]) / time.Hour)
		}
	case "usage":
		x.world.usage = x.onOff(words)
	case "prometheus":
		x.prometheus(words[1:])
	case "team":
		x.team.fails = x.number(words, 2)
	case "remember":
		x.past = remembered{x.logE(), len(x.team.messages())}
	default:
		x.happenNow(words)
	}
}

// happenNow is what happens in one moment.
func (x *run) happenNow(words []string) {
	switch words[0] {
	case "p1", "errors":
		x.errors(words)
	case "loss":
		e := telemetry.Event{Kind: telemetry.KindLoss, Project: "1", Op: "lost", Message: "network_error", Value: float64(x.number(words, 1))}
		x.send(e)
	case "feedback", "survey":
		x.say(words)
	case "push":
		key, value, ok := strings.Cut(words[1], "=")
		if !ok {
			x.bad("write push KEY=VALUE")
		}
		x.must(x.engine.Push(x.Context(), "1", key, value))
	case "channel":
		x.must(x.engine.ConfirmOpen(x.Context(), "1", words[1]))
	case "down":
		x.down()
	case "up":
		x.up()
	case "restart":
		x.restart()
	case "clock":
		x.stepped.Add(int64(x.duration(words[1:])))
	default:
		x.bad("nothing is called %q", words[0])
	}
	synctest.Wait()
}

func (x *run) must(err error) {
	if err != nil {
		x.bad("%v", err)
	}
}

func (x *run) onOff(words []string) bool {
	if len(words) != 2 || words[1] != "on" && words[1] != "off" {
		x.bad("write %s on or %s off", words[0], words[0])
	}
	return words[1] == "on"
}

// population reads "all", or "50" of the thousand.
func (x *run) population(words []string) int {
	if len(words) == 1 && words[0] == "all" {
		return 1
	}
	return rigUsers / max(1, min(rigUsers, x.number(words, 0)))
}

// canary reads "lcp x1.6".
func (x *run) canary(words []string) {
	if len(words) != 2 || words[0] != "lcp" {
		x.bad("write canary lcp x1.6")
	}
	if _, err := fmt.Sscanf(words[1], "x%g", &x.slower); err != nil {
		x.bad("factor %q: write x1.6", words[1])
	}
}

// prometheus lets the double of Prometheus answer 40 %, or nothing from now on.
func (x *run) prometheus(words []string) {
	switch strings.Join(words, " ") {
	case "answers":
		x.pool.Store(&judge.Source{State: judge.Delivering, Name: "prometheus"})
	case "fails":
		x.pool.Store(&judge.Source{State: judge.Failing, Name: "prometheus", Error: "empty result", Since: time.Now()})
	default:
		x.bad("prometheus answers or fails")
	}
}

// errors reads "p1 6", "errors 3 level=fatal", "p1 6 late=15m", "p1 6 same".
func (x *run) errors(words []string) {
	events := x.p1(x.number(words, 1))
	for i := range events {
		e := &events[i]
		if words[0] == "errors" {
			e.Tags = nil
		}
		for _, w := range words[2:] {
			key, value, _ := strings.Cut(w, "=")
			switch key {
			case "late":
				e.Time = time.Now().Add(-x.duration([]string{value}))
			case "same":
				*e = events[0]
			case "level":
				e.Level = value
			case "title":
				e.Title, e.Message = "Error: "+value, value
			default:
				x.bad("an error has no %q", key)
			}
		}
	}
	if slices.Contains(words, "same") {
		for _, e := range events {
			x.send(e)
		}
		return
	}
	x.send(events...)
}

// say reads "feedback 3 kind=failure" and "survey 4 score=5": n users on new
// give feedback, or answer a survey with a score of 5.
func (x *run) say(words []string) {
	left := x.number(words, 1)
	for n := 0; n < rigUsers && left > 0; n += x.every {
		if x.variant(n) != x.world.newName() {
			continue
		}
		left--
		e := x.event(telemetry.KindFeedback, user(n), x.world.newName())
		e.Tags, e.Message = map[string]string{}, "said"
		if words[0] == "survey" {
			e.Kind = telemetry.KindSurvey
		}
		for _, w := range words[2:] {
			key, value, _ := strings.Cut(w, "=")
			if key == "score" {
				e.Value = float64(x.number([]string{value}, 0))
				continue
			}
			e.Tags[key] = value
		}
		x.send(e)
	}
	if left > 0 {
		x.bad("there are %d users too few on new", left)
	}
}

// command reads "lead: promote reason=x => 409 "text"": who, what, and where
// it is to be refused the status and what the refusal has to say. who is a
// role of the plan, admin, or anybody without a role; who@PLAN gives the
// command to another rollout.
func (x *run) command(who string, words []string) {
	status, why := 200, ""
	if i := slices.Index(words, "=>"); i >= 0 {
		status = x.number(words, i+1)
		why = strings.Join(words[i+2:], " ")
		words = words[:i]
		if status != 200 && why == "" {
			x.bad("say what the refusal says")
		}
	}
	if len(words) == 0 {
		x.bad("%s does nothing", who)
	}
	who, target, ok := strings.Cut(who, "@")
	if !ok {
		target = x.name
	}
	cmd := x.read(words)
	res, err := x.give(who, target, &cmd, words)
	synctest.Wait()
	if got := statusOf(err); got != status {
		x.Errorf("%s: %s: got %d (%v), want %d", who, strings.Join(words, " "), got, err, status)
	} else if err != nil && !strings.Contains(err.Error(), why) {
		x.Errorf("%s: %s: refused because %q, want it to say %q", who, strings.Join(words, " "), err, why)
	}
	x.verbs[fmt.Sprintf("%s %d", cmd.Verb, statusOf(err))] = true
	if err != nil {
		x.refusals = append(x.refusals, err.Error())
		return
	}
	x.sameAnswer(cmd.ID, res)
}

// sameAnswer: a command id that comes again is answered with the first result.
func (x *run) sameAnswer(id string, res controller.Result) {
	if id == "" || len(res.Events) == 0 {
		return
	}
	last := res.Events[len(res.Events)-1].Pos
	if first, again := x.ids[id]; again && first != last {
		x.Errorf("command %s again is answered with event %d, the first time it was %d", id, last, first)
	}
	x.ids[id] = last
}

// read reads a command without who gives it.
func (x *run) read(words []string) rollout.Command {
	cmd := rollout.Command{Verb: rollout.Verb(words[0]), Via: "api", Percent: -1}
	if words[0] == "hotfix" {
		cmd.Verb, cmd.Hotfix = rollout.Reduce, true
	}
	for _, w := range words[1:] {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			x.object(&cmd, w)
			continue
		}
		switch key {
		case "reason":
			cmd.Reason = value
		case "cause":
			cmd.Cause = value
		case "to", "choice":
			cmd.To = value
		case "id":
			cmd.ID = value
		case "item":
			cmd.Item = value
		case "version":
			cmd.Version = int64(x.number([]string{value}, 0))
		case "via":
			cmd.Via = value
		case "commit":
			cmd.Commit = value
		case "evidence":
			cmd.Evidence = value
		default:
			x.bad("a command has no %q", key)
		}
	}
	return cmd
}

// object is what a command is about, the word without =.
func (x *run) object(cmd *rollout.Command, word string) {
	switch cmd.Verb {
	case rollout.Reduce:
		cmd.Percent = flag.Percent(x.number([]string{word}, 0)) * flag.Everyone / 100
	case rollout.Deploy:
		cmd.Release = word
	case rollout.Promote:
		cmd.To = word
	case rollout.Revert:
		cmd.Done = word == "done"
	default:
		cmd.Item = word
	}
}

// give hands the command to the service, as the doors do.
func (x *run) give(who, target string, cmd *rollout.Command, words []string) (controller.Result, error) {
	actor := controller.Actor{Name: who, Admin: who == "admin"}
	if cmd.Verb == "flag" {
		return controller.Result{}, x.handEdit(actor, cmd)
	}
	if cmd.Verb == rollout.Create {
		return x.create(who, cmd)
	}
	view, err := x.c.View(x.Context(), target)
	if err != nil {
		return controller.Result{}, err
	}
	source, err := x.c.PlanSource(x.Context(), target)
	x.must(err)
	p, err := plan.Parse(source)
	x.must(err)
	if _, ok := p.Role(who); ok {
		actor.Role = who
	}
	if cmd.Version == 0 && cmd.Via != "web" {
		cmd.Version = view.Version
	}
	if err := x.c.Authorize(x.Context(), target, actor, cmd); err != nil {
		return controller.Result{}, err
	}
	if cmd.Verb != rollout.Revise {
		return x.c.Do(x.Context(), target, *cmd)
	}
	x.source = string(source)
	revised := x.planOf(strings.Join(words[:2], " "))
	cmd.Item = ""
	res, err := x.c.Revise(x.Context(), target, []byte(revised), *cmd)
	if err == nil {
		x.sets = nil // who is in may change with the plan
	}
	return res, err
}

// create makes a rollout of the plan in force ("again"), which is looked at
// from now on, or of the plan of another part.
func (x *run) create(who string, cmd *rollout.Command) (controller.Result, error) {
	if cmd.Item != "again" {
		return x.c.Create(x.Context(), "", []byte(x.planOf("plan "+cmd.Item)), who, "api")
	}
	source, err := x.c.PlanSource(x.Context(), x.name)
	x.must(err)
	res, err := x.c.Create(x.Context(), "", source, who, "api")
	if err == nil {
		x.id, x.sets = res.State.ID, nil
	}
	return res, err
}

// handEdit changes the flag past the rollout: off, on (everybody on new), delete.
func (x *run) handEdit(actor controller.Actor, cmd *rollout.Command) error {
	record, err := x.c.Flags().Get(x.Context(), x.flag)
	x.must(err)
	d := record.Definition
	switch cmd.Item {
	case "off":
		d.State = flag.StateOff
	case "on":
		d.Targeting = []byte(`"` + x.world.newName() + `"`)
	case "delete":
		return x.c.Flags().Delete(x.Context(), x.flag, actor.Name, "api", cmd.Reason)
	default:
		x.bad("a flag is switched off, on, or deleted")
	}
	_, err = x.c.PutFlag(x.Context(), d, -1, actor, "api", cmd.Reason)
	return err
}
