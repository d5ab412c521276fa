package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/evidence"
	"serin/internal/flag"
	"serin/internal/telemetry"
)

// The results of a doctor's step.
const (
	stepOK      = "ok"
	stepMissing = "missing"     // did not happen yet
	stepWrong   = "wrong"       // happened, and is not as it must be
	stepSkipped = "not checked" // nothing to check it with
)

// allowedSkew is how far a client's clock may be off: an event stamped
// earlier than this counts in charts only (telemetry.Event.Late).
const allowedSkew = 10 * time.Minute

// DoctorStep is one thing that must hold between a user's app and a verdict.
type DoctorStep struct {
	Step  string `json:"step"`
	State string `json:"state" enum:"ok,missing,wrong,not checked"`
	What  string `json:"what" doc:"what was found"`
	Fix   string `json:"fix,omitempty" doc:"what to do; empty where nothing is to be done"`
}

// DoctorAnswer is what was found out about a user of a flag.
type DoctorAnswer struct {
	OK    bool         `json:"ok" doc:"no step is missing or wrong"`
	Steps []DoctorStep `json:"steps"`
}

// diagnosis gathers the steps about one user of one flag.
type diagnosis struct {
	flag, user string
	now        time.Time
	steps      []DoctorStep
}

func (d *diagnosis) add(step, state, what, fix string) {
	d.steps = append(d.steps, DoctorStep{step, state, what, fix})
}

// DoctorAsk is whom a diagnosis follows, and with what. Flag and User are required.
type DoctorAsk struct {
	Flag   string         `json:"flag" minLength:"1"`
	User   string         `json:"user" minLength:"1" doc:"targeting key and user id of the telemetry"`
	With   map[string]any `json:"with,omitempty" doc:"attributes of the evaluation context"`
	Key    string         `json:"key,omitempty" doc:"flag key of the app, to check it too"`
	Origin string         `json:"origin,omitempty" doc:"origin of the page, to check the key's list"`
}

// Doctor follows a user from the flag to the rules. All fields but Project are required.
type Doctor struct {
	Flags    Flags
	Auth     *auth.Auth
	Evidence interface {
		Trace(project, flagKey, user string) evidence.Trace
	}
	Now func() time.Time
	// Sees says whose flags and telemetry may be told of; others do not exist.
	Sees func(project string) bool
	// Project is whose telemetry is looked at where there is no such flag; "" = the first.
	Project string
}

// Diagnose follows one user of one flag and says at each step what was found
// and what is missing. It records nothing.
func (p Doctor) Diagnose(ctx context.Context, ask DoctorAsk) (DoctorAnswer, error) {
	d := &diagnosis{flag: ask.Flag, user: ask.User, now: p.Now()}
	rules, project := p.Flags.Current(), flag.ProjectOf(p.Project)
	if at, ok := rules.Place(ask.Flag); ok && p.Sees(at.Project) {
		project = at.Project
	} else {
		rules = nil
	}
	exists := d.evaluation(rules, ask.With)
	if err := p.checkKey(ctx, d, rules, exists, ask.Key, ask.Origin); err != nil {
		return DoctorAnswer{}, err
	}
	var trace evidence.Trace
	if p.Sees(project) {
		trace = p.Evidence.Trace(project, d.flag, d.user)
	}
	d.fetch(trace)
	d.event(trace)
	d.arms(trace)
	failed := slices.ContainsFunc(d.steps, func(x DoctorStep) bool { return x.State == stepMissing || x.State == stepWrong })
	return DoctorAnswer{!failed, d.steps}, nil
}

func (s *server) doctor(api huma.API) {
	huma.Register(api, inProjects(op(http.MethodPost, "/doctor", "doctor", read,
		"Follow one user from the flag to the rules, and say what is missing; records nothing")),
		func(ctx context.Context, in *struct{ Body DoctorAsk }) (*body[DoctorAnswer], error) {
			out, err := Doctor{Flags: s.Flags, Auth: s.Auth, Evidence: s.Evidence, Now: s.Now, Sees: who(ctx).InProject, Project: who(ctx).Home()}.Diagnose(ctx, in.Body)
			return ok(out), s.fail(err)
		})
}

// evaluation says what the user gets, and whether the flag exists.
func (d *diagnosis) evaluation(rules *flag.Ruleset, with map[string]any) bool {
	c := flag.Context{}
	for k, v := range with {
		c[k] = v
	}
	c["targetingKey"] = d.user
	e := rules.EvaluateAt(d.flag, c, d.now.Unix())
	switch {
	case e.Code == flag.FlagNotFound:
		d.add("flag", stepMissing, fmt.Sprintf("there is no flag %s", d.flag), "serin rollout create plan.yaml makes the flag of a plan; compare the spelling with: serin flag list")
		return false
	case e.Code != "":
		d.add("flag", stepWrong, fmt.Sprintf("evaluating it fails: %s %s", e.Code, e.Detail), "mend its definition: serin flag get "+d.flag)
	default:
		d.add("flag", stepOK, fmt.Sprintf("%s gets %s (%s)", d.user, orDefault(e.Variant), e.Reason), "")
	}
	return true
}

// checkKey checks the app's key at the flag door, and who may see the flag.
func (p Doctor) checkKey(ctx context.Context, d *diagnosis, rules *flag.Ruleset, exists bool, key, origin string) error {
	const step = "key"
	if key == "" {
		what := "no key was given; server keys may read the flag, keys of pages may not"
		if rules.Client(d.flag) {
			what = "no key was given; server keys and keys of pages may read the flag"
		}
		d.add(step, stepSkipped, what, "give the app's flag key with --key, and the page's origin with --origin")
		return nil
	}
	found, err := p.Auth.FlagKey(ctx, key, origin)
	switch {
	case errors.Is(err, auth.ErrForbiddenOrigin):
		d.add(step, stepWrong, fmt.Sprintf("the key may not be used by pages of %s", origin), "make one that may: serin token create NAME --kind flags --origin "+origin)
	case errors.Is(err, auth.ErrUnknownKey):
		d.add(step, stepWrong, "the key is unknown, expired, revoked or not for flags", "make one: serin token create NAME --kind flags, or flags-server for a server")
	case err != nil:
		return err
	case exists && !found.Server && !rules.Client(d.flag):
		d.add(step, stepWrong, "the key is a page's, and pages may not read this flag", "serin flag set "+d.flag+" --client")
	default:
		d.add(step, stepOK, "the key reads the flag", "")
	}
	return nil
}

// fetch says whether an app asked for the flag with the user's id.
func (d *diagnosis) fetch(t evidence.Trace) {
	if t.Fetch.At.IsZero() {
		d.add("fetch", stepMissing, fmt.Sprintf("no app asked for the flag with targeting key %s since %s", d.user, stampOf(t.Since)),
			"open the app as this user; it must set targetingKey to the user's id and use this server's address")
		return
	}
	by := "a page"
	if t.Fetch.Server {
		by = "a server"
	}
	d.add("fetch", stepOK, fmt.Sprintf("%s was answered %s at %s", by, orDefault(t.Fetch.Variant), stampOf(t.Fetch.At)), "")
}

// orDefault names a variant; an answer without one is the code's default.
func orDefault(variant string) string {
	if variant == "" {
		return "the default in the code"
	}
	return variant
}

// event says what telemetry the user sent last.
func (d *diagnosis) event(t evidence.Trace) {
	e := t.Event
	if e == nil {
		d.add("event", stepMissing, fmt.Sprintf("no telemetry with user id %s arrived since %s", d.user, stampOf(t.Since)),
			"set the same id in the Sentry SDK (Sentry.setUser({ id })), send to this server's DSN and cause an error or load a page")
		return
	}
	environment := e.Environment
	if environment == "" {
		environment = "not named"
	}
	d.add("event", stepOK, fmt.Sprintf("%s of project %s, environment %s, at %s", e.Kind, e.Project, environment, stampOf(e.Received)), "")
	skew := e.Received.Sub(e.Time).Round(time.Second)
	switch {
	case e.Late:
		d.add("clock", stepWrong, fmt.Sprintf("it is stamped %s before it arrived: it counts in charts only", skew), "set the client's clock, and send events when they happen")
	case skew < -allowedSkew:
		d.add("clock", stepWrong, fmt.Sprintf("it is stamped %s in the future", -skew), "set the client's clock")
	default:
		d.add("clock", stepOK, fmt.Sprintf("it is stamped %s before it arrived", skew), "")
	}
	if e.Release == "" {
		d.add("release", stepMissing, "the event names no release: errors cannot be told apart by deployment", "set release where the Sentry SDK is started")
	} else {
		d.add("release", stepOK, e.Release, "")
	}
}

// arms says for each rollout of the flag which arm the event belongs to and
// which metrics count it.
func (d *diagnosis) arms(t evidence.Trace) {
	if len(t.Rollouts) == 0 {
		d.add("rollout", stepMissing, "no rollout watches this flag", "serin rollout create plan.yaml, then serin rollout start")
	}
	for _, r := range t.Rollouts {
		d.arm(r, t.Event != nil)
		if t.Event != nil {
			d.counted(r)
		}
	}
}

func (d *diagnosis) arm(r evidence.TracedRollout, sent bool) {
	step, a := "arm in "+r.Rollout, r.Attribution
	what := fmt.Sprintf("assigned %s, reported %s", a.Assigned, a.Reported)
	switch {
	case a.Conflict:
		d.add(step, stepWrong, what+": they differ", "the page shows an old answer, or its targeting key is not the telemetry's user id")
	case a.Included:
		d.add(step, stepOK, what+"; named by flag.include or flag.exclude, so outside comparisons", "")
	case a.Arm() != telemetry.Unknown:
		if a.Reported == telemetry.Unknown && sent {
			what += ": the app does not say which variant it showed, the split of now tells"
		}
		d.add(step, stepOK, what, "")
	case a.Why == telemetry.WhyNotMember:
		d.add(step, stepMissing, what+": "+a.Why, "evaluate the flag on the server with the audience's attributes, or send them with the telemetry's user")
	case a.Why == telemetry.WhyEnvironment:
		d.add(step, stepWrong, what+": the event is of another environment than the plan's", "start the Sentry SDK with the plan's environment")
	default:
		d.add(step, stepWrong, what+": "+a.Why, "compare flag.audience and the variants' names of the plan with what the app sends")
	}
}

func (d *diagnosis) counted(r evidence.TracedRollout) {
	step := "counted in " + r.Rollout
	if len(r.Counted) > 0 {
		d.add(step, stepOK, "the last event counts for "+strings.Join(r.Counted, ", "), "")
		return
	}
	switch {
	case r.Attribution.Why == telemetry.WhyEnvironment:
		d.add(step, stepWrong, "the last event does not count: "+r.Attribution.Why, "start the Sentry SDK with the plan's environment")
	case r.Attribution.Arm() == telemetry.Unknown && !r.Tagged:
		d.add(step, stepWrong, "the last event does not count: its arm is not known and it lacks the tags of scope.tags", "see the step before, or set the tags where the feature's code runs")
	case !r.OnPage:
		d.add(step, stepMissing, "the last event is from a page outside scope.pages", "load a page of the feature, or correct scope.pages")
	default:
		d.add(step, stepMissing, "no metric of the plan takes an event of this kind", "cause an error or load a page; serin show prints the metrics")
	}
}

func stampOf(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }
