package oncall

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxCalendar bounds a calendar file, in bytes.
const MaxCalendar = 1 << 20

// ParseCalendar reads the events of an iCalendar file (RFC 5545): VEVENT with
// DTSTART, DTEND or DURATION, RRULE (DAILY, WEEKLY, INTERVAL, COUNT, UNTIL,
// BYDAY), EXDATE, ATTENDEE and SUMMARY. person names who is meant by an
// attendee's address or an event's summary; "" = nobody known, which is an
// error. A recurrence of another kind is an error too: half a rota would be
// worse than none. Cancelled events are left out. Errors wrap ErrInvalid.
func ParseCalendar(text string, person func(attendee, summary string) string) ([]Event, error) {
	if len(text) > MaxCalendar || !utf8.ValidString(text) {
		return nil, bad("a calendar of %d bytes", "at most 1 MiB of UTF-8", len(text))
	}
	var out []Event
	var in []string // components that are open
	var found *vevent
	for n, line := range unfold(text) {
		if line == "" {
			continue
		}
		p, err := parseProperty(line)
		if err != nil {
			return nil, fmt.Errorf("content line %d: %w", n+1, err)
		}
		switch p.name {
		case "BEGIN":
			in = append(in, strings.ToUpper(p.value))
			if len(in) > 10 {
				return nil, bad("content line %d", "components are nested too deep", n+1)
			}
			if len(in) == 2 && in[1] == "VEVENT" {
				found = &vevent{}
			}
			continue
		case "END":
			if len(in) == 0 || in[len(in)-1] != strings.ToUpper(p.value) {
				return nil, bad("content line %d: END:%s", "it ends what did not begin", n+1, p.value)
			}
			if found != nil && len(in) == 2 {
				if e, err := found.event(person); err != nil {
					return nil, fmt.Errorf("event before content line %d: %w", n+1, err)
				} else if !found.cancelled {
					out = append(out, e)
				}
				found = nil
			}
			in = in[:len(in)-1]
			continue
		}
		if found != nil && len(in) == 2 {
			if err := found.take(p); err != nil {
				return nil, fmt.Errorf("content line %d: %w", n+1, err)
			}
		}
		if len(out) > MaxEvents {
			return nil, bad("more than %d events", "import a shorter time", MaxEvents)
		}
	}
	switch {
	case len(in) > 0:
		return nil, bad("%s is not closed", "the file ends too early", in[len(in)-1])
	case len(out) == 0:
		return nil, bad("the calendar has no event", "export the rota's own calendar")
	}
	return out, nil
}

// unfold takes a file apart into content lines (RFC 5545 section 3.1).
func unfold(text string) []string {
	var out []string
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if n := len(out) - 1; n >= 0 && line != "" && (line[0] == ' ' || line[0] == '\t') {
			out[n] += line[1:]
			continue
		}
		out = append(out, line)
	}
	return out
}

// property is one content line.
type property struct {
	name, value string
	params      map[string]string
}

// parseProperty reads NAME;PARAM=VALUE;PARAM="VALUE":VALUE.
func parseProperty(line string) (property, error) {
	p := property{params: map[string]string{}}
	quoted, begin, key := false, 0, ""
	put := func(end int) {
		part := line[begin:end]
		if begin == 0 {
			p.name = strings.ToUpper(part)
		} else if k, v, ok := strings.Cut(part, "="); ok {
			key = strings.ToUpper(k)
			p.params[key] = strings.Trim(v, `"`)
		}
		begin = end + 1
	}
	for i := range len(line) {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			put(i)
		case c == ':' && !quoted:
			put(i)
			p.value = line[i+1:]
			return p, nil
		}
	}
	return p, bad("%q", "a content line is NAME:VALUE", cut(line))
}

func cut(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:60], "") + "…"
}

// vevent is what was read of one event.
type vevent struct {
	start, end string
	zone       string
	utc, whole bool
	length     time.Duration
	rule       string
	except     []string
	attendee   string
	summary    string
	cancelled  bool
}

func (v *vevent) take(p property) (err error) {
	switch p.name {
	case "DTSTART":
		v.zone, v.utc, v.whole = p.params["TZID"], strings.HasSuffix(p.value, "Z"), p.params["VALUE"] == "DATE" || len(p.value) == len("20060102")
		v.start, err = wallOf(p.value)
	case "DTEND":
		v.end, err = wallOf(p.value)
	case "DURATION":
		v.length, err = durationOf(p.value)
	case "RRULE":
		if v.rule != "" {
			return bad("two RRULEs", "one is known")
		}
		v.rule = strings.ToUpper(p.value)
	case "RDATE", "RECURRENCE-ID":
		return bad("%s", "single changed dates are not read: import the calendar with them written out", p.name)
	case "EXDATE":
		for text := range strings.SplitSeq(p.value, ",") {
			v.except = append(v.except, text)
		}
	case "ATTENDEE":
		if v.attendee == "" {
			v.attendee = p.value
			if len(p.value) > 7 && strings.EqualFold(p.value[:7], "mailto:") {
				v.attendee = p.value[7:]
			}
		}
	case "SUMMARY":
		v.summary = unescape(p.value)
	case "STATUS":
		v.cancelled = strings.EqualFold(p.value, "CANCELLED")
	}
	return err
}

// unescape undoes the escapes of a TEXT value (RFC 5545 section 3.3.11).
func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\;`, `;`, `\,`, `,`, `\n`, "\n", `\N`, "\n").Replace(s)
}

// wallOf reads a DATE or DATE-TIME as what the clock shows.
func wallOf(text string) (string, error) {
	for _, form := range []string{"20060102T150405Z", "20060102T150405", "20060102"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.Format(localForm), nil
		}
	}
	return "", bad("time %q", "write 20260302T090000", cut(text))
}

var durationForm = regexp.MustCompile(`^\+?P(?:(\d{1,3})W)?(?:(\d{1,3})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?$`)

// durationOf reads a DURATION (RFC 5545 section 3.3.6).
func durationOf(text string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(text)
	if m == nil {
		return 0, bad("duration %q", "write P7D or PT12H", cut(text))
	}
	var out time.Duration
	for i, unit := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi(m[i+1])
		out += time.Duration(n) * unit
	}
	return out, nil
}

// event is what was read as an Event.
func (v *vevent) event(person func(attendee, summary string) string) (Event, error) {
	if v.cancelled {
		return Event{}, nil
	}
	e := Event{Start: v.start, Timezone: v.zone, Length: v.length}
	if v.utc {
		e.Timezone = "UTC"
	}
	if e.Person = person(v.attendee, v.summary); e.Person == "" {
		return e, bad("nobody is known as %q", "make an account with that name or e-mail address first", cut(cmp.Or(v.attendee, v.summary)))
	}
	start, err := time.Parse(localForm, v.start)
	if err != nil {
		return e, bad("an event without DTSTART", "give it one")
	}
	switch end, err := time.Parse(localForm, v.end); {
	case err == nil:
		e.Length = end.Sub(start)
	case e.Length == 0 && v.whole:
		e.Length = 24 * time.Hour
	}
	if err := e.recur(v.rule); err != nil {
		return e, err
	}
	loc := time.UTC // a floating EXDATE is read in UTC: only the rota knows its zone
	if e.Timezone != "" {
		if loc, err = time.LoadLocation(e.Timezone); err != nil {
			return e, bad("time zone %q", "use an IANA name such as Europe/Berlin", e.Timezone)
		}
	}
	if !e.Until.IsZero() && !strings.HasSuffix(v.until(), "Z") {
		e.Until = onWall(loc, e.Until).UTC()
	}
	for _, text := range v.except {
		wall, err := wallOf(text)
		if err != nil {
			return e, err
		}
		at, _ := time.Parse(localForm, wall)
		in := loc
		if strings.HasSuffix(text, "Z") {
			in = time.UTC
		}
		e.Except = append(e.Except, onWall(in, at).UTC())
	}
	return e, e.check()
}

// until is the UNTIL of the recurrence as it was written; "" = there is none.
func (v *vevent) until() string {
	_, rest, _ := strings.Cut(v.rule, "UNTIL=")
	text, _, _ := strings.Cut(rest, ";")
	return text
}

// recur reads an RRULE.
func (e *Event) recur(rule string) error {
	if rule == "" {
		return nil
	}
	for part := range strings.SplitSeq(rule, ";") {
		key, value, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(value)
		switch key {
		case "FREQ":
			e.Freq, err = strings.ToLower(value), nil
		case "INTERVAL":
			e.Every = n
		case "COUNT":
			e.Count = n
		case "UNTIL":
			var wall string
			if wall, err = wallOf(value); err == nil {
				e.Until, _ = time.Parse(localForm, wall)
				if len(value) == len("20060102") {
					e.Until = e.Until.Add(24*time.Hour - time.Second)
				}
			}
		case "BYDAY":
			e.Days, err = strings.Split(strings.ToLower(value), ","), nil
		case "WKST":
			if err = nil; value != "MO" && e.Every > 1 {
				return bad("WKST=%s", "weeks begin on Monday here", value)
			}
		default:
			return bad("%s of a recurrence", "only FREQ, INTERVAL, COUNT, UNTIL and BYDAY are read", cut(part))
		}
		if err != nil {
			return bad("recurrence %q", "see RFC 5545, section 3.3.10", cut(part))
		}
	}
	if e.Freq == "daily" && len(e.Days) > 0 {
		return bad("BYDAY of a daily recurrence", "make it weekly")
	}
	if e.Freq == "" {
		return bad("a recurrence without FREQ", "write FREQ=WEEKLY")
	}
	return nil
}

// Calendar writes the shifts of [from, to) as an iCalendar file, one event a
// person and shift. stamp is when it was written (DTSTAMP).
func (r Rota) Calendar(from, to, stamp time.Time) string {
	const form = "20060102T150405Z"
	var b strings.Builder
	line := func(s string) { // folded at 75 octets, RFC 5545 section 3.1
		for limit := 75; len(s) > limit; limit = 74 {
			end := limit
			for !utf8.RuneStart(s[end]) {
				end--
			}
			b.WriteString(s[:end] + "\r\n ")
			s = s[end:]
		}
		b.WriteString(s + "\r\n")
	}
	line("BEGIN:VCALENDAR")
	line("VERSION:2.0")
	line("PRODID:-//serin//on-call//EN")
	line("X-WR-CALNAME:" + r.Name)
	for _, s := range r.Shifts(from, to) {
		for _, p := range s.People {
			line("BEGIN:VEVENT")
			line(fmt.Sprintf("UID:%s-%s-%d@serin", r.Name, p, s.From.Unix()))
			line("DTSTAMP:" + stamp.UTC().Format(form))
			line("DTSTART:" + s.From.UTC().Format(form))
			line("DTEND:" + s.To.UTC().Format(form))
			line("SUMMARY:" + p)
			line("END:VEVENT")
		}
	}
	line("END:VCALENDAR")
	return b.String()
}
