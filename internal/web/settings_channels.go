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
	// WithHealth adds how deliveries go, for who may see the whole server.
	WithHealth(ctx context.Context, all []controller.ChannelState) ([]controller.ChannelState, error)
	// Retry takes dead notices of an address up again and returns how many.
	Retry(ctx context.Context, ids []string, address string, by store.AuditEntry) (int, error)
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
	if PersonOf(ctx).Principal.WholeServer() {
		if all, err = s.Options.Channels.WithHealth(ctx, all); err != nil {
			return nil, err
		}
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
		rows[i].healthy(c.Health, s.Now())
		if mayTest && c.Health != nil {
			rows[i].Dead = c.Health.Dead
		}
	}
	slices.SortStableFunc(rows, func(a, b channelRow) int { return cmp.Compare(a.Address, b.Address) })
	return rows, nil
}

// healthy adds to a row how deliveries go; nil = nothing is known.
func (row *channelRow) healthy(h *controller.ChannelHealth, now time.Time) {
	if h == nil {
		return
	}
	var parts []string
	if !h.Since.IsZero() {
		parts = append(parts, "failing for "+duration(max(now.Sub(h.Since), 0).Truncate(time.Second))+": "+clip(h.Error, 120))
	}
	if !h.Told.IsZero() {
		parts = append(parts, "last success "+h.Told.UTC().Format("2 Jan 15:04 UTC"))
	}
	if h.Waiting > 0 {
		parts = append(parts, fmt.Sprintf("%d waiting since %s", h.Waiting, h.Oldest.UTC().Format("2 Jan 15:04 UTC")))
	}
	if h.Dead > 0 {
		parts = append(parts, fmt.Sprintf("%d given up", h.Dead))
	}
	row.Health = strings.Join(parts, "; ")
}

// retryChannel takes the dead notices of an address up again.
func (s *server) retryChannel(w http.ResponseWriter, r *http.Request) {
	who := by(r)
	if !mayTest(who) {
		s.problem(w, r, http.StatusForbidden, "You may not do this", "Sending notices again needs somebody who may operate rollouts of every project: channels are the server's. Nothing was sent.")
		return
	}
	address := strings.TrimSpace(r.FormValue("address"))
	if address == "" {
		s.problem(w, r, http.StatusUnprocessableEntity, "Nothing was sent", "The form names no channel.")
		return
	}
	n, err := s.Options.Channels.Retry(r.Context(), nil, address, store.AuditEntry{Who: who.Name, Via: "web", Address: auth.Address(r.Context())})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	view := &channelTestView{Address: clip(address, 200), Class: "ok", Icon: "pass", Text: plural(int64(n), "notice") + " sent again from now on."}
	if n == 0 {
		view.Class, view.Icon, view.Text = "warn", "warn", "There is no notice that was given up."
	}
	s.showSettingsWith(w, r, http.StatusOK, func(b *settingsBody) { b.Tested = view })
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
