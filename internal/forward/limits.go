package forward

import (
	"strconv"
	"strings"
	"time"
)

// usualPause is how long a 429 that names no time lasts (sentry-docs, sdk
// rate-limiting: 60 s).
const usualPause = 60 * time.Second

// maxPause bounds what an upstream may ask for: what waits longer is over the
// age limit in any case.
const maxPause = 24 * time.Hour

// everything stands for all categories in rateLimits.
const everything = ""

// rateLimits are the upstream's wishes: until when which category is not to
// be sent. They are obeyed towards the upstream only.
type rateLimits map[string]time.Time

// note takes over the answer's headers. A bare 429 limits everything.
func (l rateLimits) note(status int, header, retryAfter string, now time.Time) {
	told := false
	for part := range strings.SplitSeq(header, ",") {
		fields := strings.Split(strings.TrimSpace(part), ":")
		pause, ok := seconds(fields[0])
		if !ok || len(fields) < 2 {
			continue
		}
		told = true
		for category := range strings.SplitSeq(fields[1], ";") {
			l.until(normal(strings.TrimSpace(category)), now.Add(pause))
		}
	}
	if told || status != statusTooMany {
		return
	}
	pause, ok := seconds(retryAfter)
	if !ok {
		pause = usualPause
	}
	l.until(everything, now.Add(pause))
}

// normal is our name of a category.
func normal(category string) string {
	if category == "metric" {
		return "trace_metric"
	}
	return category
}

func (l rateLimits) until(category string, t time.Time) {
	if t.After(l[category]) {
		l[category] = t
	}
}

func seconds(text string) (time.Duration, bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(n >= 0) {
		return 0, false
	}
	return time.Duration(min(n, maxPause.Seconds()) * float64(time.Second)), true
}

// now are the limits in force, by category; "all" is everything. nil = none.
func (l rateLimits) now(now time.Time) map[string]time.Time {
	var out map[string]time.Time
	for category, until := range l {
		if !now.Before(until) {
			continue
		}
		if out == nil {
			out = map[string]time.Time{}
		}
		if category == everything {
			category = "all"
		}
		out[category] = until
	}
	return out
}

// forget drops what an upstream asked for that is no more.
func (c *counts) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = rateLimits{}
}
