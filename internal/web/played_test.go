package web

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestPlaying: a page with scripts is told how far a simulation is, and the form that
// it sends then is answered from what was kept: the same seed gives the same answer,
// another one plays again.
func TestPlaying(t *testing.T) {
	s := newWebFor(t, short(), approver())
	const path = "/plans/admin-workbench/simulate"
	form := url.Values{"csrf": {goodCSRF}, "version": {"2"}, "views_per_day": {"20,000"}, "users": {"500"}, "grid": {"1"}, "seed": {"7"}}
	facts := func(form url.Values) (all []progress) {
		t.Helper()
		got := post(t, s, path, form, "Accept", "text/event-stream")
		if kind := got.Header().Get("Content-Type"); kind != "text/event-stream" {
			t.Fatalf("answered %d, %s", got.Code, kind)
		}
		for part := range strings.SplitSeq(strings.TrimSuffix(got.Body.String(), "\n\n"), "\n\n") {
			var f progress
			if err := json.Unmarshal([]byte(strings.TrimPrefix(part, "data: ")), &f); err != nil {
				t.Fatalf("%q: %v", part, err)
			}
			all = append(all, f)
		}
		return all
	}
	all := facts(form)
	if last := all[len(all)-1]; !last.Done || last.Error != "" || last.Played != last.Of || last.Of < 1000 {
		t.Errorf("ends with %+v", last)
	}
	for i := 1; i < len(all); i++ {
		if all[i].Played < all[i-1].Played {
			t.Errorf("goes back from %+v to %+v", all[i-1], all[i])
		}
	}
	began := len(s.played.kept)
	page := plain(post(t, s, path, form).Body.String())
	if len(s.played.kept) != began || !strings.Contains(page, "seed 7") || !strings.Contains(page, "--seed 7") {
		t.Errorf("%d simulations kept, then %d; seed told: %v", began, len(s.played.kept), strings.Contains(page, "seed 7"))
	}
	form.Del("grid")
	for seed := range 12 {
		form.Set("seed", string(rune('a'+seed)))
		if f := facts(form); f[len(f)-1].Error == "" {
			t.Errorf("seed %q is taken", form.Get("seed"))
		}
	}
	if len(s.played.kept) > mostPlayed {
		t.Errorf("%d simulations are kept", len(s.played.kept))
	}
}

// TestPlayedKeeps the newest answers, and no more than it may.
func TestPlayedKeeps(t *testing.T) {
	var k played
	for i := range 3 * mostPlayed {
		k.keep(playedOne{key: time.Duration(i).String()})
	}
	_, oldest := k.find(time.Duration(2*mostPlayed - 1).String())
	_, newest := k.find(time.Duration(3*mostPlayed - 1).String())
	if len(k.kept) != mostPlayed || oldest || !newest {
		t.Errorf("%d kept, oldest %v, newest %v", len(k.kept), oldest, newest)
	}
}
