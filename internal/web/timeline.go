package web

import (
	"context"
	"sort"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// notices lists what was sent, newest first; a failure to read is logged only.
func (s *server) notices(ctx context.Context, id string, limit int, now time.Time) []noticeRow {
	list, err := s.Rollouts.Notices(ctx, id, limit)
	if err != nil {
		s.Logger.Error("read notices", "rollout", id, "error", err)
	}
	out := make([]noticeRow, 0, len(list))
	for _, n := range list {
		row := noticeRow{Title: n.Title, Channel: orElse(n.Channel, n.Address), At: at(n.At, now), State: "waiting", Class: "wait"}
		switch {
		case !n.Delivered.IsZero():
			row.State, row.Class = "delivered", "pass"
		case n.Dead:
			row.State, row.Class = "given up: "+clip(n.Error, 120), "fail"
		case n.Error != "":
			row.State, row.Class = "trying again: "+clip(n.Error, 120), "warn"
		}
		out = append(out, row)
	}
	return out
}

// entries words the timeline, newest first.
func entries(list []controller.Entry, now time.Time) []entry {
	out := make([]entry, 0, len(list))
	for _, e := range list {
		l, ok := entryLooks[e.Type]
		if !ok {
			l = [2]string{"", "dot"}
		}
		if e.Type == rollout.DeployEnded && e.Kind != rollout.HookDone {
			l = [2]string{"warn", "warn"}
		}
		if e.Type == rollout.Checked && len(e.Red) > 0 {
			l = [2]string{"warn", "warn"}
		}
		row := entry{Pos: e.Pos, Class: l[0], Icon: l[1], Title: upper(orElse(e.Title, string(e.Type))), Text: e.Text, Who: orElse(e.By, "serin"),
			Via: e.Via, Did: strings.ReplaceAll(string(e.Type), "_", " "), At: at(e.At, now)}
		if e.By == "" && row.Via == "" {
			row.Via = "plan"
		}
		out = append(out, row)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Pos > out[j].Pos })
	return out
}

// entryLooks are colour and icon of each kind of event.
var entryLooks = map[rollout.Type][2]string{
	rollout.Created: {"", "plan"}, rollout.Revised: {"", "plan"}, rollout.Completed: {"", "person"}, rollout.Reopened: {"", "person"},
	rollout.Started: {"pass", "play"}, rollout.Checked: {"pass", "pass"}, rollout.Approved: {"", "hand"}, rollout.Confirmed: {"", "person"},
	rollout.Accepted: {"", "hand"}, rollout.Asked: {"hold", "hold"}, rollout.Advanced: {"pass", "up"}, rollout.PausedEvent: {"hold", "pause"},
	rollout.Resumed: {"pass", "play"}, rollout.ReducedEvent: {"fail", "down"}, rollout.RolledBackEvent: {"fail", "back"},
	rollout.RevertNeeded: {"fail", "warn"}, rollout.Restarted: {"pass", "play"}, rollout.IrreversibleDone: {"", "broom"},
	rollout.Finished: {"pass", "pass"}, rollout.CancelledEvent: {"", "cross"}, rollout.IncidentOpened: {"fail", "warn"},
	rollout.IncidentDecided: {"info", "person"}, rollout.IncidentResolved: {"pass", "pass"}, rollout.IncidentClosed: {"", "pass"},
	rollout.NoData: {"fail", "warn"}, rollout.DataBack: {"pass", "pass"}, rollout.BlindEvent: {"fail", "warn"}, rollout.Sighted: {"pass", "pass"},
	rollout.DataQuality: {"fail", "warn"}, rollout.FlagSet: {"info", "flag"}, rollout.Deployed: {"info", "up"}, rollout.Noticed: {"", "chat"},
	rollout.NoticeFailed: {"fail", "chat"}, rollout.DeployBegun: {"info", "up"}, rollout.DeployEnded: {"pass", "up"},
}
