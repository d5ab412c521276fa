package ofrep

import (
	"net/http"
	"strconv"
	"time"

	"serin/internal/flag"
)

// writeWait is how long one frame may take to leave; a client slower than
// that is dropped and comes back by itself.
const writeWait = 30 * time.Second

// frame is the message of one configuration, encoded once for all streams.
type frame struct {
	etag string
	data []byte
}

// frameOf returns the refetchEvaluation message of a ruleset
// (open-feature/protocol, service/event-streams.yaml).
func (d *Door) frameOf(rs *flag.Ruleset) []byte {
	if f := d.frame.Load(); f != nil && f.etag == rs.ETag() {
		return f.data
	}
	b := strconv.AppendInt([]byte("id: "), rs.Revision(), 10)
	b = append(b, "\nevent: message\ndata: {\"type\":\"refetchEvaluation\",\"etag\":"...)
	b = appendText(b, rs.ETag())
	b = strconv.AppendInt(append(b, `,"lastModified":`...), d.opt.Now().Unix(), 10)
	b = append(b, "}\n\n"...)
	d.frame.Store(&frame{etag: rs.ETag(), data: b})
	return b
}

// admitStream takes the token of the URL, because browsers' EventSource sends
// no headers, or a key in the usual headers.
func (d *Door) admitStream(w http.ResponseWriter, r *http.Request) bool {
	token := r.URL.Query().Get("token")
	if token != "" && d.signed(token) {
		return true
	}
	if token == "" {
		token = sentKey(r)
	}
	_, ok := d.admit(w, r, token)
	return ok
}

// stream sends one frame whenever the configuration changed, the latest only;
// with a Last-Event-ID that is not the current revision one at once.
func (d *Door) stream(w http.ResponseWriter, r *http.Request) {
	if !d.admitStream(w, r) {
		return
	}
	if d.streams.Add(1) > int64(d.opt.MaxStreams) {
		d.streams.Add(-1)
		d.refuse(w, r, &LimitedError{RetryAfter: 10 * time.Second})
		return
	}
	d.metrics.streams.Inc()
	defer func() { d.streams.Add(-1); d.metrics.streams.Dec() }()

	sub := d.opt.Hub.Subscribe() // before reading what is current, so that no change falls between
	defer sub.Close()
	rs := d.opt.Hub.Current()
	out := newSender(w)
	begin := []byte(": connected\n\n")
	if last := r.Header.Get("Last-Event-ID"); last != "" && last != strconv.FormatInt(rs.Revision(), 10) {
		begin = append(begin, d.frameOf(rs)...)
	}
	if !out.send(begin) {
		return
	}
	beat := time.NewTicker(d.opt.Heartbeat)
	defer beat.Stop()
	for seen := rs.ETag(); ; {
		var message []byte
		select {
		case <-r.Context().Done():
			return
		case _, open := <-sub.Changed():
			rs := d.opt.Hub.Current()
			if !open {
				return
			}
			if rs.ETag() == seen {
				continue
			}
			seen, message = rs.ETag(), d.frameOf(rs)
		case <-beat.C:
			message = []byte(": \n\n")
		}
		if !out.send(message) {
			return
		}
	}
}

// sender writes and flushes whole frames.
type sender struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func newSender(w http.ResponseWriter) sender {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	s := sender{w: w, rc: http.NewResponseController(w)}
	_ = s.rc.SetReadDeadline(time.Time{}) // the server's own limits are for requests that end
	w.WriteHeader(http.StatusOK)
	return s
}

// send reports whether the frame left. Writers without deadlines, as in
// tests, are written to all the same.
func (s sender) send(b []byte) bool {
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeWait))
	if _, err := s.w.Write(b); err != nil {
		return false
	}
	return s.rc.Flush() == nil
}
