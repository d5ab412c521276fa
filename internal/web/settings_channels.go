package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/store"
)

// Channels are the ways to tell people, and their test.
type Channels interface {
	// Channels lists the addresses; sees says of which projects' rollouts.
	Channels(ctx context.Context, sees func(project string) bool) ([]controller.ChannelState, error)
	// TestChannel sends one test notice; a *controller.TooSoonError says that
	// another was sent a moment ago.
	TestChannel(ctx context.Context, address string, by store.AuditEntry) (controller.ChannelTest, error)
}

// channelTestView is what came of a test, as the settings page shows it.
type channelTestView struct {
	Address, Text string
	Class, Icon   string // of the callout
}

// named adds to rows the channels that plans under way name and that were not
// used yet, and marks those that can be tested.
func (s *server) named(ctx context.Context, rows []channelRow, mayTest bool) ([]channelRow, error) {
	if s.Options.Channels == nil {
		return rows, nil
	}
	all, err := s.Options.Channels.Channels(ctx, PersonOf(ctx).Principal.InProject)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for i, row := range rows {
		at[row.Address] = i
	}
	for _, c := range all {
		i, listed := at[c.Address]
		if !listed {
			i = len(rows)
			rows = append(rows, channelRow{Address: c.Address, Icon: "chat", Note: "connected; no notice was sent yet", Pill: pill{Icon: "wait", Word: "Not used yet"}})
			if !c.Connected {
				rows[i].Note, rows[i].Pill = upper(strings.TrimPrefix(c.Why, "not available: ")), pill{Class: "warn", Icon: "warn", Word: "Not available"}
			}
		}
		if len(c.Plans) > 0 && (!listed || c.Notice == "") {
			rows[i].Note += "; named by " + clip(strings.Join(c.Plans, ", "), 60)
		}
		rows[i].Test = mayTest && c.Connected
	}
	slices.SortStableFunc(rows, func(a, b channelRow) int { return cmp.Compare(a.Address, b.Address) })
	return rows, nil
}

// mayTest reports whether p may send test notices, as the API has it.
func mayTest(p auth.Principal) bool { return p.Can(auth.Operate) && p.WholeServer() }

// testChannel sends a test notice and shows the service's answer.
func (s *server) testChannel(w http.ResponseWriter, r *http.Request) {
	who := by(r)
	if !mayTest(who) {
		s.problem(w, r, http.StatusForbidden, "You may not do this", "A test message needs somebody who may operate rollouts of every project: channels are the server's. Nothing was sent.")
		return
	}
	address := strings.TrimSpace(r.FormValue("address"))
	out, err := s.Options.Channels.TestChannel(r.Context(), address, store.AuditEntry{Who: who.Name, Via: "web", Address: auth.Address(r.Context())})
	view := &channelTestView{Address: out.Address, Class: "warn", Icon: "warn"}
	status := http.StatusOK
	var soon *controller.TooSoonError
	switch {
	case errors.As(err, &soon):
		view.Text, status = fmt.Sprintf("Nothing was sent: a test message went out a moment ago. Try again in %s.", duration(soon.After.Round(time.Second))), http.StatusTooManyRequests
	case err != nil:
		s.fail(w, r, err)
		return
	case out.Outcome == controller.TestDelivered:
		view.Class, view.Icon = "ok", "pass"
		view.Text = fmt.Sprintf("Delivered after %s: %s.", max(out.Took, time.Millisecond).Round(time.Millisecond), out.Detail)
	case out.Outcome == controller.TestFailed:
		view.Text = "Not delivered: " + clip(out.Detail, 300)
	default:
		view.Text = upper(out.Detail) + "."
	}
	s.showSettingsWith(w, r, status, func(b *settingsBody) { b.Tested, b.Typed = view, clip(address, 200) })
}
