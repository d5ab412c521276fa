package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"serin/internal/backtest"
	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// backtestView is what this version of a plan would have decided over what was
// recorded of one of its rollouts: the form, and once it was sent the answer.
type backtestView struct {
	URL      string
	Version  int
	Rollouts []string
	Chosen   string
	People   string
	Error    string
	Result   *triedResult
	CLI      string
}

// triedResult is a result in words.
type triedResult struct {
	Lead, End  string
	Tried      []triedEvent
	Real       []triedEvent
	Against    []string
	Waiting    []string
	Unanswered []backtest.Unanswered
	Caveats    []string
}

type triedEvent struct {
	At                 stamp
	Text, Why, Percent string
}

// backtestOf is the form of a plan that had rollouts; nil where it had none.
func backtestOf(p controller.PlanText, form url.Values) *backtestView {
	v := &backtestView{URL: "/plans/" + url.PathEscape(p.Name) + "/backtest", Version: p.Number, Chosen: form.Get("rollout"), People: orElse(strings.TrimSpace(form.Get("people")), "now")}
	for _, r := range p.Rollouts {
		if r.Status != rollout.Preflight {
			v.Rollouts = append(v.Rollouts, r.ID)
		}
	}
	if len(v.Rollouts) == 0 {
		return nil
	}
	v.Chosen = orElse(v.Chosen, v.Rollouts[0])
	v.CLI = "serin plan show " + p.Name + " --version " + strconv.Itoa(p.Number) + " | serin backtest - --rollout " + v.Chosen
	return v
}

// backtest tries a version of a plan with the form's answers, and shows it on its page.
func (s *server) backtest(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.problem(w, r, http.StatusBadRequest, "The form could not be read", "Open the page again and repeat the action.")
		return
	}
	if !s.checkCSRF(w, r) {
		return
	}
	number, _ := strconv.Atoi(r.PostForm.Get("version")) // none is the latest
	p, err := s.Rollouts.Plan(r.Context(), r.PathValue("plan"), number)
	if err != nil {
		s.planFailed(w, r, err)
		return
	}
	b := s.planPage(r, p)
	status := http.StatusOK
	if b.Backtest = backtestOf(p, r.PostForm); b.Backtest == nil {
		s.problem(w, r, http.StatusUnprocessableEntity, "Nothing was recorded of this plan", "A backtest runs over what was recorded of one of its rollouts, and none has begun.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), pageLimit)
	defer cancel()
	if err := s.tryPlan(ctx, b.Backtest, p.Source); err != nil {
		b.Backtest.Error, status = upper(err.Error())+".", http.StatusUnprocessableEntity
	}
	s.render(w, r, status, "planfile", page{Title: p.Name + ", backtest", Section: "plans", Crumb: p.Name, Record: true, Body: b})
}

// tryPlan fills in the answer; its error is a sentence for the page.
func (s *server) tryPlan(ctx context.Context, v *backtestView, source string) error {
	parsed, err := plan.Parse([]byte(source))
	if err != nil {
		return errors.New("the plan has errors: mend them first")
	}
	people := time.Duration(0)
	switch v.People {
	case "now":
	case "never":
		people = backtest.Never
	default:
		if people, err = plan.ParseDuration(v.People); err != nil || people < 0 {
			return errors.New("when people answer: write now, never, or a time such as 2h")
		}
	}
	found, err := s.Rollouts.Backtest(ctx, controller.BacktestOf{Plan: parsed, Rollout: v.Chosen, People: people})
	var no *rollout.Refusal
	switch {
	case errors.As(err, &no):
		return no
	case errors.Is(err, store.ErrNotFound):
		return errors.New("there is no such rollout")
	case errors.Is(err, controller.ErrBacktesting):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("it did not end within " + duration(pageLimit) + ": use serin backtest with a shorter time")
	case err != nil:
		s.Logger.Error("backtest", "rollout", v.Chosen, "error", err)
		return errors.New("it could not be done: the log of the server says why")
	}
	v.Result = triedOf(found, s.Now().UTC())
	return nil
}

func triedOf(r backtest.Result, now time.Time) *triedResult {
	out := &triedResult{Against: r.Against, Waiting: r.Waiting, Unanswered: r.Unanswered, Caveats: r.Caveats,
		Lead: r.From.UTC().Format("2 Jan 15:04") + " to " + r.To.UTC().Format("2 Jan 15:04 UTC") + ", a look every " + duration(r.Every),
		End:  "At the end it is " + strings.ReplaceAll(string(r.Status), "_", " ") + " at " + r.Stage + ", " + percent(r.Exposure) + ": " + r.Why + "."}
	list := func(events []backtest.Event) (rows []triedEvent) {
		for _, e := range events {
			rows = append(rows, triedEvent{At: at(e.At, now), Text: e.Text, Why: e.Why, Percent: percent(e.Exposure)})
		}
		return rows
	}
	out.Tried, out.Real = list(r.Events), list(r.Real)
	return out
}
