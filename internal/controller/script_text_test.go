package controller_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// tTime reads "T", "T+1:30" or "T-0:05".
func tTime(word string) (time.Duration, bool) {
	m := tForm.FindStringSubmatch(word)
	if m == nil {
		return 0, false
	}
	h, _ := strconv.Atoi(m[2])
	minutes, _ := strconv.Atoi(m[3])
	d := time.Duration(h)*time.Hour + time.Duration(minutes)*time.Minute
	if m[1] == "-" {
		d = -d
	}
	return d, true
}

var tForm = regexp.MustCompile(`^T(?:([+-])(\d+):([0-5]\d))?$`)

func tText(d time.Duration) string {
	sign := "+"
	if d < 0 {
		sign, d = "-", -d
	}
	return fmt.Sprintf("T%s%d:%02d", sign, d/time.Hour, d%time.Hour/time.Minute)
}

// span reads "T+1:00..T+2:00".
func (x *run) span(words []string) (from, to time.Duration) {
	if len(words) > 0 {
		a, b, _ := strings.Cut(words[0], "..")
		first, ok1 := tTime(a)
		last, ok2 := tTime(b)
		if ok1 && ok2 {
			return first, last
		}
	}
	x.bad("write a span such as T+1:00..T+2:00")
	return 0, 0
}

// duration reads the first word as 15m, 2h or 1h30m.
func (x *run) duration(words []string) time.Duration {
	if len(words) == 0 {
		x.bad("a duration is missing")
	}
	d, err := time.ParseDuration(words[0])
	if err != nil {
		x.bad("%v", err)
	}
	return d
}

func (x *run) number(words []string, i int) int {
	if i >= len(words) {
		x.bad("a number is missing")
	}
	n, err := strconv.Atoi(strings.TrimSuffix(words[i], "%"))
	if err != nil {
		x.bad("%q is no number", words[i])
	}
	return n
}

// split cuts a line into words. A word may hold a quoted part with spaces,
// without which it is read: reason="known good". What follows # is a comment.
func split(line string) (words []string) {
	var word strings.Builder
	quoted, begun := false, false
	for _, c := range strings.TrimSpace(line) {
		switch {
		case c == '"':
			quoted, begun = !quoted, true
		case c == '#' && !quoted && !begun:
			return words
		case (c == ' ' || c == '\t') && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}
