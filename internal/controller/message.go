package controller

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/notify"
	"serin/internal/store"
)

const (
	// stormAt is how many threads of alerts wait in a channel when they are
	// told in one message.
	stormAt = 10
	// linesTold bounds the lines of a summary, summaryText its length:
	// Slack takes 3000 characters a section.
	linesTold   = 30
	summaryText = 2600
	// digestMost bounds what one digest tells.
	digestMost = 500
	// DigestType is the type of a notice that tells of several alerts.
	DigestType = "alert.digest"
)

// summarized are the schemes of people's channels in which a storm of alerts
// is one message. Pagers, ticket systems and programs are told of each thread.
var summarized = map[string]bool{"slack": true, "slackhook": true}

// message is what one delivery tells: some of the notices that wait for one
// address, the oldest among them.
type message struct {
	notices []store.Outgoing // told of by it, oldest first
	notice  notify.Notice    // what is sent
	digest  []notify.Notice  // sent by Digester.Digest instead; nil = notice is sent
	summary bool             // of a storm
}

// alone is the message of the oldest notice and nothing else.
func alone(waiting []store.Outgoing) message {
	return message{notices: waiting[:1], notice: waiting[0].Notice}
}

// id is the row of the outbox that stands for the message: the one that is
// sent, else the newest.
func (m message) id() string {
	if m.digest != nil || m.summary {
		return m.notices[len(m.notices)-1].ID
	}
	return m.notice.ID
}

// with are the other rows that the message tells of.
func (m message) with() []string {
	var out []string
	for _, o := range m.notices {
		if o.ID != m.id() {
			out = append(out, o.ID)
		}
	}
	return out
}

// compose decides what the next message to an address is. waiting are the
// notices of the address, oldest first, at least one. What an alert said
// before is not told once something newer about the same waits; many alerts
// become one summary, and a receiver of mail who had enough gets a digest.
func compose(to notify.Notifier, waiting []store.Outgoing, link string, now time.Time) message {
	if d, ok := to.(notify.Digester); ok && len(waiting) > 1 && (d.Held(waiting[0].Address) || len(waiting) >= stormAt) {
		return digestOf(waiting[:min(len(waiting), digestMost)])
	}
	threads := threadsOf(waiting)
	if scheme, _, _ := strings.Cut(waiting[0].Address, ":"); summarized[scheme] && len(threads) >= stormAt {
		return summaryOf(threads, link, now)
	}
	if len(threads) > 0 && len(threads[0]) > 1 {
		return newestOf(threads[0])
	}
	return alone(waiting)
}

// threadsOf takes the alerts' notices that waiting begins with apart by
// thread, in the order of their first one. Other notices end it: nothing
// overtakes them.
func threadsOf(waiting []store.Outgoing) [][]store.Outgoing {
	var out [][]store.Outgoing
	at := map[string]int{}
	for _, o := range waiting {
		if o.Phase() == notify.News {
			break
		}
		key := cmp.Or(o.Thread, o.ID)
		i, known := at[key]
		if !known {
			i, at[key] = len(out), len(out)
			out = append(out, nil)
		}
		out[i] = append(out[i], o)
	}
	return out
}

// newestOf tells the newest state of one thread, and that there was more.
func newestOf(thread []store.Outgoing) message {
	first, newest := thread[0], thread[len(thread)-1]
	n := newest.Notice
	told := "This message stands for %s of the same alert that could not be sent before, the first from %s."
	if n.Phase() == notify.Closed && first.ID == n.Thread {
		told = "It is over before anybody here was told. " + told
	}
	earlier := "1 earlier one"
	if len(thread) > 2 {
		earlier = fmt.Sprintf("%d earlier ones", len(thread)-1)
	}
	n.Text = strings.TrimPrefix(n.Text+"\n"+fmt.Sprintf(told, earlier, instantText(first.At)), "\n")
	return message{notices: thread, notice: n}
}

// digestOf tells of all of waiting by the notifier's own digest.
func digestOf(waiting []store.Outgoing) message {
	m := message{notices: waiting}
	for _, o := range waiting {
		m.digest = append(m.digest, o.Notice)
	}
	return m
}

// summaryOf tells of many threads in one message: the gravest that fire
// first, then by their order.
func summaryOf(threads [][]store.Outgoing, link string, now time.Time) message {
	m := message{summary: true}
	newest := make([]store.Outgoing, 0, len(threads))
	firing, severity := 0, ""
	for _, t := range threads {
		o := t[len(t)-1]
		newest = append(newest, o)
		m.notices = append(m.notices, t...)
		if o.Phase() == notify.Opened || o.Phase() == notify.Acked {
			firing++
			if o.Severity != "" && (severity == "" || o.Severity < severity) {
				severity = o.Severity
			}
		}
	}
	slices.SortStableFunc(m.notices, func(a, b store.Outgoing) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(newest, func(a, b store.Outgoing) int {
		return cmp.Or(cmp.Compare(closedLast(a), closedLast(b)), cmp.Compare(cmp.Or(a.Severity, "p9"), cmp.Or(b.Severity, "p9")))
	})
	last := m.notices[len(m.notices)-1]
	m.notice = notify.Notice{
		ID: "digest/" + notify.Digest(last.ID+"\n"+m.notices[0].ID), Channel: last.Channel, Address: last.Address, Type: DigestType, Severity: severity, At: now, Link: link,
		Title: fmt.Sprintf("%d alerts: %d firing, %d over", len(threads), firing, len(threads)-firing),
		Text:  summaryLines(newest),
	}
	return m
}

// closedLast puts what fires before what is over.
func closedLast(o store.Outgoing) int {
	if o.Phase() == notify.Closed {
		return 1
	}
	return 0
}

// summaryLines is one line a thread, as many as a message holds.
func summaryLines(newest []store.Outgoing) string {
	var b strings.Builder
	for i, o := range newest {
		line := notify.OneLine(o.Title, 160)
		if o.Value != "" && o.Phase() == notify.Opened {
			line += ": " + notify.OneLine(o.Value, 40)
		}
		if i == linesTold || b.Len()+len(line) > summaryText {
			fmt.Fprintf(&b, "and %d more", len(newest)-i)
			break
		}
		b.WriteString(line + "\n")
	}
	return strings.TrimSpace(b.String())
}

func instantText(t time.Time) string { return t.UTC().Format("2 Jan 15:04 UTC") }
