package forward

import (
	"bytes"
	"encoding/json"
)

// categories are the rate-limit categories of item types (sentry-javascript,
// packages/core/src/utils/envelope.ts; sentry-docs, sdk rate-limiting).
var categories = map[string]string{
	"event": "error", "transaction": "transaction", "span": "span", "session": "session", "sessions": "session",
	"feedback": "feedback", "check_in": "monitor", "log": "log_item", "trace_metric": "trace_metric", "attachment": "attachment",
	"profile": "profile", "profile_chunk": "profile", "replay_event": "replay", "replay_recording": "replay", "replay_video": "replay",
	"raw_security": "security", "client_report": "internal", "statsd": "metric_bucket",
}

// defaultCategory is that of every other type.
const defaultCategory = "default"

func categoryOf(kind string) string {
	if c, ok := categories[kind]; ok {
		return c
	}
	return defaultCategory
}

// piece is one item of an envelope as its bytes, header line and payload and
// the newlines between and after.
type piece struct {
	category string
	raw      []byte
}

// pieces cuts the items out of what follows an envelope's first line. ok is
// false where the framing cannot be followed.
func pieces(rest []byte) (out []piece, ok bool) {
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		if len(bytes.TrimSpace(line)) == 0 { // a blank line goes with the item before
			if len(out) > 0 {
				last := &out[len(out)-1]
				last.raw = last.raw[:len(last.raw)+len(rest)-len(after)]
			}
			rest = after
			continue
		}
		var head struct {
			Type   string   `json:"type"`
			Length *float64 `json:"length"`
		}
		if json.Unmarshal(line, &head) != nil {
			return nil, false
		}
		end := after
		if head.Length == nil {
			_, end, _ = bytes.Cut(after, []byte("\n"))
		} else {
			if n := *head.Length; n < 0 || n > float64(len(after)) {
				return nil, false
			}
			end = after[int(*head.Length):]
			if len(end) > 0 && end[0] != '\n' {
				return nil, false
			}
			end = end[min(1, len(end)):]
		}
		size := len(rest) - len(end)
		out = append(out, piece{categoryOf(head.Type), rest[:size:len(rest)]})
		rest = end
	}
	return out, true
}

// without leaves the items of limited categories out of an envelope and tells
// how many of each. left is false if none remains of some. What is kept keeps
// its bytes; an envelope without a limited item is returned as it is.
func without(body []byte, limited func(category string) bool) (kept []byte, dropped map[string]int, left bool) {
	line, rest, found := bytes.Cut(body, []byte("\n"))
	if !found {
		return body, nil, true
	}
	items, ok := pieces(rest)
	if !ok {
		return body, nil, true
	}
	dropped = map[string]int{}
	kept = append(append(make([]byte, 0, len(body)), line...), '\n')
	for _, it := range items {
		if limited(it.category) {
			dropped[it.category]++
			continue
		}
		left = true
		if kept[len(kept)-1] != '\n' {
			kept = append(kept, '\n')
		}
		kept = append(kept, it.raw...)
	}
	if len(dropped) == 0 {
		return body, nil, true
	}
	return kept, dropped, left
}
