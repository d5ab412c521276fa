package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/hub"
)

// beatEvery is how often the stream says that it lives.
const beatEvery = 5 * time.Second

// stream sends facts to live pages: what changed, never HTML. The id of each
// is the global sequence number, so that Last-Event-ID resumes; a gap too old
// is answered by the event "reload".
func (s *server) stream(w http.ResponseWriter, r *http.Request) {
	p, no := s.principal(r, read)
	if no != nil {
		no.headers(w.Header().Set)
		problem(w, no.status, no.why)
		return
	}
	last, _ := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64) // no number: from now on
	sub := s.Feed.Subscribe(last)
	defer sub.Close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the server's limit is for requests that end
	every := s.Beat
	if every <= 0 {
		every = beatEvery
	}
	beat := time.NewTicker(every)
	defer beat.Stop()
	s.beat(w)
	for {
		if out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
			if p, no = s.principal(r, read); no != nil {
				return // revoked or expired meanwhile
			}
			s.beat(w)
		case _, open := <-sub.Ready():
			for _, f := range sub.Take() {
				if !s.told(p, f) {
					continue
				}
				fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", f.Seq, f.Event, f.Data)
			}
			if !open { // the server stops
				_ = out.Flush()
				return
			}
		}
	}
}

// told reports whether a fact is p's to know: those that are about a rollout
// go to people of its project, the others only say that something changed.
func (s *server) told(p auth.Principal, f hub.Fact) bool {
	if p.WholeServer() {
		return true
	}
	var about struct{ ID string }
	if json.Unmarshal(f.Data, &about) != nil {
		return false
	}
	if about.ID == "" {
		return true
	}
	project, err := s.Controller.RolloutProject(about.ID)
	return err == nil && p.InProject(project)
}

// beat says that the stream lives, and the server's time.
func (s *server) beat(w http.ResponseWriter) {
	fmt.Fprintf(w, "event: beat\ndata: {\"now\":%d}\n\n", s.Now().Unix())
}

// describeStream puts the stream into the OpenAPI document.
func (s *server) describeStream(api huma.API) {
	o := op(http.MethodGet, "/stream", "stream", read, "What changes, as server-sent events")
	o.Description += " Events: rollout, point, flag, issue, notice, alert, incident, beat, reload. Last-Event-ID resumes; reload means: too late, read everything again."
	o.Responses = map[string]*huma.Response{
		"200": {Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}},
	}
	api.OpenAPI().AddOperation(&o)
}
