package reporting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"serin/internal/rollout"
	"serin/internal/standup"
	"serin/internal/store"
)

// View is a report as pages, API and CLI show it: frozen, with what was said
// and decided after it.
type View struct {
	standup.Report
	Notes   []standup.Note `json:"notes,omitempty" doc:"what was recorded of the stand-up"`
	Decided []standup.Move `json:"decided,omitempty" doc:"what people decided after it, until the next one"`
	Sent    []Sent         `json:"sent,omitempty"`
	Text    string         `json:"text" doc:"as it was sent"`
}

// Sent is how a report was delivered to a channel.
type Sent struct {
	Channel string    `json:"channel"`
	Address string    `json:"address"`
	State   string    `json:"state" enum:"waiting,delivered,dead"`
	At      time.Time `json:"at,omitzero" doc:"when it was delivered"`
	Error   string    `json:"error,omitempty"`
}

// Open is what is to be decided about a rollout now.
type Open struct {
	Rollout string         `json:"rollout"`
	Project string         `json:"project"`
	Status  rollout.Status `json:"status"`
	standup.Question
	Incidents []standup.Incident `json:"incidents,omitempty"`
}

// Standup is everything of a day.
type Standup struct {
	Day     string   `json:"day" doc:"of the reports; without a date the newest of each rollout"`
	Reports []View   `json:"reports"`
	Open    []Open   `json:"open" doc:"what is to be decided now"`
	Days    []string `json:"days" doc:"days that have a stand-up, newest first"`
}

// Query selects the reports of a Standup.
type Query struct {
	Rollout string // id, or its plan's name; "" = all
	Day     string // "" = the newest report of each rollout
	Sees    func(project string) bool
}

// The bounds of a view.
const (
	daysListed    = 60
	reviewsListed = 48
	scanned       = 1000 // reports that a view looks through
)

// Standup is the stand-up of a day with what is to be decided now. An unknown
// rollout is store.ErrNotFound.
func (e *Engine) Standup(ctx context.Context, q Query) (Standup, error) {
	out := Standup{Day: q.Day, Reports: []View{}, Open: []Open{}, Days: []string{}}
	id, err := e.resolve(q)
	if err != nil {
		return out, err
	}
	rows, err := e.o.Store.Reports(ctx, store.ReportQuery{Rollout: id, Kind: string(standup.Daily), Limit: scanned})
	if err != nil {
		return out, err
	}
	shown := map[string]bool{}
	for _, row := range rows { // newest first
		if !q.Sees(row.Project) {
			continue
		}
		if !slices.Contains(out.Days, row.Day) && len(out.Days) < daysListed {
			out.Days = append(out.Days, row.Day)
		}
		if q.Day != "" && row.Day != q.Day || q.Day == "" && (shown[row.Rollout+"/"+row.Name] || id == "" && e.ended(row.Rollout)) {
			continue
		}
		shown[row.Rollout+"/"+row.Name] = true
		v, err := e.view(ctx, row)
		if err != nil {
			return out, err
		}
		out.Reports = append(out.Reports, v)
	}
	for _, r := range e.o.Rollouts.Standings() {
		if o, ok := e.open(r); ok && q.Sees(o.Project) && (id == "" || id == o.Rollout) {
			out.Open = append(out.Open, o)
		}
	}
	return out, nil
}

// resolve is the id of the rollout that a query names.
func (e *Engine) resolve(q Query) (string, error) {
	if q.Rollout == "" {
		return "", nil
	}
	r, err := e.o.Rollouts.Standing(q.Rollout)
	if err != nil {
		return "", err
	}
	if !q.Sees(r.Standing.Project) {
		return "", fmt.Errorf("rollout %s: %w", q.Rollout, store.ErrNotFound)
	}
	return r.Standing.ID, nil
}

// ended reports whether a rollout is over, or cannot be read any more.
func (e *Engine) ended(id string) bool {
	r, err := e.o.Rollouts.Standing(id)
	return err != nil || store.Over(r.Standing.State.Status)
}

// open is what is to be decided about a rollout; false = nothing.
func (e *Engine) open(r Rollout) (Open, bool) {
	s := r.Standing
	in := e.o.Incidents(s.ID)
	q := standup.Ask(r.Plan, s, in)
	if q == nil {
		return Open{}, false
	}
	return Open{Rollout: s.ID, Project: s.Project, Status: s.State.Status, Question: *q, Incidents: in}, true
}

// Reviews are the newest reviews of a rollout, newest first, at most limit
// (0 = two days of hourly ones).
func (e *Engine) Reviews(ctx context.Context, q Query, limit int) ([]View, error) {
	id, err := e.resolve(q)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = reviewsListed
	}
	rows, err := e.o.Store.Reports(ctx, store.ReportQuery{Rollout: id, Kind: string(standup.Review), Limit: scanned})
	if err != nil {
		return nil, err
	}
	out := []View{}
	for _, row := range rows {
		if len(out) == limit {
			break
		}
		if !q.Sees(row.Project) || q.Day != "" && row.Day != q.Day {
			continue
		}
		v, err := read(row)
		if err != nil {
			return nil, err
		}
		if v.Sent, err = e.sent(ctx, v.Report); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// read is a stored report.
func read(row store.ReportRow) (View, error) {
	var v View
	if err := json.Unmarshal(row.Data, &v.Report); err != nil {
		return v, fmt.Errorf("read report %s: %w", row.ID, err)
	}
	for _, data := range row.Notes {
		var n standup.Note
		if err := json.Unmarshal(data, &n); err != nil {
			return v, fmt.Errorf("read a note of %s: %w", row.ID, err)
		}
		v.Notes = append(v.Notes, n)
	}
	v.Text = v.Report.Text()
	return v, nil
}

// view is a stored report with what came after it, until the next of its name.
func (e *Engine) view(ctx context.Context, row store.ReportRow) (View, error) {
	v, err := read(row)
	if err != nil {
		return v, err
	}
	if v.Sent, err = e.sent(ctx, v.Report); err != nil {
		return v, err
	}
	r, err := e.o.Rollouts.Standing(row.Rollout)
	if err != nil {
		return v, nil // the report stands for itself: its plan cannot be read now
	}
	journal, err := e.o.Rollouts.Journal(ctx, row.Rollout)
	if err != nil {
		return v, fmt.Errorf("read journal of %s: %w", row.Rollout, err)
	}
	until := slotsOf(r, planReport(r, v.Report)).Next(v.Due)
	v.Decided = standup.Decided(r.Plan, journal, v.At, until)
	return v, nil
}

// sent is what became of the notices of a report.
func (e *Engine) sent(ctx context.Context, r standup.Report) (out []Sent, err error) {
	found, err := e.o.Rollouts.Standing(r.Rollout)
	if err != nil {
		return nil, nil // where it was sent is in a plan that cannot be read now
	}
	for _, ch := range found.Plan.Channels {
		n, err := e.o.Store.Notice(ctx, noticeID(r.ID, ch.Name))
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			out = append(out, Sent{Channel: n.Channel, Address: n.Address, State: string(n.State()), At: n.Delivered, Error: n.Error})
		}
	}
	return out, nil
}
