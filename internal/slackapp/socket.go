package slackapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Times of Socket Mode. They are real time: Slack lives in it.
const (
	openLimit   = 15 * time.Second // to open a connection, up to Slack's hello
	ackLimit    = 2 * time.Second  // of Slack's 3 seconds
	firstWait   = time.Second
	longestWait = time.Minute
	pingEvery   = 30 * time.Second
	pingLimit   = 10 * time.Second
	// goodAfter is how long a connection has to last for the next failure to
	// count as the first again.
	goodAfter = time.Minute
	maxFrame  = 1 << 20
)

// frame is what comes by a connection of Socket Mode
// (docs.slack.dev/apis/events-api/using-socket-mode).
type frame struct {
	Envelope string          `json:"envelope_id"`
	Type     string          `json:"type"` // hello, disconnect, interactive, slash_commands, events_api
	Reason   string          `json:"reason"`
	Payload  json.RawMessage `json:"payload"`
}

// socket is an open connection.
type socket struct {
	conn  *websocket.Conn
	moved chan struct{} // closed when Slack asks for the next connection
	done  chan struct{} // closed when it has ended; err says why
	err   error
}

// sockets keeps a connection open while the configuration has Socket Mode,
// until ctx ends.
func (a *App) sockets(ctx context.Context) {
	for ctx.Err() == nil {
		c, changed := a.connection()
		if c.API == nil || c.Socket == nil {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		mine, leave := context.WithCancel(ctx)
		var watch sync.WaitGroup
		watch.Go(func() {
			select {
			case <-changed:
				leave()
			case <-mine.Done():
			}
		})
		a.stay(mine, c, changed)
		leave()
		watch.Wait()
	}
}

// stay opens one connection after the other until ctx ends. When Slack asks
// for the next one it is opened before the old one is left.
func (a *App) stay(ctx context.Context, c Connection, changed <-chan struct{}) {
	var s *socket
	defer func() { s.leave() }()
	failures := 0
	for ctx.Err() == nil {
		next, err := a.open(ctx, c)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			failures++
			a.connected(changed, false, err)
			a.o.Logger.WarnContext(ctx, "slack socket mode is not connected", "err", err, "failures", failures)
			if !a.pause(ctx, failures) {
				return
			}
			continue
		}
		s.leave()
		s = next
		began := time.Now()
		a.connected(changed, true, nil)
		select {
		case <-s.moved:
			continue // s goes on until the next one is open
		case <-s.done:
			if ctx.Err() != nil {
				return
			}
			if time.Since(began) > goodAfter {
				failures = 0
			}
			failures++
			a.connected(changed, false, fmt.Errorf("the connection ended: %w", s.err))
			if !a.pause(ctx, failures) {
				return
			}
		case <-ctx.Done():
		}
	}
}

// pause waits before the next try; false means that ctx ended.
func (a *App) pause(ctx context.Context, failures int) bool {
	d := min(a.o.Pause<<min(failures-1, 10), longestWait)
	timer := time.NewTimer(d + time.Duration(rand.Int64N(int64(d)/5+1)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connected notes how the connection of the present configuration does.
func (a *App) connected(of <-chan struct{}, is bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if of != (<-chan struct{})(a.change) {
		return // another configuration is in force
	}
	if a.health.Connected != is || a.health.Since.IsZero() {
		a.health.Since = a.o.Now()
	}
	a.health.Connected, a.health.Error = is, ""
	if err != nil {
		a.health.Error = err.Error()
	}
}

// open asks for an address, connects and waits for Slack's hello.
func (a *App) open(ctx context.Context, c Connection) (*socket, error) {
	limit, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	address, err := c.Socket(limit)
	if err != nil {
		return nil, err
	}
	client := c.Client
	if client == nil {
		client = http.DefaultClient
	}
	conn, resp, err := websocket.Dial(limit, address, &websocket.DialOptions{HTTPClient: client})
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return nil, errors.New("slack's address of Socket Mode does not answer") // the address is a secret
	}
	conn.SetReadLimit(maxFrame)
	f, err := read(limit, conn)
	if err == nil && f.Type != "hello" {
		err = fmt.Errorf("slack began with %.40q in place of hello %.100s", f.Type, f.Reason)
	}
	if err != nil {
		_ = conn.CloseNow()
		return nil, err
	}
	s := &socket{conn: conn, moved: make(chan struct{}), done: make(chan struct{})}
	go a.listen(ctx, s)
	return s, nil
}

func read(ctx context.Context, conn *websocket.Conn) (f frame, err error) {
	_, data, err := conn.Read(ctx)
	if err != nil {
		return f, fmt.Errorf("read from slack: %w", err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("slack sent no JSON: %w", err)
	}
	return f, nil
}

// listen takes what comes until the connection ends.
func (a *App) listen(ctx context.Context, s *socket) {
	ctx, cancel := context.WithCancel(ctx)
	pinging := make(chan struct{})
	go func() {
		defer close(pinging)
		s.ping(ctx)
	}()
	moved := false
	for {
		f, err := read(ctx, s.conn)
		if err != nil {
			s.err = err
			break
		}
		if f.Type == "disconnect" {
			if f.Reason == "link_disabled" {
				s.err = errors.New("the app's settings have Socket Mode turned off")
				break
			}
			if !moved {
				moved = true
				close(s.moved)
			}
			continue
		}
		a.receive(ctx, s, f)
	}
	cancel()
	<-pinging
	_ = s.conn.CloseNow()
	close(s.done)
}

// ping finds out that the other side is gone without a word.
func (s *socket) ping(ctx context.Context) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		limit, cancel := context.WithTimeout(ctx, pingLimit)
		err := s.conn.Ping(limit)
		cancel()
		if err != nil {
			_ = s.conn.CloseNow() // ends the reader
			return
		}
	}
}

// receive takes one envelope: it is acknowledged as soon as it waits to be
// carried out. What cannot be read is acknowledged too, or Slack would send it
// again; what there is no room for is not.
func (a *App) receive(ctx context.Context, s *socket, f frame) {
	var err error
	switch f.Type {
	case "interactive":
		err = a.takeInteraction("socket", f.Payload)
	case "slash_commands":
		var c slash
		if c, err = decodeSlash(f.Payload); err == nil {
			err = a.takeSlash("socket", c)
		}
	}
	if errors.Is(err, errBusy) {
		a.o.Logger.WarnContext(ctx, "an interaction of slack was not taken", "err", err)
		return
	}
	if err != nil {
		a.payload.WithLabelValues("socket", "malformed").Inc()
		a.o.Logger.WarnContext(ctx, "an envelope of slack cannot be read", "type", f.Type, "err", err)
	}
	if f.Envelope == "" {
		return
	}
	ack, err := json.Marshal(map[string]string{"envelope_id": f.Envelope})
	if err != nil {
		return
	}
	limit, cancel := context.WithTimeout(ctx, ackLimit)
	defer cancel()
	if err := s.conn.Write(limit, websocket.MessageText, ack); err != nil {
		a.o.Logger.WarnContext(ctx, "acknowledge an envelope of slack", "err", err)
	}
}

// leave closes a connection and waits for its end; a nil s is none.
func (s *socket) leave() {
	if s == nil {
		return
	}
	_ = s.conn.Close(websocket.StatusNormalClosure, "")
	<-s.done
}
