package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The range query of an import.
const (
	defaultRange   = 7 * 24 * time.Hour
	maxRangeAnswer = 16 << 20
	// prometheusToken is the environment variable with the bearer token.
	prometheusToken = "SERIN_PROMETHEUS_TOKEN"
)

// queryRange asks a Prometheus API for the figures, and for their sample sizes
// where a second query is given.
func (a *app) queryRange(ctx context.Context, o baselineOptions, body *importBody) error {
	base, err := url.Parse(o.prometheus)
	if err != nil || base.Host == "" {
		return usageError{fmt.Errorf("--prometheus %q: write it as http://HOST:PORT", o.prometheus)}
	}
	from, to, err := o.span(time.Now())
	if err != nil {
		return usageError{err}
	}
	ask := func(query string) (string, error) {
		u := base.JoinPath("api/v1/query_range")
		q := u.Query()
		q.Set("query", query)
		q.Set("start", strconv.FormatInt(from.Unix(), 10))
		q.Set("end", strconv.FormatInt(to.Unix(), 10))
		q.Set("step", o.step)
		u.RawQuery = q.Encode()
		return a.fetch(ctx, u)
	}
	body.Source = "prometheus " + base.Host
	if body.Data, err = ask(o.query); err == nil && o.countQuery != "" {
		body.Counts, err = ask(o.countQuery)
	}
	return err
}

// span is from when to when is asked.
func (o *baselineOptions) span(now time.Time) (from, to time.Time, err error) {
	to = now.Truncate(time.Hour)
	for _, f := range []struct {
		name, text string
		at         *time.Time
	}{{"to", o.to, &to}, {"from", o.from, &from}} {
		if f.text == "" {
			continue
		}
		if *f.at, err = time.Parse(time.RFC3339, f.text); err != nil {
			return from, to, fmt.Errorf("--%s %q: write it as 2026-02-02T09:00:00Z", f.name, f.text)
		}
	}
	if from.IsZero() {
		from = to.Add(-defaultRange)
	}
	if !from.Before(to) {
		return from, to, fmt.Errorf("--from %s is not before --to %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	return from, to, nil
}

// fetch reads an answer. Prometheus says what is wrong with a query in the body
// of a 400 or 422, so that is shown.
func (a *app) fetch(ctx context.Context, u *url.URL) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	if token := a.getenv(prometheusToken); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Timeout: callLimit}).Do(req)
	if err != nil {
		return "", fmt.Errorf("ask Prometheus: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxRangeAnswer+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read the answer of Prometheus: %w", err)
	case len(data) > maxRangeAnswer:
		return "", fmt.Errorf("the answer of Prometheus is longer than %d MiB: ask for a longer --step", maxRangeAnswer>>20)
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("the API at %s answers %s: %s", u.Host, resp.Status, oneLine(strings.TrimSpace(string(data[:min(len(data), 500)]))))
	}
	return string(data), nil
}
