package store

import (
	"context"
	"time"
)

// Slack holds what ties serin to a workspace of Slack: where threads were
// begun, and which of its users are which people.
type Slack interface {
	// SlackThread returns where a thread of notices to an address stands, or ErrNotFound.
	SlackThread(ctx context.Context, address, thread string) (SlackThread, error)
	// PutSlackThread creates or replaces one.
	PutSlackThread(ctx context.Context, t SlackThread) error
	// SlackLink returns who a user of Slack is, or ErrNotFound.
	SlackLink(ctx context.Context, team, user string) (SlackLink, error)
	// SlackLinks lists the links of a person, oldest first; "" = of all.
	SlackLinks(ctx context.Context, person string) ([]SlackLink, error)
	// PutSlackLink creates a link, or replaces the one of the same user of Slack.
	PutSlackLink(ctx context.Context, l SlackLink, a AuditEntry) error
	// DeleteSlackLink removes one; ErrNotFound.
	DeleteSlackLink(ctx context.Context, team, user string, a AuditEntry) error
}

// SlackThread is what was posted of a thread of notices.
type SlackThread struct {
	Address string `json:"address"` // of the notices: "slack:#team"
	Thread  string `json:"thread"`  // Notice.Thread
	Channel string `json:"channel"` // id of the channel with the root
	TS      string `json:"ts"`      // of the root
	// Last is the notice that was posted last, so that one whose message could
	// be posted and whose root could not be updated is not posted twice.
	Last string `json:"last"`
	// Room is the id of the thread's own channel, RoomTS of its first message,
	// RoomLast as Last; "" = there is none.
	Room     string `json:"room,omitempty"`
	RoomTS   string `json:"room_ts,omitempty"`
	RoomLast string `json:"room_last,omitempty"`
	// Remark is why there is no channel of its own although one was asked for.
	Remark string    `json:"remark,omitempty"`
	At     time.Time `json:"at"` // of the last change
}

// SlackLink says which person a user of Slack is.
type SlackLink struct {
	Team   string    `json:"team"` // id of the workspace: T...
	User   string    `json:"user"` // id of the user: U... or W...
	Person string    `json:"person"`
	How    string    `json:"how"` // "e-mail" or "code"
	At     time.Time `json:"at"`
}
