package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// screen is the terminal: lines that stay, and one status line below them
// that is written over. What is no terminal gets a status line now and then,
// which stays. With json it prints JSON lines.
type screen struct {
	mu     sync.Mutex // guards the fields below
	w      io.Writer
	json   bool
	tty    bool
	width  int // of the status line on the screen
	begin  time.Time
	lastAt time.Time
}

func newScreen(w io.Writer, asJSON bool) *screen {
	s := &screen{w: w, json: asJSON}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		s.tty = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

// since is how long the demo has run.
func (s *screen) since() time.Duration {
	if s.begin.IsZero() {
		s.begin = time.Now()
	}
	return time.Since(s.begin)
}

func (s *screen) clear() {
	if s.width > 0 {
		fmt.Fprintf(s.w, "\r%s\r", strings.Repeat(" ", s.width))
		s.width = 0
	}
}

// line prints one line that stays.
func (s *screen) line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if s.json {
		s.encode(map[string]any{"type": "info", "text": text})
		return
	}
	s.clear()
	fmt.Fprintln(s.w, text)
}

// event prints something that the demo did or saw.
func (s *screen) event(kind, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.print(kind, fmt.Sprintf(format, args...))
}

func (s *screen) print(kind, text string) {
	at := s.since()
	if s.json {
		s.encode(map[string]any{"type": "event", "event": kind, "text": text, "at_ms": milliseconds(at)})
		return
	}
	s.clear()
	fmt.Fprintf(s.w, "%7.2fs  %-15s %s\n", at.Seconds(), kind, text)
}

// journal prints a journal entry.
func (s *screen) journal(e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.print(e.At.Format("Mon 15:04"), e.Title)
}

// statusEvery is how often the status line is written; statusKept where it stays.
const (
	statusEvery = 250 * time.Millisecond
	statusKept  = 15 * time.Second
)

// status writes the status line over the last one.
func (s *screen) status(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	every := statusKept
	if s.tty {
		every = statusEvery
	}
	if s.json || time.Since(s.lastAt) < every {
		return
	}
	s.lastAt = time.Now()
	text := fmt.Sprintf("%7.2fs  ", s.since().Seconds()) + fmt.Sprintf(format, args...)
	if !s.tty {
		fmt.Fprintln(s.w, text)
		return
	}
	s.clear()
	fmt.Fprint(s.w, text)
	s.width = len([]rune(text))
}

// done takes the status line away.
func (s *screen) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
}

func (s *screen) encode(v any) {
	_ = json.NewEncoder(s.w).Encode(v) // a closed pipe ends the demo elsewhere
}

// report prints the timeline of the run, beside what the source plan allowed.
func (d *demo) report(r Result) {
	if d.JSON {
		d.out.encode(r)
		return
	}
	p := func(format string, args ...any) { d.out.line(format, args...) }
	p("")
	if r.Outcome == outcomeInterrupted {
		p("Interrupted; everything has stopped. A demo with --data DIR goes on there.")
		return
	}
	if r.Outcome != outcomeRolledBack {
		p("The rollout went to the clean-up without a rollback.")
		d.reportEvents(r)
		return
	}
	p("Rolled back by serin, nobody asked.")
	p("  rule                %s", r.Rule)
	if r.Why != "" {
		p("  evidence            %s", r.Why)
	}
	if r.InjectToVerdictMS >= 0 {
		p("  injected            in stage %s, errors of the new dashboard ×%g", r.Stage, r.Effect)
		p("  first bad event     %s after that", ms(r.InjectToVerdictMS-r.FirstBadToVerdictMS))
		p("  verdict             %s after the injection", ms(r.InjectToVerdictMS))
	}
	if r.EventToFlagOffMS >= 0 {
		p("  flag off            %s after the deciding event, at the first client", ms(r.EventToFlagOffMS))
		p("  last client         %s after the deciding event; %d were on the new dashboard", ms(r.EventToLastMS), r.ClientsOnNew)
		p("  the plan by hand    allowed %s for switching the flag off, after a person had noticed", allowed)
	}
	p("  admins harmed       %d of %d", r.HarmedUsers, admins)
	d.reportEvents(r)
}

// reportEvents compares the clients' count of what was acknowledged with the
// server's of what it counted.
func (d *demo) reportEvents(r Result) {
	d.out.line("  events              %d acknowledged by the server as its clients counted, %d found in the evidence", r.EventsAcknowledged, r.EventsCounted)
}

// ms is milliseconds for people.
func ms(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.2f s", v/1000)
	}
	return fmt.Sprintf("%.0f ms", v)
}
