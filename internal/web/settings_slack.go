package web

import (
	"net/http"
	"time"

	"serin/internal/auth"
)

// SlackDoor is how buttons and /serin of Slack arrive.
type SlackDoor struct {
	HTTP, Socket bool // by signed requests, by Socket Mode
	Connected    bool
	Since        time.Time // of the connection's state; zero = nothing was tried yet
	Error        string    // why it is not connected; "" = it is
}

// slackRow is a user of Slack who is linked to an account.
type slackRow struct {
	Team, User, How string
	At              stamp
}

// slackRows are the users of Slack of an account.
func (s *server) slackRows(r *http.Request, person string) ([]slackRow, error) {
	links, err := s.Access.SlackLinks(r.Context(), by(r), person)
	out := make([]slackRow, 0, len(links))
	for _, l := range links {
		out = append(out, slackRow{Team: l.Team, User: l.User, How: l.How, At: at(l.At, s.Now())})
	}
	return out, err
}

// slackCode makes a code by which one becomes oneself in Slack.
func (s *server) slackCode(w http.ResponseWriter, r *http.Request) {
	who := by(r)
	code, err := s.Access.SlackCode(r.Context(), who, who.Person)
	if err != nil {
		s.accessError(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "secret", settingsPage("Slack", "Your account", secretBody{Nav: settingsNav{"me", who.Can(auth.Admin)}, Head: "You in Slack",
		Label: "Send this in Slack; it works once, for " + duration(auth.SlackCodeLife), Secret: "/serin link " + code, Back: "/settings/me",
		Text: "Whoever sends it acts as you by the buttons of serin’s messages. Only you see the message and the answer."}))
}

// slackUnlink takes a link of one's own away.
func (s *server) slackUnlink(w http.ResponseWriter, r *http.Request) {
	err := s.Access.UnlinkSlack(r.Context(), by(r), auth.SlackUser{Team: r.FormValue("team"), ID: r.FormValue("user")})
	if err != nil {
		s.accessError(w, r, err)
		return
	}
	http.Redirect(w, r, "/settings/me?done=slack", http.StatusSeeOther)
}

// slackDoor is the row of the channels that says how buttons arrive; false
// where there is no Slack app.
func (s *server) slackDoor() (channelRow, bool) {
	if s.Slack == nil {
		return channelRow{}, false
	}
	d := s.Slack()
	row := channelRow{Address: "slack", Icon: "chat", Note: "buttons and /serin by signed requests to /hooks/slack", Pill: pill{Class: "ok", Icon: "pass", Word: "Open"}}
	switch {
	case !d.Socket && !d.HTTP:
		return channelRow{}, false
	case d.Socket && d.Connected:
		row.Note, row.Pill.Word = "buttons and /serin by Socket Mode", "Connected"
	case d.Socket:
		row.Note, row.Pill = "buttons and /serin by Socket Mode", pill{Class: "warn", Icon: "warn", Word: "Not connected"}
		row.Health = clip(orElse(d.Error, "the first connection is being opened"), 200)
	}
	if !d.Since.IsZero() {
		row.At = at(d.Since, s.Now())
	}
	return row, true
}
