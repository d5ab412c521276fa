package poll

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"serin/internal/source"
)

// State is how a source does.
type State string

// The states.
const (
	Waiting   State = "waiting"   // not asked yet
	Idle      State = "idle"      // no rollout under way has a question for it
	Answering State = "answering" // every question was answered
	Partly    State = "partly"    // some were
	Failing   State = "failing"   // none was
)

// Status is the state of a source, for people.
type Status struct {
	Name    string        `json:"name"`
	Kind    string        `json:"kind" enum:"prometheus,probe,report"`
	Project string        `json:"project,omitempty" doc:"left out: every project's"`
	Address string        `json:"address" doc:"without what may be secret"`
	Every   time.Duration `json:"every" doc:"time between two rounds, nanoseconds"`
	State   State         `json:"state" enum:"waiting,idle,answering,partly,failing"`
	Asked   time.Time     `json:"asked,omitzero" doc:"when it was asked last"`
	Good    time.Time     `json:"good,omitzero" doc:"its last good answer"`
	Took    time.Duration `json:"took" doc:"the last round, nanoseconds"`
	Error   string        `json:"error,omitempty" doc:"of the last round"`
	Answers []Reply       `json:"answers" doc:"of the last round"`
}

// Reply is the answer to one question.
type Reply struct {
	Query   string    `json:"query,omitempty" doc:"PromQL or JSON pointer; left out of a probe"`
	Project string    `json:"project,omitempty"`
	Metrics []string  `json:"metrics" doc:"who asks: a rollout and its metric, or the name of the value"`
	Value   string    `json:"value,omitempty"`
	Series  string    `json:"series,omitempty" doc:"the worst of several"`
	Count   int       `json:"series_count,omitempty"`
	At      time.Time `json:"at,omitzero" doc:"of the last good answer"`
	Error   string    `json:"error,omitempty"`
}

// question is one thing to ask and where the answer goes.
type question struct {
	query    source.Query
	projects []string
	key      string
	metrics  []string
}

// loop asks one source.
type loop struct {
	p    *Poller
	spec Spec

	asking sync.Mutex // one request at a time

	mu    sync.Mutex // guards state
	state Status

	cancel context.CancelFunc // nil = not started; the Poller's mu guards both
	done   chan struct{}
}

// start begins the rounds; the caller holds Poller.mu.
func (l *loop) start(ctx context.Context) {
	ctx, l.cancel = context.WithCancel(ctx)
	l.done = make(chan struct{})
	go l.rounds(ctx, l.done)
}

// stop ends the rounds and waits; the caller holds Poller.mu.
func (l *loop) stop() {
	if l.cancel == nil {
		return
	}
	l.cancel()
	<-l.done
	l.cancel = nil
}

// rounds asks until ctx ends.
func (l *loop) rounds(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	wait := after(l.spec.Name, l.spec.Every)
	for {
		due, stop := l.p.o.Clock.After(wait)
		select {
		case <-ctx.Done():
			stop()
			return
		case <-due:
		}
		l.round(ctx)
		wait = l.spec.Every
	}
}

func (l *loop) status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.state
	out.Answers = slices.Clone(out.Answers)
	if out.Answers == nil {
		out.Answers = []Reply{}
	}
	return out
}

// questions are what there is to ask now.
func (l *loop) questions() []question {
	s := l.spec
	projects := []string{s.Project}
	if s.Project == "" {
		projects = l.p.o.Evidence.Projects()
	}
	var out []question
	switch s.Kind {
	case Probe:
		out = append(out, question{projects: projects, key: l.p.o.Evidence.ProbeKey(s.Name), metrics: []string{"uptime"}})
	case Report:
		for _, name := range slices.Sorted(maps.Keys(s.Values)) {
			out = append(out, question{query: source.Query{Text: s.Values[name]}, projects: projects, key: name, metrics: []string{name}})
		}
	default:
		owned := *l.p.owned.Load() // a project's own answers in place of everybody's
		for _, a := range l.p.o.Evidence.Pulls() {
			if s.Project == "" && !owned[a.Project] || s.Project == a.Project {
				out = append(out, question{query: source.Query{Text: a.Query, LowIsWorse: a.LowIsWorse}, projects: []string{a.Project}, key: a.Key, metrics: a.Metrics})
			}
		}
	}
	return out
}

// ask puts questions to the source within the round's limit.
func (l *loop) ask(ctx context.Context, questions []question) (answers []source.Answer, took time.Duration) {
	l.asking.Lock()
	defer l.asking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, roundTimes*l.spec.Timeout)
	defer cancel()
	queries := make([]source.Query, min(len(questions), maxQueries))
	for i := range queries {
		queries[i] = questions[i].query
	}
	began := time.Now()
	if len(queries) > 0 {
		answers = l.spec.Source.Fetch(ctx, queries)
	}
	took = time.Since(began)
	for len(answers) < len(questions) {
		answers = append(answers, source.Answer{Err: fmt.Errorf("one source is asked at most %d questions in a round", maxQueries)})
	}
	return answers, took
}

// round asks everything once, hands it to the evidence and notes how it went.
func (l *loop) round(ctx context.Context) {
	questions := l.questions()
	answers, took := l.ask(ctx, questions)
	if ctx.Err() != nil {
		return // an end is no failure of the source
	}
	kept := l.keep(ctx, questions, answers)
	if ctx.Err() != nil {
		return
	}
	now := l.p.o.Clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.state.State
	l.state = l.told(l.state, questions, answers, now)
	l.state.Took = took
	if kept != nil {
		l.state.State, l.state.Error = Failing, "keep the answers: "+kept.Error()
	}
	if failing := l.state.State == Failing; failing != (before == Failing) {
		l.p.o.Logger.Info("state of a source changed", "source", l.spec.Name, "state", string(l.state.State), "err", l.state.Error)
	}
}

// keep makes the answers durable.
func (l *loop) keep(ctx context.Context, questions []question, answers []source.Answer) error {
	var got []Got
	var errs []error
	for i, q := range questions {
		a := answers[i]
		for _, project := range q.projects {
			if l.spec.Kind != Report {
				note := a.Value.Series
				if l.spec.Kind == Probe {
					note = a.Value.Text
				}
				got = append(got, Got{Project: project, Key: q.key, Number: a.Value.Number, Note: note, Age: a.Value.Age, Err: a.Err})
			} else if a.Err == nil {
				errs = append(errs, l.p.o.Evidence.Push(ctx, project, q.key, a.Value.Text))
			}
		}
	}
	if len(got) > 0 {
		errs = append(errs, l.p.o.Evidence.Fetched(ctx, got))
	}
	return errors.Join(errs...)
}

// told is the state after a round.
func (l *loop) told(s Status, questions []question, answers []source.Answer, now time.Time) Status {
	before := map[string]time.Time{}
	for _, r := range s.Answers {
		before[r.Project+"\x00"+r.Query] = r.At
	}
	s.Asked, s.Error, s.Answers = now, "", []Reply{}
	good := 0
	for i, q := range questions {
		r := reply(l.spec.Kind, q, answers[i], now)
		if r.Error != "" {
			r.At = before[r.Project+"\x00"+r.Query]
			s.Error = r.Error
		} else {
			good++
			s.Good = now
		}
		s.Answers = append(s.Answers, r)
	}
	switch {
	case len(questions) == 0:
		s.State = Idle
	case good == len(questions):
		s.State = Answering
	case good > 0:
		s.State = Partly
	default:
		s.State = Failing
	}
	return s
}

func reply(kind string, q question, a source.Answer, now time.Time) Reply {
	r := Reply{Query: q.query.Text, Metrics: q.metrics, Series: a.Value.Series, Count: a.Value.Count}
	if len(q.projects) == 1 {
		r.Project = q.projects[0]
	}
	switch {
	case a.Err != nil:
		r.Error = a.Err.Error()
		return r
	case kind == Probe && a.Value.Number > 0:
		r.Value = "good"
	case kind == Probe:
		r.Value = "bad: " + a.Value.Text
	case kind == Report:
		r.Value = a.Value.Text
	default:
		r.Value = strconv.FormatFloat(a.Value.Number, 'g', 6, 64)
	}
	r.At = now.Add(-a.Value.Age)
	return r
}

// testQuery is asked of a Prometheus that no rollout has a question for.
const testQuery = "vector(1)"

// test asks once and keeps nothing.
func (l *loop) test(ctx context.Context) (Status, error) {
	questions := l.questions()
	if len(questions) == 0 && l.spec.Kind == Prometheus {
		questions = []question{{query: source.Query{Text: testQuery}, metrics: []string{}}}
	}
	answers, took := l.ask(ctx, questions)
	if err := ctx.Err(); err != nil {
		return Status{}, err
	}
	s := l.told(l.status(), questions, answers, l.p.o.Clock.Now())
	s.Took = took
	return s, nil
}
