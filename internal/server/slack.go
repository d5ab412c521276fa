package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"serin/internal/auth"
	"serin/internal/config"
	"serin/internal/health"
	"serin/internal/notify/slack"
	"serin/internal/outbound"
	"serin/internal/slackapp"
	"serin/internal/store"
	"serin/internal/telemetry"
	"serin/internal/web"
)

// slackThreads keeps the threads of the Slack bot in the store.
type slackThreads struct {
	store store.Slack
	now   func() time.Time
}

func (t slackThreads) Thread(ctx context.Context, address, thread string) (slack.Thread, bool, error) {
	f, err := t.store.SlackThread(ctx, address, thread)
	if errors.Is(err, store.ErrNotFound) {
		return slack.Thread{}, false, nil
	}
	return slack.Thread{Address: f.Address, Thread: f.Thread, Channel: f.Channel, TS: f.TS, Last: f.Last,
		Room: f.Room, RoomTS: f.RoomTS, RoomLast: f.RoomLast, Remark: f.Remark}, err == nil, err
}

func (t slackThreads) PutThread(ctx context.Context, f slack.Thread) error {
	return t.store.PutSlackThread(ctx, store.SlackThread{Address: f.Address, Thread: f.Thread, Channel: f.Channel, TS: f.TS, Last: f.Last,
		Room: f.Room, RoomTS: f.RoomTS, RoomLast: f.RoomLast, Remark: f.Remark, At: t.now()})
}

// slackApp makes the door for people in Slack; useSlack connects it.
func (s *Server) slackApp(people *auth.Auth, scrub telemetry.ScrubOptions, o slackapp.Options) *slackapp.App {
	o.Rollouts, o.Alerts, o.People = s.control, s.alerts, people
	o.Incident = s.incidentBySlack
	o.Accept = sink{s.evidence, scrub}.Accept
	o.Audit = func(ctx context.Context, e store.AuditEntry) error { return s.store.PutAudit(ctx, e) }
	o.Now, o.Logger, o.BaseURL = s.o.Clock.Now, s.o.Logger, s.DashboardURL()
	return slackapp.New(o)
}

// useSlack connects the bot, the app and the webhooks of Slack, or takes away
// what is no longer there. A change of other keys leaves connections alone.
func (s *Server) useSlack(c, before config.Config) {
	courier := s.control.Courier()
	for name := range before.SlackHooks {
		if _, still := c.SlackHooks[name]; !still {
			courier.Use("slackhook:"+name, nil)
		}
	}
	for name, h := range c.SlackHooks {
		guard := outbound.Guard{}
		if h.AllowPrivate {
			guard.Allow = outbound.Private
		}
		client := &http.Client{Timeout: slackTimeout, Transport: &http.Transport{DialContext: guard.Dial, TLSHandshakeTimeout: slackTimeout,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}}
		courier.Use("slackhook:"+name, slack.NewHook(slack.HookOptions{URL: h.URL, Client: client}))
	}
	if sameSlack(c.Slack, before.Slack) {
		return
	}
	if c.Slack.Token == "" {
		courier.Use("slack", nil)
		s.slack.Use(slackapp.Connection{})
		return
	}
	courier.Use("slack", slack.New(slack.Options{Token: c.Slack.Token, BaseURL: c.Slack.APIURL, Channels: c.Slack.Channels, Logger: s.o.Logger,
		Threads: slackThreads{s.store, s.o.Clock.Now}, Who: s.people.SlackWho, CallLink: c.Slack.CallLink, PrivateRooms: c.Slack.PrivateRooms}))
	conn := slackapp.Connection{API: slack.NewClient(slack.ClientOptions{Token: c.Slack.Token, BaseURL: c.Slack.APIURL}), Secret: c.Slack.SigningSecret}
	if c.Slack.AppToken != "" {
		conn.Socket = slack.NewClient(slack.ClientOptions{Token: c.Slack.AppToken, BaseURL: c.Slack.APIURL}).Socket
	}
	s.slack.Use(conn)
}

// slackTimeout bounds one call of a webhook of Slack.
const slackTimeout = 10 * time.Second

// sameSlack reports whether nothing of the app's configuration differs.
func sameSlack(a, b config.Slack) bool {
	if len(a.Channels) != len(b.Channels) {
		return false
	}
	for name, id := range a.Channels {
		if b.Channels[name] != id {
			return false
		}
	}
	a.Channels, b.Channels = nil, nil
	return a.Token == b.Token && a.APIURL == b.APIURL && a.AppToken == b.AppToken && a.SigningSecret == b.SigningSecret &&
		a.CallLink == b.CallLink && a.PrivateRooms == b.PrivateRooms
}

var _ slackapp.API = (*slack.Client)(nil)

// slackDoor says how the door does, for the settings page.
func (s *Server) slackDoor() web.SlackDoor { return web.SlackDoor(s.slack.Health()) }

// slackPatience is how long Socket Mode may take to connect again before
// /readyz tells of it: Slack moves connections every few hours.
const slackPatience = time.Minute

// checkSlack tells of a connection of Socket Mode that is not there. Messages
// still go out by then.
func (s *Server) checkSlack(context.Context) []health.Reason {
	if s.slack == nil {
		return nil
	}
	h := s.slack.Health()
	if !h.Socket || h.Connected || h.Error == "" || s.o.Clock.Now().Sub(h.Since) < slackPatience {
		return nil
	}
	return []health.Reason{{Name: health.Slack, Level: health.Warning,
		Text: "Buttons and /serin of Slack do not arrive since " + h.Since.UTC().Format("2 Jan 15:04 UTC") + ": " + h.Error + ". serin tries again; look at slack.app_token."}}
}
