package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"serin/internal/store"
	"serin/internal/store/memory"
)

// world is an Auth on a store in memory, with a time of its own.
type world struct {
	*Auth
	store *memory.Store
	now   time.Time
	first Credentials
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{store: memory.New(), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	w.Auth = New(Options{Store: w.store, Now: func() time.Time { return w.now }})
	var (
		first bool
		err   error
	)
	if w.first, first, err = w.Bootstrap(t.Context(), nil); err != nil || !first {
		t.Fatalf("Bootstrap = first %v, %v", first, err)
	}
	return w
}

func (w *world) admin(t *testing.T) Principal {
	t.Helper()
	p, err := w.Token(t.Context(), w.first.AdminToken)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) create(t *testing.T, n NewToken) (string, store.Token) {
	t.Helper()
	secret, token, err := w.CreateToken(t.Context(), w.admin(t), n)
	if err != nil {
		t.Fatal(err)
	}
	return secret, token
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error = %v, want %v", what, err, want)
	}
}

func TestBootstrap(t *testing.T) {
	w := open(t)
	if dsn, err := w.first.DSN("http://127.0.0.1:8750"); err != nil || dsn != "http://"+w.first.PublicKey+"@127.0.0.1:8750/1" {
		t.Errorf("DSN = %q, %v", dsn, err)
	}
	if len(w.first.PublicKey) != 32 || strings.Trim(w.first.PublicKey, "0123456789abcdef") != "" {
		t.Errorf("public key %q, want 32 hex digits", w.first.PublicKey)
	}
	again, first, err := w.Bootstrap(t.Context(), nil)
	if err != nil || first || again != (Credentials{}) {
		t.Errorf("second Bootstrap = %+v, %v, %v; want nothing", again, first, err)
	}
	tokens, err := w.store.Tokens(t.Context())
	if err != nil || len(tokens) != 4 {
		t.Fatalf("%d tokens, %v; want 4", len(tokens), err)
	}
	audit, err := w.store.AuditEntries(t.Context(), "", 0)
	if err != nil || len(audit) != 4 {
		t.Errorf("%d audit entries, %v; want 4", len(audit), err)
	}
	stored := fmt.Sprintf("%+v %s", tokens, mustJSON(t, audit))
	for name, secret := range map[string]string{"admin token": w.first.AdminToken, "flag key": w.first.FlagKey, "sign-in link": w.first.SignIn} {
		if strings.Contains(stored, secret) {
			t.Errorf("the store holds the %s", name)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestBootstrapInterrupted fails before the last step; the next start replaces everything.
func TestBootstrapInterrupted(t *testing.T) {
	s := &failingSettings{Store: memory.New(), fail: true}
	a := New(Options{Store: s})
	if _, _, err := a.Bootstrap(t.Context(), nil); err == nil {
		t.Fatal("Bootstrap succeeded, want an error")
	}
	s.fail = false
	c, first, err := a.Bootstrap(t.Context(), nil)
	if err != nil || !first {
		t.Fatalf("Bootstrap = %v, %v", first, err)
	}
	if tokens, err := s.Tokens(t.Context()); err != nil || len(tokens) != 4 {
		t.Errorf("%d tokens, %v; want 4", len(tokens), err)
	}
	if _, err := a.Token(t.Context(), c.AdminToken); err != nil {
		t.Error(err)
	}
}

// TestBootstrapNotKept: secrets that nobody could be told do not count as given.
func TestBootstrapNotKept(t *testing.T) {
	a := New(Options{Store: memory.New()})
	if _, _, err := a.Bootstrap(t.Context(), func(Credentials) error { return store.ErrFull }); !errors.Is(err, store.ErrFull) {
		t.Fatalf("Bootstrap: %v, want %v", err, store.ErrFull)
	}
	var kept Credentials
	c, first, err := a.Bootstrap(t.Context(), func(c Credentials) error { kept = c; return nil })
	if err != nil || !first || kept != c || c.AdminToken == "" {
		t.Fatalf("the next Bootstrap = first %v, %v; kept what was returned: %v", first, err, kept == c)
	}
	if _, err := a.Token(t.Context(), kept.AdminToken); err != nil {
		t.Error(err)
	}
}

type failingSettings struct {
	*memory.Store
	fail bool
}

func (s *failingSettings) PutSetting(ctx context.Context, key, value string) error {
	if s.fail {
		return store.ErrFull
	}
	return s.Store.PutSetting(ctx, key, value)
}

func TestDoorsAreApart(t *testing.T) {
	w := open(t)
	flags, _ := w.create(t, NewToken{Name: "shop", Kind: KindFlags})
	hidden, _ := w.create(t, NewToken{Name: "backend", Kind: KindIngest, Project: "1", Secret: true, Environment: "prod"})
	for name, tc := range map[string]struct {
		secret               string
		token, ingest, flags bool
	}{
		"admin":         {w.first.AdminToken, true, false, false},
		"ingest":        {w.first.PublicKey, false, true, false},
		"hidden ingest": {hidden, false, true, false},
		"flags":         {flags, false, false, true},
		"flags server":  {w.first.FlagKey, false, false, true},
		"sign-in":       {w.first.SignIn, false, false, false},
		"empty":         {"", false, false, false},
		"a hash":        {hashOf(w.first.AdminToken), false, false, false},
	} {
		_, err := w.Token(t.Context(), tc.secret)
		if want := map[bool]error{false: ErrUnauthenticated}[tc.token]; !errors.Is(err, want) {
			t.Errorf("%s at the operator API: %v, want %v", name, err, want)
		}
		_, err = w.IngestKey(t.Context(), tc.secret, "1", "")
		if want := map[bool]error{false: ErrUnknownKey}[tc.ingest]; !errors.Is(err, want) {
			t.Errorf("%s at the intake: %v, want %v", name, err, want)
		}
		_, err = w.FlagKey(t.Context(), tc.secret, "")
		if want := map[bool]error{false: ErrUnknownKey}[tc.flags]; !errors.Is(err, want) {
			t.Errorf("%s at the flags: %v, want %v", name, err, want)
		}
	}
	if k, err := w.IngestKey(t.Context(), w.first.PublicKey, "1", ""); err != nil || k != (IngestKey{ID: "first-ingest", Project: "1", Publishable: true}) {
		t.Errorf("IngestKey = %+v, %v", k, err)
	}
	if k, err := w.IngestKey(t.Context(), hidden, "1", ""); err != nil || k.Publishable || k.Environment != "prod" {
		t.Errorf("hidden IngestKey = %+v, %v", k, err)
	}
	if k, err := w.FlagKey(t.Context(), w.first.FlagKey, ""); err != nil || k != (FlagKey{ID: "first-flags", Project: "1", Server: true}) {
		t.Errorf("FlagKey = %+v, %v", k, err)
	}
	_, err := w.IngestKey(t.Context(), w.first.PublicKey, "2", "")
	wantErr(t, "another project", err, ErrUnknownKey)
}

func TestOrigins(t *testing.T) {
	list := []string{"https://shop.example", "https://*.team.example/"}
	for origin, want := range map[string]bool{
		"": true, "https://shop.example": true, "HTTPS://Shop.example": true, "https://a.team.example": true, "https://a.b.team.example": true,
		"http://shop.example": false, "https://shop.example.evil": false, "https://team.example": false, "https://evilteam.example": false,
		"https://.team.example": false, "null": false, "https://shop.example:8443": false,
	} {
		if got := allowsOrigin(list, origin); got != want {
			t.Errorf("allowsOrigin(%q) = %v, want %v", origin, got, want)
		}
	}
	if !allowsOrigin(nil, "https://any.example") || !allowsOrigin([]string{"*"}, "null") {
		t.Error("no list, or *, refuses an origin")
	}
	w := open(t)
	key, _ := w.create(t, NewToken{Name: "shop", Kind: KindFlags, Origins: list})
	_, err := w.FlagKey(t.Context(), key, "https://evil.example")
	wantErr(t, "evil origin", err, ErrForbiddenOrigin)
}

// TestCache counts queries: none a check, and changes work at once.
func TestCache(t *testing.T) {
	s := &countingStore{Store: memory.New()}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	a := New(Options{Store: s, Now: func() time.Time { return now }})
	c, _, err := a.Bootstrap(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := a.IngestKey(t.Context(), c.PublicKey, "1", ""); err != nil {
			t.Fatal(err)
		}
		_, err := a.FlagKey(t.Context(), "unknown", "")
		wantErr(t, "unknown", err, ErrUnknownKey)
	}
	if n := s.lists.Load(); n != 1 {
		t.Errorf("%d queries for 200 checks, want 1", n)
	}
	admin := Principal{Name: "ann", Kind: kindSession, Scopes: []string{"admin"}}
	key, token, err := a.CreateToken(t.Context(), admin, NewToken{Name: "x", Kind: KindFlags, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.FlagKey(t.Context(), key, ""); err != nil {
		t.Errorf("a new key is unknown: %v", err)
	}
	now = now.Add(time.Hour)
	_, err = a.FlagKey(t.Context(), key, "")
	wantErr(t, "expired", err, ErrUnknownKey)
	now = now.Add(-time.Minute)
	if err := a.RevokeToken(t.Context(), admin, token.ID, "leaked"); err != nil {
		t.Fatal(err)
	}
	_, err = a.FlagKey(t.Context(), key, "")
	wantErr(t, "revoked", err, ErrUnknownKey)
	audit, err := s.AuditEntries(t.Context(), "token "+token.ID, 0)
	if err != nil || len(audit) != 2 || audit[0].Verb != "revoke" || audit[0].Who != "ann" || audit[0].Via != "web" || audit[0].Reason != "leaked" {
		t.Errorf("audit = %+v, %v", audit, err)
	}
}

type countingStore struct {
	*memory.Store
	lists atomic.Int64
}

func (s *countingStore) Tokens(ctx context.Context) ([]store.Token, error) {
	s.lists.Add(1)
	return s.Store.Tokens(ctx)
}

func TestScopes(t *testing.T) {
	order := []Scope{Read, Operate, Approve, Admin}
	for i, held := range order {
		for j, asked := range order {
			if got, want := (Principal{Scopes: []string{string(held)}}).Can(asked), i >= j; got != want {
				t.Errorf("%s can %s = %v, want %v", held, asked, got, want)
			}
		}
	}
	if (Principal{}).Can(Read) || (Principal{Scopes: []string{"admin"}}).Can("") || (Principal{Scopes: []string{"root"}}).Can(Read) {
		t.Error("an unknown scope counts for something")
	}
	w := open(t)
	secret, _ := w.create(t, NewToken{Name: "ci", Kind: KindOperator, Scopes: []string{"operate"}, Role: "qa", TTL: time.Hour})
	p, err := w.Token(t.Context(), secret)
	if err != nil || p.Name != "ci" || p.Role != "qa" || p.Can(Approve) || !p.Can(Read) {
		t.Errorf("Token = %+v, %v", p, err)
	}
	_, _, err = w.CreateToken(t.Context(), p, NewToken{Name: "x", Kind: KindOperator, Scopes: []string{"read"}})
	wantErr(t, "create as operator", err, ErrForbidden)
	wantErr(t, "revoke as operator", w.RevokeToken(t.Context(), p, "first-admin", ""), ErrForbidden)
	wantErr(t, "revoke nothing", w.RevokeToken(t.Context(), w.admin(t), "nobody", ""), store.ErrNotFound)
	w.now = w.now.Add(time.Hour)
	_, err = w.Token(t.Context(), secret)
	wantErr(t, "expired", err, ErrUnauthenticated)
	for name, n := range map[string]NewToken{
		"no scope": {Name: "x", Kind: KindOperator}, "scope": {Name: "x", Kind: KindOperator, Scopes: []string{"root"}},
		"kind": {Name: "x", Kind: "god"}, "no name": {Kind: KindFlags}, "no such project": {Name: "x", Kind: KindIngest, Project: "7"},
		"origin": {Name: "x", Kind: KindFlags, Origins: []string{"shop.example"}},
	} {
		_, _, err := w.CreateToken(t.Context(), w.admin(t), n)
		wantErr(t, name, err, ErrInvalid)
	}
}

func TestSession(t *testing.T) {
	w := open(t)
	signedIn := 0
	w.hook = func(context.Context, Principal) { signedIn++ }
	cookie, p, err := w.SignIn(t.Context(), w.first.SignIn)
	if err != nil || p.Person != "admin" || !p.Can(Admin) {
		t.Fatalf("SignIn = %+v, %v", p, err)
	}
	_, _, err = w.SignIn(t.Context(), w.first.SignIn)
	wantErr(t, "used link", err, ErrUnauthenticated)
	if signedIn != 1 {
		t.Errorf("hook ran %d times, want 1", signedIn)
	}
	if got, err := w.Session(t.Context(), cookie); err != nil || got.Name != "admin" || got.Kind != "session" {
		t.Errorf("Session = %+v, %v", got, err)
	}
	for _, wrong := range []string{"", "x", hashOf(cookie)} {
		_, err := w.Session(t.Context(), wrong)
		wantErr(t, "cookie "+wrong, err, ErrUnauthenticated)
	}
	token := CSRF(cookie)
	if !CheckCSRF(cookie, token) || CheckCSRF(cookie, "") || CheckCSRF("", CSRF("")) || CheckCSRF("other", token) || strings.Contains(token, cookie) {
		t.Error("CSRF tokens do not tell sessions apart")
	}
	if err := errors.Join(w.SignOut(t.Context(), cookie), w.SignOut(t.Context(), cookie)); err != nil {
		t.Error(err)
	}
	_, err = w.Session(t.Context(), cookie)
	wantErr(t, "signed out", err, ErrUnauthenticated)

	link, _ := w.create(t, NewToken{Name: "invite", Kind: KindSignIn, Person: "bob", Scopes: []string{"operate"}, TTL: time.Hour})
	cookie, _, err = w.SignIn(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(defaultSessionTTL)
	_, err = w.Session(t.Context(), cookie)
	wantErr(t, "expired session", err, ErrUnauthenticated)
}

// TestSignInRace uses one link in many goroutines: one gets in.
func TestSignInRace(t *testing.T) {
	w := open(t)
	var (
		wg sync.WaitGroup
		in atomic.Int64
	)
	for range 16 {
		wg.Go(func() {
			if _, _, err := w.SignIn(t.Context(), w.first.SignIn); err == nil {
				in.Add(1)
			} else if !errors.Is(err, ErrUnauthenticated) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := in.Load(); n != 1 {
		t.Errorf("%d signed in, want 1", n)
	}
}

func TestLockout(t *testing.T) {
	w := open(t)
	guesser, other := WithAddress(t.Context(), "203.0.113.9:4711"), WithAddress(t.Context(), "198.51.100.1:99")
	fresh, _ := w.create(t, NewToken{Name: "never used", Kind: KindOperator, Scopes: []string{"read"}})
	for range lockAfter {
		_, err := w.Token(guesser, "wrong")
		wantErr(t, "guess", err, ErrUnauthenticated)
	}
	var locked *LockedError
	if _, err := w.Token(guesser, "wrong"); !errors.As(err, &locked) || locked.After != lockWindow {
		t.Errorf("locked address: %v, want a LockedError for %v", err, lockWindow)
	}
	if _, err := w.Token(guesser, fresh); err != nil {
		t.Errorf("a right token is locked out by wrong ones from its address: %v", err)
	}
	if _, err := w.Token(other, "wrong"); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("another address is locked out: %v", err)
	}
	w.now = w.now.Add(lockWindow)
	if _, err := w.Token(guesser, "wrong"); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("after the window: %v, want %v", err, ErrUnauthenticated)
	}
	for i := range maxAddresses + 100 {
		w.lock.fail(fmt.Sprintf("2001:db8:%x:1::1", i), w.now)
	}
	if n := len(w.lock.addresses); n > maxAddresses {
		t.Errorf("%d addresses remembered, want at most %d", n, maxAddresses)
	}
	for address, want := range map[string]string{
		"[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64", "::ffff:1.2.3.4": "1.2.3.4", "1.2.3.4:5": "1.2.3.4", "@": "@",
	} {
		if got := network(address); got != want {
			t.Errorf("network(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestBearer(t *testing.T) {
	for header, want := range map[string]string{"Bearer abc": "abc", "bearer  abc ": "abc", "Basic abc": "", "abc": "", "": "", "Bearer": ""} {
		if got := Bearer(header); got != want {
			t.Errorf("Bearer(%q) = %q, want %q", header, got, want)
		}
	}
}

func BenchmarkIngestKey(b *testing.B) {
	a := New(Options{Store: memory.New()})
	c, _, err := a.Bootstrap(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.IngestKey(b.Context(), c.PublicKey, "1", "https://shop.example"); err != nil {
			b.Fatal(err)
		}
	}
}
