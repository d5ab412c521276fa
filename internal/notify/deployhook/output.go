package deployhook

import (
	"slices"
	"strings"
	"unicode"
)

const (
	// keptBytes is how much of the end of the output is kept while it runs.
	keptBytes = 64 << 10
	// shownBytes and shownLines are how much of that is journalled.
	shownBytes = 4 << 10
	shownLines = 30
	// shortSecret is the longest value that is not masked: "1" and "true" are
	// no secrets, and stand everywhere.
	shortSecret = 3
)

// hidden stands for a masked value.
const hidden = "[hidden]"

// tail keeps the end of what is written to it. os/exec writes from one
// goroutine, since output and error are the same writer.
type tail struct {
	b   []byte
	cut bool
}

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) > keptBytes {
		p, t.cut = p[len(p)-keptBytes:], true
	}
	t.b = append(t.b, p...)
	if over := len(t.b) - 2*keptBytes; over > 0 { // seldom, so that little is moved
		t.b, t.cut = slices.Delete(t.b, 0, over+keptBytes), true
	}
	return n, nil
}

// text is the end of the output, at most shownBytes of it, without secrets.
func (t *tail) text(secrets []string) string {
	cut := t.cut || len(t.b) > keptBytes
	text := string(t.b[max(0, len(t.b)-keptBytes):])
	if cut {
		text = withoutRest(text, secrets)
	}
	text = strings.ToValidUTF8(mask(text, secrets), "?")
	if len(text) > shownBytes {
		text, cut = text[len(text)-shownBytes:], true
	}
	if cut {
		if _, whole, ok := strings.Cut(text, "\n"); ok && whole != "" {
			text = whole
		}
		text = "…\n" + strings.ToValidUTF8(text, "")
	}
	return text
}

// withoutRest takes from the beginning of a text that was cut there what is left
// of a secret that the cut went through.
func withoutRest(text string, secrets []string) string {
	longest := 0
	for _, s := range secrets {
		for i := 1; i < len(s); i++ {
			if strings.HasPrefix(text, s[i:]) {
				longest = max(longest, len(s)-i)
				break
			}
		}
	}
	return text[longest:]
}

// mask hides every secret, and each line of one that has several: the longest
// first, so that one which holds another leaves nothing of itself.
func mask(text string, secrets []string) string {
	var all []string
	for _, s := range secrets {
		for _, part := range append(strings.Split(s, "\n"), s) {
			if part = strings.TrimSpace(part); len(part) > shortSecret {
				all = append(all, part)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	for _, s := range all {
		text = strings.ReplaceAll(text, s, hidden)
	}
	return text
}

// lines are the last lines of text that hold anything, without the control
// characters that colour a terminal.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(plain(line), " \t"); line != "" {
			out = append(out, line)
		}
	}
	return out[max(0, len(out)-shownLines):]
}

// plain takes escape sequences (ECMA-48, "ESC [ … letter") and control
// characters out of a line; what a carriage return overwrites is gone.
func plain(line string) string {
	line = strings.TrimRight(line, "\r\n")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		if line[i] == 0x1b && i+1 < len(line) && line[i+1] == '[' {
			for i += 2; i < len(line) && (line[i] < 0x40 || line[i] > 0x7e); i++ {
			}
			continue
		}
		b.WriteByte(line[i])
	}
	return strings.Map(func(r rune) rune {
		if r == '\t' || !unicode.IsControl(r) {
			return r
		}
		return -1
	}, b.String())
}
