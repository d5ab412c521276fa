package auth

import (
	"context"
	"strings"
	"testing"

	"serin/internal/store"
	"serin/internal/store/memory"
)

// asked notes what the store was asked for.
type asked struct {
	*memory.Store
	tokens, sessions []string
}

func (s *asked) TokenByHash(ctx context.Context, hash string) (store.Token, error) {
	s.tokens = append(s.tokens, hash)
	return s.Store.TokenByHash(ctx, hash)
}

func (s *asked) SessionByHash(ctx context.Context, hash string) (store.Session, error) {
	s.sessions = append(s.sessions, hash)
	return s.Store.SessionByHash(ctx, hash)
}

// TestTimingOfSecrets: a guess that is right but for its end is compared as
// something wholly different, so that the time a comparison takes tells
// nothing of how near a guess is.
func TestTimingOfSecrets(t *testing.T) {
	s := &asked{Store: memory.New()}
	a := New(Options{Store: s})
	first, _, err := a.Bootstrap(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	near := func(secret string) string {
		end := "0"
		if strings.HasSuffix(secret, "0") {
			end = "1"
		}
		return secret[:len(secret)-1] + end
	}
	if _, err := a.Token(t.Context(), first.AdminToken); err != nil {
		t.Fatal(err)
	}
	_, err = a.Token(t.Context(), near(first.AdminToken))
	wantErr(t, "a near guess of a token", err, ErrUnauthenticated)
	cookie, _, err := a.SignIn(t.Context(), first.SignIn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Session(t.Context(), cookie); err != nil {
		t.Fatal(err)
	}
	_, err = a.Session(t.Context(), near(cookie))
	wantErr(t, "a near guess of a session", err, ErrUnauthenticated)
	for name, two := range map[string][]string{"tokens": s.tokens[:2], "sessions": s.sessions[len(s.sessions)-2:]} {
		const hexDigits, luck = 64, 16 // 16 equal digits by chance: 1 in 2^64
		if len(two[0]) != hexDigits || len(two[1]) != hexDigits || two[0][:luck] == two[1][:luck] {
			t.Errorf("%s: the store was asked for %q and %q", name, two[0], two[1])
		}
	}
}
