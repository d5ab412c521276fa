package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"serin/internal/controller"
	"serin/internal/rollout"
	"serin/internal/store"
)

// spanOf returns the range in force for a query's key, and where it begins.
func spanOf(v controller.View, key string, now time.Time) (string, time.Time) {
	for _, r := range ranges {
		if r.Key == key && r.Span > 0 {
			return key, now.Add(-r.Span)
		}
	}
	if began := v.State.StageAt; key == "stage" && !began.IsZero() && began.Before(now) {
		return key, began
	}
	return "24h", now.Add(-24 * time.Hour)
}

// series answers chart data; the same columns as the operator API.
func (s *server) series(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	now := s.Now()
	_, from := spanOf(v, r.URL.Query().Get("range"), now)
	data, err := s.Rollouts.Series(r.Context(), v.ID, r.PathValue("metric"), from, now, seriesPoints)
	var no *rollout.Refusal
	switch {
	case errors.Is(err, store.ErrNotFound), errors.As(err, &no):
		http.Error(w, "no such series", http.StatusNotFound)
		return
	case err != nil:
		s.Logger.Error("read series", "rollout", v.ID, "metric", r.PathValue("metric"), "error", err)
		http.Error(w, "the series could not be read", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(data); err != nil {
		s.Logger.Debug("send series", "error", err)
	}
}

// charts lists the figures and the range buttons; it returns the begin.
func (s *server) charts(b *rolloutBody, v controller.View, key string, now time.Time) time.Time {
	key, from := spanOf(v, key, now)
	for _, r := range ranges {
		if r.Key != "stage" || !v.State.StageAt.IsZero() {
			b.Ranges = append(b.Ranges, option{r.Key, upperStage(r.Key), r.Key == key})
		}
	}
	for _, c := range v.Charts {
		f := chart{Metric: c.Metric, Title: orElse(c.Title, c.Metric), Unit: c.Unit, Canary: optional(c.Now, c.Unit), Control: optional(c.Ref, c.Unit),
			URL: "/rollouts/" + v.ID + "/series/" + url.PathEscape(c.Metric) + "?range=" + key}
		f.Label = f.Title + ", " + spanWords(key) + ". Canary " + f.Canary + ", control " + f.Control + ". Use left and right arrow keys to read values."
		b.Charts = append(b.Charts, f)
	}
	return from
}

func upperStage(key string) string {
	if key == "stage" {
		return "Stage"
	}
	return key
}

func spanWords(key string) string {
	if key == "stage" {
		return "this stage"
	}
	return "last " + key
}

// table is the charts' values as rows, newest first, metric by metric.
func (s *server) table(ctx context.Context, v controller.View, from, now time.Time) []tableRow {
	var out []tableRow
	for _, c := range v.Charts {
		data, err := s.Rollouts.Series(ctx, v.ID, c.Metric, from, now, tableRows)
		if err != nil {
			s.Logger.Error("read series", "rollout", v.ID, "metric", c.Metric, "error", err)
			continue
		}
		for i := len(data.T) - 1; i >= 0; i-- {
			row := tableRow{At: at(time.Unix(data.T[i], 0), now), Metric: orElse(c.Title, c.Metric),
				Canary: cell(data.Canary, i, c.Unit), Control: cell(data.Control, i, c.Unit), Band: dash}
			if lo, hi := cell(data.Low, i, c.Unit), cell(data.High, i, c.Unit); lo != dash && hi != dash {
				row.Band = lo + " to " + hi
			}
			if row.Canary != dash || row.Control != dash {
				out = append(out, row)
			}
		}
	}
	return out
}

func cell(col []*float64, i int, unit string) string {
	if i >= len(col) {
		return dash
	}
	return optional(col[i], unit)
}
