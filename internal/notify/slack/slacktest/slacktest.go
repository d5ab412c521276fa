// Package slacktest is a double of Slack for tests: the methods of the Web API
// that serin calls, Socket Mode, and the addresses of answers. It is as strict
// as Slack's reference: a call with a missing field, a name or text that is
// too long, or the wrong token is refused by {"ok": false} with status 200.
package slacktest

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// The tokens that the double knows, and its only workspace.
const (
	BotToken = "xoxb-double"
	AppToken = "xapp-double"
	Team     = "T0DOUBLE"
)

// Message is one that was posted, as it is now.
type Message struct {
	Channel, TS, ThreadTS, Text string
	Broadcast                   bool
	Blocks                      string // JSON as sent
	Updates                     int
}

// Channel is one that was created.
type Channel struct {
	ID, Name, Topic, Invited string
	Private                  bool
}

// Server is the double. Its fields may be set before the first call.
type Server struct {
	URL    string
	Emails map[string]string // by user id
	// Missing are scopes' methods that the app may not call: missing_scope.
	Missing map[string]bool

	t  *testing.T
	mu sync.Mutex // guards the fields below
	// canned are the next answers of a method, in place of its own.
	canned   map[string][]Answer
	messages []*Message
	channels []*Channel
	answers  []map[string]any // to response URLs
	views    []json.RawMessage
	calls    map[string]int
	sockets  []*Socket
	arrived  chan struct{} // something came; capacity 1
}

// Answer is a canned one. After is Retry-After in seconds; "" = none.
type Answer struct {
	Status      int // 0 = 200
	Body, After string
	Hang        bool // the connection is cut without an answer
}

// New starts a double, which ends with the test.
func New(t *testing.T) *Server {
	s := &Server{t: t, Emails: map[string]string{}, Missing: map[string]bool{}, canned: map[string][]Answer{}, calls: map[string]int{}, arrived: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{method}", s.method)
	mux.HandleFunc("POST /response/{id}", s.respond)
	mux.HandleFunc("GET /socket", s.socket)
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		s.mu.Lock()
		for _, c := range s.sockets {
			_ = c.conn.CloseNow()
		}
		s.mu.Unlock()
		srv.Close()
	})
	s.URL = srv.URL
	return s
}

// API is the base address of the Web API.
func (s *Server) API() string { return s.URL + "/api" }

// Response is an address for the answers to one interaction.
func (s *Server) Response(id string) string { return s.URL + "/response/" + id }

// Next lets the next calls of a method be answered so.
func (s *Server) Next(method string, list ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.canned[method] = append(s.canned[method], list...)
}

// Await waits until ok holds, asked after each call; it fails the test when
// its context ends before.
func (s *Server) Await(what string, ok func() bool) {
	s.t.Helper()
	for !ok() {
		select {
		case <-s.arrived:
		case <-s.t.Context().Done():
			s.t.Fatalf("%s did not happen", what)
		}
	}
}

func (s *Server) note() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// Messages are those posted, oldest first.
func (s *Server) Messages() (out []Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		out = append(out, *m)
	}
	return out
}

// Channels are those created, oldest first.
func (s *Server) Channels() (out []Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.channels {
		out = append(out, *c)
	}
	return out
}

// Answers are the bodies that came to response URLs, oldest first.
func (s *Server) Answers() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]map[string]any{}, s.answers...)
}

// Views are the forms that were opened.
func (s *Server) Views() []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]json.RawMessage{}, s.views...)
}

// Calls is how often a method was called.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

func (s *Server) method(w http.ResponseWriter, r *http.Request) {
	defer s.note()
	method := r.PathValue("method")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	if list := s.canned[method]; len(list) > 0 {
		s.canned[method] = list[1:]
		if list[0].Hang {
			panic(http.ErrAbortHandler)
		}
		if list[0].After != "" {
			w.Header().Set("Retry-After", list[0].After)
		}
		if list[0].Status != 0 {
			w.WriteHeader(list[0].Status)
		}
		_, _ = io.WriteString(w, list[0].Body)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	out, refused := s.answer(method, r)
	if refused != "" {
		out = map[string]any{"ok": false, "error": refused}
	} else {
		out["ok"] = true
	}
	_ = json.NewEncoder(w).Encode(out)
}

// reads are the methods that take a form and no JSON.
var reads = map[string]bool{"users.info": true, "users.lookupByEmail": true}

func (s *Server) answer(method string, r *http.Request) (out map[string]any, refused string) {
	want := BotToken
	if method == "apps.connections.open" {
		want = AppToken
	}
	switch got := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); {
	case got == "":
		return nil, "not_authed"
	case got != want:
		return nil, "invalid_auth"
	case s.Missing[method]:
		return nil, "missing_scope"
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, "internal_error"
	}
	in := map[string]any{}
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case reads[method]:
		form, err := url.ParseQuery(string(data))
		if err != nil || kind != "application/x-www-form-urlencoded" {
			return nil, "invalid_form_data"
		}
		for name := range form {
			in[name] = form.Get(name)
		}
	case kind != "application/json" || params["charset"] != "utf-8":
		return nil, "invalid_post_type"
	case json.Unmarshal(data, &in) != nil:
		return nil, "invalid_json"
	}
	return s.do(method, in)
}

func text(in map[string]any, name string) string { v, _ := in[name].(string); return v }

func (s *Server) do(method string, in map[string]any) (map[string]any, string) {
	switch method {
	case "auth.test":
		return map[string]any{"team_id": Team, "user_id": "U0BOT"}, ""
	case "chat.postMessage":
		return s.post(in)
	case "chat.update":
		return s.update(in)
	case "conversations.create":
		return s.create(in)
	case "conversations.invite", "conversations.setTopic":
		return s.furnish(method, in)
	case "users.info":
		email, ok := s.Emails[text(in, "user")]
		if !ok {
			return nil, "user_not_found"
		}
		return map[string]any{"user": map[string]any{"id": in["user"], "is_email_confirmed": true, "profile": map[string]any{"email": email, "display_name": "anna"}}}, ""
	case "users.lookupByEmail":
		for id, email := range s.Emails {
			if email == text(in, "email") {
				return map[string]any{"user": map[string]any{"id": id}}, ""
			}
		}
		return nil, "users_not_found"
	case "views.open":
		if text(in, "trigger_id") == "" {
			return nil, "invalid_trigger_id"
		}
		view, _ := in["view"].(map[string]any)
		if view["type"] != "modal" || view["title"] == nil || view["blocks"] == nil || len(text(view, "private_metadata")) > 3000 {
			return nil, "invalid_arguments"
		}
		data, _ := json.Marshal(view)
		s.views = append(s.views, data)
		return map[string]any{}, ""
	case "apps.connections.open":
		return map[string]any{"url": "ws" + strings.TrimPrefix(s.URL, "http") + "/socket?ticket=secret"}, ""
	}
	return nil, "unknown_method"
}

func (s *Server) post(in map[string]any) (map[string]any, string) {
	if bad := checkMessage(in); bad != "" {
		return nil, bad
	}
	m := &Message{Channel: text(in, "channel"), TS: fmt.Sprintf("1700000000.%06d", len(s.messages)+1), ThreadTS: text(in, "thread_ts"), Text: text(in, "text")}
	m.Broadcast, _ = in["reply_broadcast"].(bool)
	if m.ThreadTS != "" && s.find(m.Channel, m.ThreadTS) == nil {
		return nil, "thread_not_found"
	}
	data, _ := json.Marshal(in["blocks"])
	m.Blocks = string(data)
	s.messages = append(s.messages, m)
	return map[string]any{"channel": m.Channel, "ts": m.TS}, ""
}

func (s *Server) find(channel, ts string) *Message {
	for _, m := range s.messages {
		if m.Channel == channel && m.TS == ts {
			return m
		}
	}
	return nil
}

// Delete removes a message, as a person may.
func (s *Server) Delete(ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if m.TS == ts {
			m.TS = "deleted"
		}
	}
}

func (s *Server) update(in map[string]any) (map[string]any, string) {
	if bad := checkMessage(in); bad != "" {
		return nil, bad
	}
	m := s.find(text(in, "channel"), text(in, "ts"))
	if m == nil {
		return nil, "message_not_found"
	}
	data, _ := json.Marshal(in["blocks"])
	m.Text, m.Blocks = text(in, "text"), string(data)
	m.Updates++
	return map[string]any{"channel": m.Channel, "ts": m.TS}, ""
}

var (
	channelID   = regexp.MustCompile(`^[CGD][A-Z0-9]{1,}$`)
	channelName = regexp.MustCompile(`^[a-z0-9_-]{1,80}$`)
)

func (s *Server) create(in map[string]any) (map[string]any, string) {
	name := text(in, "name")
	if !channelName.MatchString(name) {
		return nil, "invalid_name_specials"
	}
	for _, c := range s.channels {
		if c.Name == name {
			return nil, "name_taken"
		}
	}
	c := &Channel{ID: fmt.Sprintf("C0ROOM%d", len(s.channels)+1), Name: name}
	c.Private, _ = in["is_private"].(bool)
	s.channels = append(s.channels, c)
	return map[string]any{"channel": map[string]any{"id": c.ID, "name": name}}, ""
}

func (s *Server) furnish(method string, in map[string]any) (map[string]any, string) {
	for _, c := range s.channels {
		if c.ID != text(in, "channel") {
			continue
		}
		if method == "conversations.setTopic" {
			if c.Topic = text(in, "topic"); len([]rune(c.Topic)) > 250 {
				return nil, "too_long"
			}
			return map[string]any{}, ""
		}
		if text(in, "users") == "" {
			return nil, "no_user"
		}
		if c.Invited != "" {
			return nil, "already_in_channel"
		}
		c.Invited = text(in, "users")
		return map[string]any{}, ""
	}
	return nil, "channel_not_found"
}

// Taken says that a channel of this name is there already.
func (s *Server) Taken(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels = append(s.channels, &Channel{ID: fmt.Sprintf("C0ROOM%d", len(s.channels)+1), Name: name})
}

// respond takes the answer to an interaction.
func (s *Server) respond(w http.ResponseWriter, r *http.Request) {
	defer s.note()
	in := map[string]any{}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || text(in, "text") == "" {
		http.Error(w, "no_text", http.StatusBadRequest)
		return
	}
	if bad := checkBlocks(in["blocks"]); bad != "" {
		s.t.Errorf("answer with %s: %v", bad, in)
	}
	in["id"] = r.PathValue("id")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, in)
	_, _ = io.WriteString(w, "ok")
}

// Socket is a connection of Socket Mode.
type Socket struct {
	conn *websocket.Conn
	acks chan string
}

func (s *Server) socket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil || r.URL.Query().Get("ticket") != "secret" {
		return
	}
	c := &Socket{conn: conn, acks: make(chan string, 64)}
	_ = conn.Write(r.Context(), websocket.MessageText, []byte(`{"type":"hello","num_connections":1}`))
	s.mu.Lock()
	s.sockets = append(s.sockets, c)
	s.mu.Unlock()
	s.note()
	for {
		_, data, err := conn.Read(r.Context())
		if err != nil {
			close(c.acks)
			return
		}
		var ack struct {
			ID string `json:"envelope_id"`
		}
		if json.Unmarshal(data, &ack) != nil || ack.ID == "" {
			s.t.Errorf("this is no acknowledgement: %s", data)
		}
		c.acks <- ack.ID
	}
}

// Sockets are the connections that were opened, oldest first.
func (s *Server) Sockets() []*Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Socket{}, s.sockets...)
}

// Send sends one frame.
func (c *Socket) Send(t *testing.T, frame any) {
	t.Helper()
	data, err := json.Marshal(frame)
	if err == nil {
		err = c.conn.Write(t.Context(), websocket.MessageText, data)
	}
	if err != nil {
		t.Fatalf("send a frame: %v", err)
	}
}

// Ack waits for an acknowledgement; "" = the connection ended.
func (c *Socket) Ack() string { return <-c.acks }

// Cut ends the connection without a word.
func (c *Socket) Cut() { _ = c.conn.CloseNow() }
