package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/auth"
	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/store"
)

// Alerts is what is asked and decided about alert rules; the pages use the
// same. Errors wrap store.ErrNotFound, store.ErrConflict, alert.ErrInvalid and
// alert.ErrNotFiring.
type Alerts interface {
	Project(id string) (string, error)
	List(sees func(project string) bool) []alerting.View
	Get(id string) (alerting.View, error)
	Put(ctx context.Context, r alert.Rule, by store.AuditEntry) (alerting.View, error)
	Delete(ctx context.Context, id string, by store.AuditEntry) error
	Ack(ctx context.Context, id string, labels alert.Labels, by store.AuditEntry) (alerting.View, error)
	Silence(ctx context.Context, id string, labels alert.Labels, until time.Time, by store.AuditEntry) (alerting.View, error)
	Unsilence(ctx context.Context, id string, labels alert.Labels, by store.AuditEntry) (alerting.View, error)
	Why(ctx context.Context, id string, at time.Time) (alerting.Why, error)
	Backtest(ctx context.Context, id string, span time.Duration, t alerting.Trial) (*alert.Backtest, error)
}

// AlertID is the path of one rule; exported as RolloutID is.
type AlertID struct {
	ID string `path:"id" maxLength:"200" doc:"of a stand-alone rule, or ROLLOUT.NAME of a plan's"`
}

// AlertAct is the body of a decision about what fires; exported as RolloutID is.
type AlertAct struct {
	Labels []string `json:"labels,omitempty" maxItems:"4" doc:"only groups with all of these labels, name=value; left out: all"`
	Reason string   `json:"reason,omitempty" maxLength:"1000"`
}

// silenceRequest says until when notices are kept back.
type silenceRequest struct {
	AlertAct
	Until time.Time `json:"until" doc:"at most 30 days from now"`
}

// AlertRule is a stand-alone rule as it is sent; exported as RolloutID is.
type AlertRule struct {
	Name             string        `json:"name,omitempty" maxLength:"200"`
	Query            string        `json:"query,omitempty" maxLength:"2000" doc:"search in Sentry's syntax; left out: everything of its kind"`
	Of               string        `json:"of,omitempty" enum:"events,requests,spans,pages,feedback,actions" doc:"default: events"`
	Value            string        `json:"value,omitempty" doc:"count() (the default), count_unique(user), rate() by the minute, avg(FIELD), p50(FIELD) to p99(FIELD)"`
	Environment      string        `json:"environment,omitempty" maxLength:"200"`
	By               []string      `json:"by,omitempty" maxItems:"4" doc:"labels: fields such as environment or tags[component]; each set of values fires for itself"`
	Op               string        `json:"op,omitempty" enum:">,>=,<,<=" doc:"default: >"`
	Limit            float64       `json:"limit"`
	Also             *AlertAlso    `json:"also,omitempty" doc:"a second condition over the same window and labels"`
	Critical         *float64      `json:"critical,omitempty" doc:"limit from which on the severity is critical_severity"`
	CriticalSeverity string        `json:"critical_severity,omitempty" enum:"p1,p2,p3,p4" doc:"default: p1"`
	Resolve          *float64      `json:"resolve,omitempty" doc:"value from which on it is calm; left out: where the rule does not hold"`
	Over             time.Duration `json:"over,omitempty" doc:"window in nanoseconds, 1m to 24h; default: 10m"`
	For              time.Duration `json:"for,omitempty" doc:"how long it must hold; default: 0"`
	ResolveAfter     time.Duration `json:"resolve_after,omitempty" doc:"how long it must be calm; default: 10m"`
	NoDataAfter      time.Duration `json:"no_data_after,omitempty" doc:"when people are told that it cannot see; default: 1h"`
	Severity         string        `json:"severity,omitempty" enum:"p1,p2,p3,p4" doc:"default: p2"`
	Notify           []string      `json:"notify,omitempty" maxItems:"20" doc:"addresses as in a plan: slack:#team, webhook:name"`
	Repeat           time.Duration `json:"repeat,omitempty" doc:"default: 4h, 30m for p1"`
	GroupWait        time.Duration `json:"group_wait,omitempty" doc:"default: 30s with labels, else 0"`
	GroupInterval    time.Duration `json:"group_interval,omitempty" doc:"default: 5m"`
	Quiet            bool          `json:"quiet_resolve,omitempty" doc:"resolving is not told"`
	InhibitedBy      []string      `json:"inhibited_by,omitempty" maxItems:"20" doc:"rules whose firing keeps the notices of this one back"`
}

// AlertAlso is the second condition of a rule; exported as RolloutID is.
type AlertAlso struct {
	Join  string  `json:"join" enum:"and,or"`
	Query string  `json:"query,omitempty" maxLength:"2000"`
	Of    string  `json:"of,omitempty" enum:"events,requests,spans,pages,feedback,actions" doc:"default: events"`
	Value string  `json:"value,omitempty" doc:"default: count()"`
	Op    string  `json:"op,omitempty" enum:">,>=,<,<=" doc:"default: >"`
	Limit float64 `json:"limit"`
}

// rule is the body in the words of package alert.
func (b AlertRule) rule(id, project string) alert.Rule {
	r := alert.Rule{ID: id, Name: b.Name, Project: project, Query: b.Query, Of: b.Of, Value: b.Value, Environment: b.Environment, By: b.By,
		Op: plan.Op(b.Op), Limit: b.Limit, Critical: b.Critical, CriticalSeverity: b.CriticalSeverity, Resolve: b.Resolve, Over: b.Over, For: b.For,
		ResolveAfter: b.ResolveAfter, NoDataAfter: b.NoDataAfter, Severity: b.Severity, Repeat: b.Repeat, GroupWait: b.GroupWait,
		GroupInterval: b.GroupInterval, Quiet: b.Quiet, InhibitedBy: b.InhibitedBy}
	if a := b.Also; a != nil {
		r.Also = &alert.Also{Join: a.Join, Query: a.Query, Of: a.Of, Value: a.Value, Op: plan.Op(a.Op), Limit: a.Limit}
	}
	for _, address := range b.Notify {
		r.Notify = append(r.Notify, alert.Channel{Name: address, Address: address})
	}
	return r
}

// by is who asks, for the audit log and the alert's history.
func (s *server) by(ctx context.Context, reason string) store.AuditEntry {
	return store.AuditEntry{At: s.Now(), Who: who(ctx).Name, Via: via(ctx), Address: auth.Address(ctx), Reason: reason}
}

// needAlerts answers where this server has no alerts.
func (s *server) needAlerts() error {
	if s.Alerts == nil {
		return huma.Error404NotFound("alerts are not available on this server")
	}
	return nil
}

// alerts registers what is asked and decided about alert rules.
func (s *server) alerts(api huma.API) {
	huma.Register(api, inProjects(op(http.MethodGet, "/alerts", "list-alerts", read, "Alert rules of plans and stand-alone ones, what fires first")),
		func(ctx context.Context, in *InProject) (*body[[]alerting.View], error) {
			if s.Alerts == nil {
				return list([]alerting.View(nil)), nil
			}
			p := who(ctx)
			return list(s.Alerts.List(func(project string) bool { return in.sees(p, project) })), nil
		})
	huma.Register(api, op(http.MethodGet, "/alerts/{id}", "get-alert", read, "One alert rule with its state"),
		func(_ context.Context, in *AlertID) (*body[alerting.View], error) {
			if err := s.needAlerts(); err != nil {
				return nil, err
			}
			v, err := s.Alerts.Get(in.ID)
			return ok(v), s.fail(err)
		})
	huma.Register(api, op(http.MethodPut, "/alerts/{id}", "put-alert", operate, "Create or replace a stand-alone alert rule"),
		func(ctx context.Context, in *struct {
			AlertID
			ForProject
			Body AlertRule
		}) (*body[alerting.View], error) {
			if err := s.needAlerts(); err != nil {
				return nil, err
			}
			project, err := s.alertHome(ctx, in.ID, in.Project)
			if err != nil {
				return nil, err
			}
			v, err := s.Alerts.Put(ctx, in.Body.rule(in.ID, project), s.by(ctx, ""))
			return ok(v), s.fail(err)
		})
	huma.Register(api, op(http.MethodDelete, "/alerts/{id}", "delete-alert", operate, "Delete a stand-alone alert rule with its history and its counts"),
		func(ctx context.Context, in *AlertID) (*struct{}, error) {
			if err := s.needAlerts(); err != nil {
				return nil, err
			}
			return nil, s.fail(s.Alerts.Delete(ctx, in.ID, s.by(ctx, "")))
		})
	s.alertActs(api)
	s.alertReads(api)
}

// alertHome is the project of a rule that is there, else where a new one goes.
func (s *server) alertHome(ctx context.Context, id, asked string) (string, error) {
	if asked == "" {
		if project, err := s.Alerts.Project(id); err == nil && who(ctx).InProject(project) {
			return flag.ProjectOf(project), nil
		}
	}
	return s.home(ctx, asked)
}

// alertActs registers what people decide about what fires.
func (s *server) alertActs(api huma.API) {
	act := func(path, id, summary string, do func(ctx context.Context, id string, l alert.Labels, by store.AuditEntry) (alerting.View, error)) {
		huma.Register(api, op(http.MethodPost, "/alerts/{id}/"+path, id, operate, summary),
			func(ctx context.Context, in *struct {
				AlertID
				Body AlertAct
			}) (*body[alerting.View], error) {
				if err := s.needAlerts(); err != nil {
					return nil, err
				}
				labels, err := alert.ParseLabels(in.Body.Labels)
				if err != nil {
					return nil, s.fail(err)
				}
				v, err := do(ctx, in.ID, labels, s.by(ctx, in.Body.Reason))
				return ok(v), s.fail(err)
			})
	}
	act("ack", "ack-alert", "Acknowledge what fires: it is not told again until it resolves or grows worse",
		func(ctx context.Context, id string, l alert.Labels, by store.AuditEntry) (alerting.View, error) {
			return s.Alerts.Ack(ctx, id, l, by)
		})
	act("unsilence", "unsilence-alert", "End the silence of these labels",
		func(ctx context.Context, id string, l alert.Labels, by store.AuditEntry) (alerting.View, error) {
			return s.Alerts.Unsilence(ctx, id, l, by)
		})
	huma.Register(api, op(http.MethodPost, "/alerts/{id}/silence", "silence-alert", operate, "Keep notices back until a time; the rule goes on being looked at"),
		func(ctx context.Context, in *struct {
			AlertID
			Body silenceRequest
		}) (*body[alerting.View], error) {
			if err := s.needAlerts(); err != nil {
				return nil, err
			}
			labels, err := alert.ParseLabels(in.Body.Labels)
			if err != nil {
				return nil, s.fail(err)
			}
			v, err := s.Alerts.Silence(ctx, in.ID, labels, in.Body.Until, s.by(ctx, in.Body.Reason))
			return ok(v), s.fail(err)
		})
}

// alertReads registers the trace and the back-test.
func (s *server) alertReads(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/alerts/{id}/why", "explain-alert", read, "Why a rule does or does not fire, now or at a time in the past"),
		func(ctx context.Context, in *struct {
			AlertID
			At time.Time `query:"at" doc:"a time of the last 30 days; left out: now"`
		}) (*body[alerting.Why], error) {
			if err := s.needAlerts(); err != nil {
				return nil, err
			}
			w, err := s.Alerts.Why(ctx, in.ID, in.At)
			return ok(w), s.fail(err)
		})
	huma.Register(api, op(http.MethodGet, "/alerts/{id}/backtest", "backtest-alert", read, "What a rule, as it is or changed, would have done with what was counted"),
		func(ctx context.Context, in *struct {
			AlertID
			Days         int    `query:"days" minimum:"1" maximum:"30" default:"7"`
			Limit        string `query:"limit" doc:"another limit to try"`
			Over         string `query:"over" doc:"another window to try, such as 30m"`
			For          string `query:"for" doc:"another time to hold, such as 5m"`
			ResolveAfter string `query:"resolve_after" doc:"another time of calm, such as 1h"`
		}) (*body[*alert.Backtest], error) {
			if err := s.needAlerts(); err != nil {
				return nil, err
			}
			trial, err := alerting.ParseTrial(in.Limit, in.Over, in.For, in.ResolveAfter)
			if err != nil {
				return nil, s.fail(err)
			}
			b, err := s.Alerts.Backtest(ctx, in.ID, time.Duration(in.Days)*24*time.Hour, trial)
			return ok(b), s.fail(err)
		})
}
