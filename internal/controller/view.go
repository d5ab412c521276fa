package controller

import (
	"time"

	"serin/internal/judge"
	"serin/internal/rollout"
)

// View is a rollout as pages, API and CLI show it: state, plan and the newest
// verdicts joined. It is a snapshot; nobody changes it.
type View struct {
	ID         string                `json:"id"`
	Project    string                `json:"project"`
	Plan       string                `json:"plan"`
	Title      string                `json:"title"`
	Flag       string                `json:"flag"`
	State      rollout.State         `json:"state"`
	Version    int64                 `json:"version"`
	Exposure   float64               `json:"exposure"` // percent of the audience on new, 0..100
	Stages     []StageView           `json:"stages"`
	Waiting    []rollout.Waiting     `json:"waiting"`        // main reason first
	Note       string                `json:"note,omitempty"` // "quiet"
	Proceed    []judge.Verdict       `json:"proceed"`
	Rollback   []judge.Verdict       `json:"rollback"`
	Reduce     []judge.Verdict       `json:"reduce,omitempty"`
	Checks     []judge.Verdict       `json:"checks,omitempty"`
	Data       judge.Data            `json:"data"`
	Checklist  []ItemView            `json:"checklist,omitempty"` // preflight
	Before     []ItemView            `json:"before,omitempty"`    // of the next stage, in preflight of the first
	Confirm    []ItemView            `json:"confirm,omitempty"`   // of this stage
	Tasks      []ItemView            `json:"tasks,omitempty"`     // clean-up
	NextCheck  time.Time             `json:"next_check,omitzero"`
	CheckEvery string                `json:"check_every,omitempty"`
	Actions    []Action              `json:"actions"`          // every verb with whether it is open now
	Ways       []WayBack             `json:"ways,omitempty"`   // the ways back that the plan has
	Deploy     *DeployView           `json:"deploy,omitempty"` // of the build variable that the plan names; nil = none
	Users      Users                 `json:"users"`
	Charts     []ChartView           `json:"charts"` // the metrics to draw, worst first
	Metrics    map[string]MetricView `json:"metrics"`
	At         time.Time             `json:"at"` // server time of the snapshot
}

// StageView is one dot of the stage rail.
type StageView struct {
	Name       string        `json:"name"`
	Traffic    float64       `json:"traffic"` // percent
	Bake       time.Duration `json:"bake"`
	Baked      time.Duration `json:"baked"`
	State      string        `json:"state"` // done, current, next
	Overridden bool          `json:"overridden,omitempty"`
	Began      time.Time     `json:"began,omitzero"`
	Approve    []string      `json:"approve,omitempty"`
	Owner      []string      `json:"owner,omitempty"`
}

// ItemView is an item of a checklist, a confirmation or a task of the clean-up.
type ItemView struct {
	ID       string    `json:"id"`
	Do       string    `json:"do"`
	By       string    `json:"by,omitempty"` // role
	Done     bool      `json:"done"`
	Who      string    `json:"who,omitempty"`
	Role     string    `json:"role,omitempty"` // that they acted in
	When     time.Time `json:"when,omitzero"`
	Evidence string    `json:"evidence,omitempty"` // link or note that a person gave
	// Verify is the fact or rule that proves it. Facts from outside, which
	// were sent at SeenAt, hold for 24 hours; all others are looked at now.
	Verify string    `json:"verify,omitempty"`
	Holds  *bool     `json:"holds,omitempty"` // verified; nil = not looked at
	Seen   string    `json:"seen,omitempty"`  // the value it rests on, or why there is none
	SeenAt time.Time `json:"seen_at,omitzero"`
	Stale  bool      `json:"stale,omitempty"` // it held, and nobody has said so for 24 hours
	// If is the choice that a task depends on, "flag = a"; Idle says that it
	// does not apply as things stand.
	If   string `json:"if,omitempty"`
	Idle bool   `json:"idle,omitempty"`
	// After is how long after the last stage a task is not to be done yet;
	// Due is when that ends, zero before the clean-up has begun.
	After        time.Duration `json:"after,omitempty"`
	Due          time.Time     `json:"due,omitzero"`
	Choose       []ChoiceView  `json:"choose,omitempty"` // the options of a task that chooses
	Choice       string        `json:"choice,omitempty"` // the option that was chosen
	Irreversible bool          `json:"irreversible,omitempty"`
}

// ChoiceView is an option of a task that chooses.
type ChoiceView struct {
	Key  string `json:"key"`
	Text string `json:"text"`
}

// Action is a verb and whether it is open now.
type Action struct {
	Verb    rollout.Verb `json:"verb"`
	Open    bool         `json:"open"`
	Missing []string     `json:"missing,omitempty"` // what bars it and who can give it
	CLI     string       `json:"cli"`               // the same in a terminal
}

// NeedsPerson reports whether the rollout waits for somebody to act.
func (v View) NeedsPerson() bool {
	for _, w := range v.Waiting {
		switch w.Kind {
		case "decision", "confirm", "checklist", "approval", "incident", "no data", "blind", unreadableKind:
			return true
		}
	}
	return v.State.Status == rollout.Preflight || v.State.Status == rollout.RolledBack || v.State.Status == rollout.Paused
}

// Users says how many users are where.
type Users struct {
	NewSeen  int64   `json:"new_seen"` // distinct users assigned new who were active in this stage
	OldSeen  int64   `json:"old_seen"`
	Measured float64 `json:"measured"` // percent of those seen that are new
}

// ChartView is a chart that the rollout page draws.
type ChartView struct {
	Metric string   `json:"metric"`
	Title  string   `json:"title"`
	Unit   string   `json:"unit"`
	Limit  *float64 `json:"limit,omitempty"`
	Now    *float64 `json:"now,omitempty"` // canary's last value
	Ref    *float64 `json:"ref,omitempty"` // control's
}

// MetricView names a metric for people.
type MetricView struct {
	Title  string `json:"title"`
	Unit   string `json:"unit"`
	UpGood bool   `json:"up_good"`
}

// Series is a metric over time in columns, at most 600 points a series.
// A nil entry is a gap.
type Series struct {
	Metric  string     `json:"metric"`
	Unit    string     `json:"unit"`
	T       []int64    `json:"t"` // Unix seconds, server time
	Canary  []*float64 `json:"a"`
	Control []*float64 `json:"c"`
	Low     []*float64 `json:"lo"` // always-valid band around the canary, where there is one
	High    []*float64 `json:"hi"`
	Limit   *float64   `json:"limit,omitempty"`
	Marks   []Mark     `json:"marks,omitempty"`
}

// Mark is a stage change on a chart.
type Mark struct {
	T    int64  `json:"t"`
	Text string `json:"text"`
}

// Result is what a command came to.
type Result struct {
	State  rollout.State   `json:"state"`
	Events []rollout.Event `json:"events"`
}

// Entry is a row of a rollout's timeline: a journal event in words.
type Entry struct {
	rollout.Event
	Title string `json:"title"`
	Text  string `json:"text,omitempty"`
}
