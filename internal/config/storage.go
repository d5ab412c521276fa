package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Ages are how long each class of data is kept; 0 = for ever.
type Ages struct {
	Evidence time.Duration `json:"evidence"` // after the end of a rollout
	Inputs   time.Duration `json:"inputs"`   // after the end of a rollout
	Samples  time.Duration `json:"samples"`  // after the arrival
	Audit    time.Duration `json:"audit"`    // after the entry was made
	Outbox   time.Duration `json:"outbox"`   // after the notice was settled or given up
}

// day is the unit of retention; summer time is nothing to it.
const day = 24 * time.Hour

// DefaultAges holds where the configuration says nothing.
var DefaultAges = Ages{Evidence: 400 * day, Inputs: 400 * day, Samples: 90 * day, Outbox: 90 * day}

// forever keeps a class without end.
const forever = "forever"

// Ages reads the retention; keys that are not given have their default.
func (r Retention) Ages() (Ages, error) {
	out := DefaultAges
	var errs []error
	for _, k := range []struct {
		key, text string
		least     time.Duration // less would take what is still looked at
		age       *time.Duration
	}{
		{"evidence", r.Evidence, day, &out.Evidence}, {"inputs", r.Inputs, day, &out.Inputs}, {"samples", r.Samples, time.Hour, &out.Samples},
		{"audit", r.Audit, 30 * day, &out.Audit}, {"outbox", r.Outbox, day, &out.Outbox},
	} {
		if k.text == "" {
			continue
		}
		age, err := ParseAge(k.text)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("retention.%s %w", k.key, err))
			continue
		case age != 0 && age < k.least:
			errs = append(errs, fmt.Errorf("retention.%s %q: keep it for at least %s", k.key, k.text, FormatAge(k.least)))
			continue
		}
		*k.age = age
	}
	return out, errors.Join(errs...)
}

// ageUnits are those of an age, the longest first.
var ageUnits = []struct {
	name string
	d    time.Duration
}{{"w", 7 * day}, {"d", day}, {"h", time.Hour}}

// maxAge keeps sums with times far from the end of time.Duration.
const maxAge = 100 * 365 * day

// ParseAge reads "400d", "12h", "8w" or "forever", which is 0.
func ParseAge(text string) (time.Duration, error) {
	if text == forever {
		return 0, nil
	}
	for _, u := range ageUnits {
		digits, ok := strings.CutSuffix(text, u.name)
		n, err := strconv.ParseInt(digits, 10, 32)
		if !ok || err != nil {
			continue
		}
		if n <= 0 || n > int64(maxAge/u.d) {
			break
		}
		return time.Duration(n) * u.d, nil
	}
	return 0, fmt.Errorf("%q: write hours, days or weeks such as 12h, 400d or 8w, at most 100 years, or forever", text)
}

// FormatAge is the inverse of ParseAge, in days where they are whole.
func FormatAge(age time.Duration) string {
	switch {
	case age == 0:
		return forever
	case age%day == 0:
		return strconv.FormatInt(int64(age/day), 10) + "d"
	}
	return strconv.FormatInt(int64(age/time.Hour), 10) + "h"
}

// The disk's defaults.
const (
	DefaultWarn  = 80        // percent of the budget
	DefaultFloor = 256 << 20 // bytes that should be free on the file system
	// leastBudget is four times what the write-ahead log alone may take.
	leastBudget = 256 << 20
)

// Room is the disk that serin may use, in bytes.
type Room struct {
	Budget int64 `json:"budget"` // 0 = no bound
	Warn   int64 `json:"warn"`   // part of the budget at which to warn; 0 without a budget
	Floor  int64 `json:"floor"`  // free bytes of the file system below which to warn
}

// Room reads the disk's block; keys that are not given have their default.
func (d Disk) Room() (Room, error) {
	out := Room{Floor: DefaultFloor}
	var errs []error
	if d.Free != "" {
		floor, err := ParseBytes(d.Free)
		if err != nil {
			errs = append(errs, fmt.Errorf("disk.free %w", err))
		}
		out.Floor = floor
	}
	percent := d.Warn
	if percent == 0 {
		percent = DefaultWarn
	}
	if percent < 1 || percent > 100 {
		errs = append(errs, fmt.Errorf("disk.warn %d: write a percentage from 1 to 100", d.Warn))
	}
	if d.Budget != "" {
		budget, err := ParseBytes(d.Budget)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("disk.budget %w", err))
		case budget < leastBudget:
			errs = append(errs, fmt.Errorf("disk.budget %q: it is at least %d MiB, or empty for no bound", d.Budget, leastBudget>>20))
		}
		out.Budget, out.Warn = budget, int64(float64(budget)*float64(percent)/100)
	}
	return out, errors.Join(errs...)
}

// byteUnits are powers of 1000 and, with an i, of 1024 (IEC 80000-13).
var byteUnits = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// ParseBytes reads "10GB", "1.5 GiB" or "500MB".
func ParseBytes(text string) (int64, error) {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || math.IsNaN(n) || n < 0 || n*u.bytes > 1<<60 {
			break
		}
		return int64(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%q: write a size such as 10GB, 512MiB or 0B", text)
}
