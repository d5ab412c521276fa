package storetest

import (
	"fmt"
	"testing"
	"time"

	"serin/internal/notify"
	"serin/internal/store"
)

// testChannels: what is asked and decided by address.
func testChannels(t *testing.T, s store.Store) {
	ctx := t.Context()
	of := func(id, address string, after time.Duration) notify.Notice {
		return notify.Notice{ID: id, Channel: "c", Address: address, Title: id, At: start.Add(after)}
	}
	var list []notify.Notice
	for i := range 5 {
		list = append(list, of(fmt.Sprint("a", i), "slack:#a", time.Duration(i)*time.Second))
	}
	list = append(list, of("b0", "webhook:b", 10*time.Second), of("b1", "webhook:b", 11*time.Second))
	must(t, s.CommitAlerts(ctx, store.AlertCommit{Notices: list}))

	ids := func(found []store.Outgoing, err error) (out string) {
		t.Helper()
		must(t, err)
		for _, o := range found {
			out += o.ID + " "
		}
		return out
	}
	same(t, "due, two an address", ids(s.Due(ctx, start.Add(time.Minute), 2)), "a0 a1 b0 b1 ")
	same(t, "due, all", ids(s.Due(ctx, start.Add(time.Minute), 0)), "a0 a1 a2 a3 a4 b0 b1 ")

	must(t, s.Delivered(ctx, "a2", start.Add(time.Minute), "a0", "a1", "gone"))
	must(t, s.Failed(ctx, "a3", "no such channel", time.Time{}))
	must(t, s.Failed(ctx, "b0", "503", start.Add(time.Hour)))
	wantErr(t, s.Delivered(ctx, "none", start, "a4"), store.ErrNotFound)
	one, err := s.Notice(ctx, "a0")
	must(t, err)
	same(t, "told with", one, store.Outgoing{Notice: list[0], Tries: 1, Delivered: start.Add(time.Minute), With: "a2"})
	for _, c := range []struct {
		state   store.DeliveryState
		address string
		limit   int
		want    string
	}{
		{store.AnyState, "", 0, "b1 b0 a4 a3 a2 a1 a0 "}, {store.AnyState, "slack:#a", 2, "a4 a3 "}, {store.StateDead, "", 0, "a3 "},
		{store.StateWaiting, "", 0, "b1 b0 a4 "}, {store.StateTold, "slack:#a", 0, "a2 a1 a0 "}, {store.StateDead, "webhook:b", 0, ""},
	} {
		same(t, fmt.Sprintf("notices %q of %q", c.state, c.address), ids(s.NoticesIn(ctx, c.state, c.address, c.limit)), c.want)
	}
	sums, err := s.Channels(ctx)
	must(t, err)
	same(t, "channels", sums, []store.ChannelSum{
		{Address: "slack:#a", Waiting: 1, Dead: 1, Oldest: start.Add(4 * time.Second), Told: start.Add(time.Minute), Error: "no such channel"},
		{Address: "webhook:b", Waiting: 2, Oldest: start.Add(10 * time.Second), Error: "503"},
	})

	n, err := s.Retry(ctx, []string{"a3", "a2", "b0", "none"}, start.Add(2*time.Hour), auditOf("retry", "outbox"))
	must(t, err)
	same(t, "retried", n, 1)
	one, err = s.Notice(ctx, "a3")
	must(t, err)
	same(t, "retried notice", one, store.Outgoing{Notice: list[3], Next: start.Add(2 * time.Hour), Error: "no such channel", Retried: start.Add(2 * time.Hour)})
	audit, err := s.AuditEntries(ctx, "outbox", 0)
	must(t, err)
	same(t, "audit entries", len(audit), 1)
}
