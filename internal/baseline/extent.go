package baseline

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrRefused: hours may not take the places they are meant for; what wraps it
// says which and what to do.
var ErrRefused = errors.New("nothing was imported")

// Extent is how much of the baseline of one metric there is.
type Extent struct {
	Metric   string   `json:"metric"`
	Title    string   `json:"title"`
	Rules    []string `json:"rules" doc:"the rules of the plan that compare it with the baseline, or may"`
	Want     int      `json:"want" doc:"hours that the plan asks for: judge.baseline"`
	Measured int      `json:"measured" doc:"hours of these that this server measured"`
	Imported int      `json:"imported" doc:"hours of these that were imported, for want of measured ones"`
	Sources  []string `json:"sources,omitempty" doc:"where the imported ones come from"`
}

// Short reports whether hours are missing. The newest may not be told yet, and
// is not missed.
func (e Extent) Short() bool { return e.Measured+e.Imported < e.Want-1 }

// Text is how much there is, in words: "1.5 of 7 d, 1 d of it imported".
func (e Extent) Text() string {
	text := Days(min(e.Measured+e.Imported, e.Want)) + " of " + Days(e.Want) + " d"
	if !e.Short() {
		text = Days(e.Want) + " d"
	}
	if e.Imported > 0 {
		text += ", " + Days(e.Imported) + " d of it imported"
	}
	return text
}

// Days is a number of hours in days, with one place, rounded down.
func Days(hours int) string {
	return strconv.FormatFloat(math.Floor(float64(hours)/2.4)/10, 'f', -1, 64)
}

// Imported is what an import did to one metric.
type Imported struct {
	Metric   string    `json:"metric"`
	New      int       `json:"new" doc:"hours that nothing was imported for before"`
	Replaced int       `json:"replaced" doc:"hours that took the place of imported ones"`
	Measured int       `json:"measured" doc:"of the hours sent, those that this server measured itself: these are used, not the imported ones"`
	From     time.Time `json:"from" doc:"begin of the first hour"`
	To       time.Time `json:"to" doc:"end of the last hour"`
	Baseline Extent    `json:"baseline" doc:"what there is now"`
}

// Text is the outcome in words.
func (i Imported) Text() string {
	parts := []string{fmt.Sprintf("%d new", i.New)}
	if i.Replaced > 0 {
		parts = append(parts, fmt.Sprintf("%d replaced", i.Replaced))
	}
	if i.Measured > 0 {
		parts = append(parts, fmt.Sprintf("%d measured here and left as they are", i.Measured))
	}
	return fmt.Sprintf("%s, %s to %s: hours %s; baseline %s", i.Metric, clock(i.From), clock(i.To), strings.Join(parts, ", "), i.Baseline.Text())
}
