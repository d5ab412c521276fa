package plan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/telemetry"
)

// ServerFacts is what lint needs to know of the server a plan is to run on.
// Nil maps and slices mean that nothing is known or nothing is there.
type ServerFacts struct {
	// Channels are the addresses it can deliver to: "slack:#team"; a kind
	// with a colon alone ("slack:") serves every address of that kind.
	Channels []string
	// FlagOwner is the unfinished rollout that owns the plan's flag, "" = none.
	FlagOwner string
	// Carried are the user attributes that telemetry or the context of a flag carried.
	Carried []string
	// Configured are the sources that the configuration sets up: prometheus, probe.
	Configured map[string]bool
	// Arrived are the sources (telemetry, feedback, survey, usage, push ...)
	// and the pushed values ("bundle_size") that have ever delivered.
	Arrived map[string]bool
	// Events is the number of events of the audience in the baseline, Tagged
	// how many of them match a tag of the scope, by "key:value"; a tag that is not
	// there was not counted.
	Events int
	Tagged map[string]int
	// PerHour is the rate of each count in the baseline over the whole
	// audience, Users the number of distinct users with such an event a day.
	PerHour, Users map[string]float64
	// Baseline is how much of the baseline of each metric of BaselineRules
	// there is; a metric that is not there was not looked at.
	Baseline map[string]BaselineHours
	// OnCall tells who is on call by the address of a role, such as
	// "oncall:web"; nil = not known.
	OnCall OnCall
}

// OnCall knows the rotas of a server.
type OnCall interface {
	// Uncovered are the times of [from, to) in which nobody is on call at an
	// address, in order; known is false where it is no rota of the server.
	Uncovered(address string, from, to time.Time) (gaps []Gap, known bool)
}

// Gap is a time [From, To) without anybody on call.
type Gap struct{ From, To time.Time }

// serverCodes are the codes that need a server.
var serverCodes = []string{"E14", "E15", "E20", "E21", "W01", "W15", "W23", "W06 counts", "W12 chances"}

// Skipped returns the codes that Lint leaves out without a server.
func Skipped() []string { return slices.Clone(serverCodes) }

// linter collects the findings of one plan.
type linter struct {
	p      *Plan
	server *ServerFacts
	r      *reader // places the findings in the file
}

// Lint returns what a person should know about a plan that parses, in the
// order of its lines: warnings, and the errors that only a server can tell.
// Without a server (nil) the codes of Skipped are left out.
func Lint(p *Plan, server *ServerFacts) []Problem {
	l := newLinter(p, server)
	l.schedule()
	l.people()
	l.told()
	l.limits()
	l.decisions()
	l.comparisons()
	l.inheritedControl()
	l.dialects()
	if server != nil {
		l.onServer()
	}
	return l.r.problems.sorted()
}

func newLinter(p *Plan, server *ServerFacts) *linter {
	return &linter{p: p, server: server, r: &reader{file: p.File, plan: p, lines: splitLines(p.Source)}}
}

// lint adds the errors that need the whole plan but no server.
func (r *reader) lint() {
	l := &linter{p: r.plan, r: r}
	l.noControl()
	l.reach()
	l.expected()
}

// key adds a finding at the first of the keys that was written, else at line 1.
func (l *linter) key(level Level, code, what, fix string, paths ...string) {
	var at Position
	for _, path := range paths {
		if at = l.p.Positions[path]; at.Line > 0 {
			break
		}
	}
	l.r.at(at.Line, at.Column, level, &finding{code, what, fix})
}

func (l *linter) warn(code, what, fix string, paths ...string) {
	l.key(Warning, code, what, fix, paths...)
}

// rule adds a finding at a rule; a default rule stands at the key it fills in.
func (l *linter) rule(level Level, rule *Rule, code, what, fix string, paths ...string) {
	if rule.Line == 0 {
		l.key(level, code, what, fix, paths...)
		return
	}
	l.r.at(rule.Line, rule.Column, level, &finding{code, what, fix})
}

// use is one place where a stage uses a rule.
type use struct {
	rule  *Rule
	stage int
	entry int // check entry; -1 = proceed
}

// paths are the keys under which the rule of a use was written or left out.
func (u use) paths() []string {
	stage := fmt.Sprintf("stages.%d.", u.stage)
	if u.entry < 0 {
		return []string{stage + "proceed", stage + "stage"}
	}
	return []string{stage + "checks", stage + "stage"}
}

// uses returns every rule of every stage, checks before proceed.
func (p *Plan) uses() []use {
	var all []use
	for i, s := range p.Stages {
		for k, c := range s.Checks {
			for _, rule := range c.Expect {
				all = append(all, use{rule, i, k})
			}
		}
		for _, rule := range s.Proceed {
			all = append(all, use{rule, i, -1})
		}
	}
	return all
}

// guardRules returns the rules that act.
func (p *Plan) guardRules() []*Rule { return append(slices.Clone(p.Rollback), p.Reduce...) }

// checkFilter returns why a search filter cannot be understood, or nil.
func checkFilter(text string) *telemetry.SyntaxError {
	_, err := telemetry.ParseFilter(text)
	return syntaxError(text, err)
}

// syntaxError is err as an error of syntax; nil = none.
func syntaxError(text string, err error) *telemetry.SyntaxError {
	if bad := (*telemetry.SyntaxError)(nil); err == nil || errors.As(err, &bad) {
		return bad
	}
	return &telemetry.SyntaxError{Text: text, What: err.Error(), Do: "correct it"}
}

// spaced writes a share for people: "10 %".
func spaced(p flag.Percent) string { return strings.TrimSuffix(p.String(), "%") + " %" }

// spacedRatio is spaced for 0..1.
func spacedRatio(f float64) string {
	return strconv.FormatFloat(float64(int64(f*1e5+0.5))/1e3, 'f', -1, 64) + " %"
}

// atClock and atDay are how lint writes moments.
func atClock(t time.Time) string { return t.Format("Mon 15:04") }
func atDay(t time.Time) string   { return t.Format("Mon 2 Jan") }
func atBoth(t time.Time) string  { return t.Format("Mon 2 Jan 15:04") }

// grouped writes a number with commas, rounded to two significant digits.
func grouped(f float64) string {
	n, unit := int64(f+0.5), int64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	digits := strconv.FormatInt((n+unit/2)/unit*unit, 10)
	var parts []string
	for len(digits) > 3 {
		parts = append([]string{digits[len(digits)-3:]}, parts...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, parts...), ",")
}
