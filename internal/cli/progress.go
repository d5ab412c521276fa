package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress is a bar on a terminal; on anything else it writes nothing.
type progress struct {
	w     io.Writer
	began time.Time

	total int // pieces of all batches

	mu    sync.Mutex // guards the fields below
	base  int        // pieces of the batches before this one
	drawn time.Time
	shown bool
}

const (
	barWidth = 30
	barEvery = 100 * time.Millisecond
	barAfter = 500 * time.Millisecond // what is quicker needs none
)

func newProgress(w io.Writer, total int) *progress {
	p := &progress{began: time.Now(), total: total}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.w = w
		}
	}
	return p
}

// of returns what is told how many of the next batch of n pieces are done, nil
// without a terminal. Batches follow each other; what is returned may be called by
// several goroutines.
func (p *progress) of(n int) func(done int) {
	if p.w == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.base
	p.base += n
	return func(done int) { p.draw(before+done, max(p.total, before+n)) }
}

func (p *progress) draw(done, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.began) < barAfter || now.Sub(p.drawn) < barEvery && done < n {
		return
	}
	p.drawn, p.shown = now, true
	full := barWidth * done / n
	fmt.Fprintf(p.w, "\r[%s%s] %d of %d runs", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), done, n)
}

// end takes the bar away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", barWidth+30))
	}
}
