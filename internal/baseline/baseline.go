package baseline

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Format names the form of a file.
type Format string

// The formats.
const (
	CSV            Format = "csv"
	Prometheus     Format = "prometheus"
	SentryEvents   Format = "sentry-events"   // events-stats: errors
	SentrySessions Format = "sentry-sessions" // sessions: crash_free
)

// Formats lists the formats in the order of the documentation.
func Formats() []Format { return []Format{CSV, Prometheus, SentryEvents, SentrySessions} }

// The metrics that Sentry's answers are of when no other is named.
const (
	sentryErrors    = "errors"
	sentryCrashFree = "crash_free"
)

// maxPoints bounds the points of a file: a value a minute for two weeks.
const maxPoints = 25_000

// Point is one value as a file has it.
type Point struct {
	Where  string    // where in the file it stands, for people: "line 12"
	Begin  time.Time // of the time that the value stands for
	Metric string
	Value  float64
	Count  float64 // the sample behind the value
	Sized  bool    // the file tells Count
}

// File is what an import brings.
type File struct {
	Format Format
	// Metric is the metric of a file of one series; "" = errors and
	// crash_free of Sentry's files. A CSV names its own.
	Metric string
	Data   []byte
	// Counts is a second file with the sample sizes: a Prometheus answer with
	// the same step; for events of Sentry the sessions, whose active users the
	// errors are of. nil = none.
	Counts []byte
	// Scale multiplies every value: 1000 makes milliseconds of seconds, 0.01
	// shares of percents. 0 = 1.
	Scale float64
}

// Problem is what is wrong at one place of a file.
type Problem struct {
	Where string // "" = the whole file
	Why   string // what is wrong, and what to do
}

func (p Problem) String() string {
	if p.Where == "" {
		return p.Why
	}
	return p.Where + ": " + p.Why
}

// Problems are why a file is refused, in its order. It is refused whole.
type Problems []Problem

// shownProblems is how many problems one error tells.
const shownProblems = 10

func (p Problems) Error() string {
	var lines []string
	for i, one := range p {
		if i == shownProblems {
			lines = append(lines, fmt.Sprintf("and %d more", len(p)-i))
			break
		}
		lines = append(lines, one.String())
	}
	return strings.Join(lines, "; ")
}

func (p *Problems) add(where, format string, args ...any) {
	*p = append(*p, Problem{where, fmt.Sprintf(format, args...)})
}

// problem is an error of one place.
func problem(where, format string, args ...any) error {
	return Problems{{where, fmt.Sprintf(format, args...)}}
}

// Read reads a file. Values that are no number ("NaN", null) are left out and
// counted in skipped. The error is Problems.
func Read(f File) (points []Point, skipped int, err error) {
	switch f.Format {
	case CSV:
		points, skipped, err = readCSV(f.Data)
	case Prometheus:
		points, skipped, err = readPrometheus(f)
	case SentryEvents:
		points, skipped, err = readSentryEvents(f)
	case SentrySessions:
		points, skipped, err = readSentrySessions(f)
	default:
		var known []string
		for _, k := range Formats() {
			known = append(known, string(k))
		}
		return nil, 0, problem("", "format %q is not known: write one of %s", f.Format, strings.Join(known, ", "))
	}
	switch {
	case err != nil:
		return nil, 0, err
	case len(points) == 0:
		return nil, 0, problem("", "there is no value in the file")
	}
	if f.Scale != 0 {
		for i := range points {
			points[i].Value *= f.Scale
		}
	}
	slices.SortStableFunc(points, func(a, b Point) int { return a.Begin.Compare(b.Begin) })
	return points, skipped, nil
}

// limited refuses a file with more points than an import may have.
func limited(n int) error {
	if n > maxPoints {
		return problem("", "%d values are too many, at most %d are read: ask for a longer step or a shorter time", n, maxPoints)
	}
	return nil
}
