package simulate

import (
	"math"
	"time"
)

// cycle is how much traffic there is when: cumulated hour by hour from the
// start on, in days of the average of a week. It is shared by all runs.
type cycle struct {
	start         time.Time
	views, errors []float64 // [i]: until hour i
}

// peakHour is when most people are there, in the plan's zone.
const peakHour = 14

func newCycle(start time.Time, loc *time.Location, t Traffic, length time.Duration) *cycle {
	hours := int(length/time.Hour) + 2
	c := &cycle{start: start, views: make([]float64, hours+1), errors: make([]float64, hours+1)}
	const week = 7 * 24
	var views, errors float64 // of a week, from which the figures are averages
	for i := range week {
		v, e := t.wave(start.Add(time.Duration(i)*time.Hour + 30*time.Minute).In(loc))
		views, errors = views+v/week, errors+v*e/week
	}
	for i := range hours {
		v, e := t.wave(start.Add(time.Duration(i)*time.Hour + 30*time.Minute).In(loc))
		c.views[i+1] = c.views[i] + v/views/24
		c.errors[i+1] = c.errors[i] + v*e/errors/24
	}
	return c
}

// wave is how much traffic there is at a time of the plan's zone, and how many
// errors a view, of what both are without cycles.
func (t Traffic) wave(at time.Time) (views, errors float64) {
	swing := math.Cos(2 * math.Pi * (float64(at.Hour()) + float64(at.Minute())/60 - peakHour) / 24)
	views, errors = 1+t.Daily*swing, 1+t.ErrorsDaily*swing
	if day := at.Weekday(); day == time.Saturday || day == time.Sunday {
		views, errors = views*t.Weekend, errors*t.ErrorsWeekend
	}
	return views, errors
}

// until interpolates a cumulated series at an age.
func until(series []float64, age time.Duration) float64 {
	h := age.Hours()
	i := min(max(int(h), 0), len(series)-2)
	return series[i] + (series[i+1]-series[i])*(h-float64(i))
}

// viewsIn and errorsIn are the days of average traffic between two ages.
func (c *cycle) viewsIn(from, to time.Duration) float64 {
	return until(c.views, to) - until(c.views, from)
}

func (c *cycle) errorsIn(from, to time.Duration) float64 {
	return until(c.errors, to) - until(c.errors, from)
}

// busiest is the most traffic of an hour within a window, as days an hour.
func (c *cycle) busiest(from, to time.Duration) float64 {
	last := len(c.views) - 2
	top := 0.0
	for i := min(max(int(from.Hours()), 0), last); i <= min(int(to.Hours()), last); i++ {
		top = max(top, c.views[i+1]-c.views[i])
	}
	return top
}
