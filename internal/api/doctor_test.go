package api_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/auth"
)

// doctorSays asks for a user's steps and returns the state of each.
func doctorSays(t *testing.T, r *rig, ask map[string]any) (ok bool, states map[string]string) {
	t.Helper()
	answer := decode[struct {
		OK    bool
		Steps []struct{ Step, State string }
	}](t, r.as(auth.Read, 200, http.MethodPost, "/doctor", ask))
	states = map[string]string{}
	for _, s := range answer.Steps {
		states[s.Step] = s.State
	}
	return answer.OK, states
}

func TestDoctor(t *testing.T) {
	r := started(t)
	page := r.token(auth.NewToken{Name: "page", Kind: auth.KindFlags, Origins: []string{"https://shop.example"}})
	server := r.token(auth.NewToken{Name: "server", Kind: auth.KindFlagsServer})
	for _, tt := range []struct{ name, flag, key, origin, want string }{
		{"no key", "newCheckout", "", "", "not checked"},
		{"unknown key", "newCheckout", "nonsense", "", "wrong"},
		{"a page, and the flag is not for pages", "newCheckout", page, "https://shop.example", "wrong"},
		{"another origin", "newCheckout", page, "https://evil.example", "wrong"},
		{"a server", "newCheckout", server, "", "ok"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ok, states := doctorSays(t, r, map[string]any{"flag": tt.flag, "user": "u", "key": tt.key, "origin": tt.origin})
			want := map[string]string{"flag": "ok", "key": tt.want, "fetch": "missing", "event": "missing", "arm in checkout-1": "ok"}
			if d := cmp.Diff(want, states); d != "" || ok {
				t.Errorf("ok %v\n%s", ok, d)
			}
		})
	}
	if ok, states := doctorSays(t, r, map[string]any{"flag": "nothing", "user": "u"}); ok || states["flag"] != "missing" || states["rollout"] != "missing" {
		t.Errorf("of an unknown flag: ok %v, %v", ok, states)
	}
	r.refused(auth.Read, 422, "user", http.MethodPost, "/doctor", map[string]any{"flag": "newCheckout"})
}
