package hub

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/flag"
)

func ruleset(t testing.TB, revision int64) *flag.Ruleset {
	t.Helper()
	rs, err := flag.Compile(revision, flag.Document{})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func TestPublish(t *testing.T) {
	h := New()
	if h.Current() == nil || h.Current().Revision() != 0 {
		t.Fatal("a new hub must hold an empty ruleset")
	}
	h.Publish(ruleset(t, 5))
	h.Publish(ruleset(t, 4))
	h.Publish(nil)
	if got := h.Current().Revision(); got != 5 {
		t.Errorf("got revision %d, want 5", got)
	}
}

func TestSlowSubscriberFindsTheLatest(t *testing.T) {
	h := New()
	s := h.Subscribe()
	for i := range int64(100) {
		h.Publish(ruleset(t, i+1)) // would block if it waited for s
	}
	<-s.Changed()
	if got := h.Current().Revision(); got != 100 {
		t.Errorf("got revision %d, want 100", got)
	}
	select {
	case <-s.Changed():
		t.Error("a second wake-up without a change")
	default:
	}
	h.Publish(ruleset(t, 100))
	select {
	case <-s.Changed():
		t.Error("an equal ruleset is no change")
	default:
	}
	s.Close()
	s.Close()
	h.Close()
	if _, open := <-h.Subscribe().Changed(); open || h.Subscribers() != 0 {
		t.Error("a closed hub must hand out closed subscriptions")
	}
}

func TestConcurrentPublishNeverGoesBack(t *testing.T) {
	h := New()
	var wg sync.WaitGroup
	for i := range int64(50) {
		rs := ruleset(t, i+1)
		wg.Go(func() { h.Publish(rs) })
		wg.Go(func() { s := h.Subscribe(); _ = h.Current().Keys(); s.Close() })
	}
	wg.Wait()
	if got := h.Current().Revision(); got != 50 {
		t.Errorf("got revision %d, want 50", got)
	}
}

func numbers(facts []Fact) (out []int64) {
	for _, f := range facts {
		if f.Event == Reload {
			out = append(out, -f.Seq)
			continue
		}
		out = append(out, f.Seq)
	}
	return out
}

// TestFeedResume reads from different places of a feed that keeps four facts;
// a negative number is a reload.
func TestFeedResume(t *testing.T) {
	f := NewFeed(100, 4)
	for i := range 6 {
		f.Send("version", map[string]int{"v": i})
	}
	tests := []struct {
		name string
		last int64
		want []int64
	}{
		{"from now", 0, nil},
		{"all seen", 106, nil},
		{"two missed", 104, []int64{105, 106}},
		{"as far as kept", 102, []int64{103, 104, 105, 106}},
		{"too old", 101, []int64{-106}},
		{"before a restart", 7, []int64{-106}},
		{"from the future", 900, []int64{-106}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := f.Subscribe(tt.last)
			defer s.Close()
			if len(tt.want) > 0 {
				<-s.Ready()
			}
			if diff := cmp.Diff(tt.want, numbers(s.Take())); diff != "" {
				t.Error(diff)
			}
			if more := s.Take(); len(more) != 0 {
				t.Errorf("taken twice: %v", more)
			}
		})
	}
}

func TestSlowFeedReaderIsTold(t *testing.T) {
	f := NewFeed(0, 3)
	s := f.Subscribe(0)
	defer s.Close()
	for range 10 {
		f.Send("x", nil)
	}
	<-s.Ready()
	if diff := cmp.Diff([]int64{-10}, numbers(s.Take())); diff != "" {
		t.Error(diff)
	}
	f.Send("x", nil)
	<-s.Ready()
	if diff := cmp.Diff([]int64{11}, numbers(s.Take())); diff != "" {
		t.Error(diff)
	}
	if seq := f.Send("bad", func() {}); seq != 12 {
		t.Errorf("got %d, want 12", seq)
	}
	if diff := cmp.Diff([]Fact{{Seq: 12, Event: Reload, Data: json.RawMessage(`{}`)}}, s.Take()); diff != "" {
		t.Error(diff)
	}
	f.Close()
	for range s.Ready() { // ends, for it is closed
	}
}

func BenchmarkPublish1000(b *testing.B) {
	h := New()
	for range 1000 {
		h.Subscribe()
	}
	b.ReportAllocs()
	sets := []*flag.Ruleset{ruleset(b, 1), nil}
	doc := flag.Document{Flags: []flag.Definition{{Key: "a", State: flag.Enabled, Variants: map[string]json.RawMessage{"x": json.RawMessage("1")}}}}
	other, err := flag.Compile(1, doc)
	if err != nil {
		b.Fatal(err)
	}
	sets[1] = other
	i := 0
	for b.Loop() {
		h.Publish(sets[i&1])
		i++
	}
}
