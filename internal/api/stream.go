package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// beatEvery is how often the stream says that it lives.
const beatEvery = 5 * time.Second

// stream sends facts to live pages: what changed, never HTML. The id of each
// is the global sequence number, so that Last-Event-ID resumes; a gap too old
// is answered by the event "reload".
func (s *server) stream(w http.ResponseWriter, r *http.Request) {
	if _, status, why := s.principal(r, read); status != 0 {
		problem(w, status, why)
		return
	}
	last, _ := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	sub := s.Feed.Subscribe(last)
	defer sub.Close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	every := s.Beat
	if every <= 0 {
		every = beatEvery
	}
	beat := time.NewTicker(every)
	defer beat.Stop()
	fmt.Fprintf(w, "event: beat\ndata: {\"now\":%d}\n\n", s.Now().Unix())
	for {
		if out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
			fmt.Fprintf(w, "event: beat\ndata: {\"now\":%d}\n\n", s.Now().Unix())
		case <-sub.Ready():
			for _, f := range sub.Take() {
				fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", f.Seq, f.Event, f.Data)
			}
		}
	}
}
