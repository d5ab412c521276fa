package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"serin/internal/store"
)

const goodPassword = "correct horse battery"

// hire makes a person with a password.
func (w *world) hire(t *testing.T, p store.Person) {
	t.Helper()
	if err := w.PutPerson(t.Context(), w.admin(t), p); err != nil {
		t.Fatal(err)
	}
	if err := w.SetPassword(t.Context(), w.admin(t), p.Name, "", goodPassword); err != nil {
		t.Fatal(err)
	}
}

func (w *world) enterAs(t *testing.T, name string) (string, Principal) {
	t.Helper()
	cookie, p, err := w.SignInPassword(t.Context(), name, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	return cookie, p
}

func TestSignInPassword(t *testing.T) {
	w := open(t)
	w.hire(t, store.Person{Name: "ann", Email: "Ann@Example.com", Role: Approver, Handles: []string{"team-lead"}, Projects: []string{"1"}})
	for _, name := range []string{"ann", " ann ", "ann@example.com"} {
		cookie, p, err := w.SignInPassword(WithAgent(t.Context(), "browser"), name, goodPassword)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if p.Name != "ann" || !p.Can(Approve) || p.Can(Admin) || fmt.Sprint(p.Handles, p.Projects) != "[ann team-lead] [1]" {
			t.Errorf("%q: %+v", name, p)
		}
		if got, err := w.Session(t.Context(), cookie); err != nil || got.ID != p.ID {
			t.Errorf("session %+v, %v", got, err)
		}
	}
	for name, password := range map[string]string{"ann": "wrong password!", "nobody": goodPassword, "": ""} {
		_, _, err := w.SignInPassword(t.Context(), name, password)
		wantErr(t, name, err, ErrUnauthenticated)
	}
	people, err := w.store.People(t.Context())
	if err != nil || !strings.HasPrefix(people[0].Password, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("stored %q, %v", people[0].Password, err)
	}
	audit, _ := w.store.AuditEntries(t.Context(), "", 0)
	if text := mustJSON(t, audit); strings.Contains(text, goodPassword) || strings.Contains(text, "argon2id") {
		t.Error("the audit log holds a password or its hash")
	}
	same := w.hasher
	one, _ := same.hash(t.Context(), goodPassword)
	two, _ := same.hash(t.Context(), goodPassword)
	if one == two {
		t.Error("two hashes of one password are equal: there is no salt")
	}
	for _, short := range []string{"", "eleven char", strings.Repeat("x", maxPassword+1)} {
		wantErr(t, "password", w.SetPassword(t.Context(), w.admin(t), "ann", "", short), ErrInvalid)
	}
}

// TestRightsAreTodays: what an admin changes holds for sessions that are open.
func TestRightsAreTodays(t *testing.T) {
	w := open(t)
	w.hire(t, store.Person{Name: "ann", Role: AdminOf})
	w.hire(t, store.Person{Name: "bob", Role: Operator})
	cookie, _ := w.enterAs(t, "bob")
	must := func(p store.Person) {
		t.Helper()
		if err := w.PutPerson(t.Context(), w.admin(t), p); err != nil {
			t.Fatal(err)
		}
	}
	must(store.Person{Name: "bob", Role: Viewer, Handles: []string{"qa"}})
	if p, err := w.Session(t.Context(), cookie); err != nil || p.Can(Operate) || len(p.Handles) != 2 {
		t.Errorf("after the change %+v, %v", p, err)
	}
	must(store.Person{Name: "bob", Role: Viewer, Disabled: true})
	_, err := w.Session(t.Context(), cookie)
	wantErr(t, "disabled", err, ErrUnauthenticated)
	_, _, err = w.SignInPassword(t.Context(), "bob", goodPassword)
	wantErr(t, "disabled sign-in", err, ErrUnauthenticated)
	must(store.Person{Name: "bob", Role: Viewer})
	if err := w.SetPassword(t.Context(), w.admin(t), "bob", "", goodPassword+"2"); err != nil {
		t.Fatal(err)
	}
	_, err = w.Session(t.Context(), cookie)
	wantErr(t, "session from before the new password", err, ErrUnauthenticated)

	secret, token := w.create(t, NewToken{Name: "bob's", Kind: KindOperator, Scopes: []string{"read"}, Person: "bob"})
	if err := w.DeletePerson(t.Context(), w.admin(t), "bob", "left"); err != nil {
		t.Fatal(err)
	}
	_, err = w.Token(t.Context(), secret)
	wantErr(t, "token "+token.ID+" of somebody who left", err, ErrUnauthenticated)
	wantErr(t, "the last admin", w.DeletePerson(t.Context(), w.admin(t), "ann", ""), ErrInvalid)
	wantErr(t, "the last admin", w.PutPerson(t.Context(), w.admin(t), store.Person{Name: "ann", Role: Viewer}), ErrInvalid)
	wantErr(t, "the last admin", w.PutPerson(t.Context(), w.admin(t), store.Person{Name: "ann", Role: AdminOf, Disabled: true}), ErrInvalid)
}

// TestTokenOfAPerson: it can do no more than the person, and knows their handles.
func TestTokenOfAPerson(t *testing.T) {
	w := open(t)
	w.hire(t, store.Person{Name: "ann", Role: Operator, Handles: []string{"qa"}})
	secret, _ := w.create(t, NewToken{Name: "laptop", Kind: KindOperator, Scopes: []string{"read", "approve"}, Person: "ann"})
	if p, err := w.Token(t.Context(), secret); err != nil || p.Can(Approve) || !p.Can(Operate) || fmt.Sprint(p.Handles) != "[ann qa]" {
		t.Errorf("%+v, %v", p, err)
	}
	small, _ := w.create(t, NewToken{Name: "ci", Kind: KindOperator, Scopes: []string{"read"}, Person: "ann"})
	if p, err := w.Token(t.Context(), small); err != nil || p.Can(Operate) {
		t.Errorf("a reading token became %+v, %v", p, err)
	}
	if err := w.PutPerson(t.Context(), w.admin(t), store.Person{Name: "ann", Role: Operator, Disabled: true}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Token(t.Context(), small)
	wantErr(t, "token of somebody disabled", err, ErrUnauthenticated)
}

func TestPeopleAreTheAdmins(t *testing.T) {
	w := open(t)
	w.hire(t, store.Person{Name: "ann", Role: Approver})
	w.hire(t, store.Person{Name: "bob", Role: Operator})
	cookie, ann := w.enterAs(t, "ann")
	_, bob := w.enterAs(t, "bob")
	ctx := t.Context()
	wantErr(t, "put", w.PutPerson(ctx, ann, store.Person{Name: "eve", Role: AdminOf}), ErrForbidden)
	wantErr(t, "delete", w.DeletePerson(ctx, ann, "bob", ""), ErrForbidden)
	wantErr(t, "another's password", w.SetPassword(ctx, ann, "bob", goodPassword, goodPassword), ErrForbidden)
	wantErr(t, "own password without the old", w.SetPassword(ctx, ann, "ann", "wrong password", goodPassword), ErrUnauthenticated)
	_, err := w.Sessions(ctx, ann, "bob")
	wantErr(t, "another's sessions", err, ErrForbidden)
	_, err = w.Sessions(ctx, ann, "")
	wantErr(t, "all sessions", err, ErrForbidden)
	wantErr(t, "end another's session", w.EndSession(ctx, ann, bob.ID), store.ErrNotFound)
	wantErr(t, "end no session", w.EndSession(ctx, ann, "0123"), store.ErrNotFound)
	wantErr(t, "end no session as admin", w.EndSession(ctx, w.admin(t), "0123"), store.ErrNotFound)

	list, err := w.Sessions(ctx, ann, "ann")
	if err != nil || len(list) != 1 || !list[0].Current || list[0].ID != ann.ID || strings.Contains(cookie, list[0].ID) {
		t.Errorf("own sessions %+v, %v", list, err)
	}
	if err := w.EndSession(ctx, ann, ann.ID); err != nil {
		t.Error(err)
	}
	_, err = w.Session(ctx, cookie)
	wantErr(t, "ended session", err, ErrUnauthenticated)
	for name, p := range map[string]store.Person{
		"capitals": {Name: "Ann", Role: Viewer}, "no name": {Role: Viewer}, "role": {Name: "x", Role: "root"},
		"handle": {Name: "x", Role: Viewer, Handles: []string{"@lead"}}, "markup": {Name: "<b>", Role: Viewer},
	} {
		wantErr(t, name, w.PutPerson(ctx, w.admin(t), p), ErrInvalid)
	}
}

// TestGuessing: a person's password cannot be tried out from one network, nor
// slowly from many; others sign in meanwhile.
func TestGuessing(t *testing.T) {
	w := open(t)
	w.hire(t, store.Person{Name: "ann", Role: Viewer})
	w.hire(t, store.Person{Name: "bob", Role: Viewer})
	from := func(host string) func(name, password string) error {
		return func(name, password string) error {
			_, _, err := w.SignInPassword(WithAddress(t.Context(), host), name, password)
			return err
		}
	}
	evil, home := from("203.0.113.9:1"), from("198.51.100.1:1")
	for range guessesHere {
		wantErr(t, "guess", evil("ann", "wrong password"), ErrUnauthenticated)
	}
	var locked *LockedError
	if err := evil("ann", goodPassword); !errors.As(err, &locked) {
		t.Errorf("after %d guesses: %v, want a LockedError", guessesHere, err)
	}
	if err := errors.Join(evil("bob", goodPassword), home("ann", goodPassword)); err != nil {
		t.Errorf("others are locked out: %v", err)
	}
	for i := range guessesAll {
		_ = from(fmt.Sprintf("192.0.2.%d:1", i))("ann", "wrong password")
	}
	if err := home("ann", goodPassword); !errors.As(err, &locked) {
		t.Errorf("after %d guesses from everywhere: %v, want a LockedError", guessesAll, err)
	}
	w.now = w.now.Add(guessWindow)
	if err := home("ann", goodPassword); err != nil {
		t.Errorf("after the window: %v", err)
	}
}

func TestSignInSubject(t *testing.T) {
	w := open(t)
	w.hire(t, store.Person{Name: "ann", Email: "ann@example.com", Role: Approver})
	w.hire(t, store.Person{Name: "bob", Email: "bob@example.com", Role: Operator, Disabled: false})
	sign := func(id Identity, create string) (Principal, error) {
		_, p, err := w.SignInSubject(t.Context(), id, create)
		return p, err
	}
	if p, err := sign(Identity{Subject: "https://id 1", Email: "ANN@example.com"}, ""); err != nil || p.Name != "ann" {
		t.Errorf("by address: %+v, %v", p, err)
	}
	if p, err := sign(Identity{Subject: "https://id 1", Email: "other@example.com"}, ""); err != nil || p.Name != "ann" {
		t.Errorf("by subject: %+v, %v", p, err)
	}
	_, err := sign(Identity{Subject: "https://id 2", Email: "ann@example.com"}, "")
	wantErr(t, "another subject with a bound address", err, ErrUnauthenticated)
	_, err = sign(Identity{Subject: "https://id 3"}, "")
	wantErr(t, "unknown", err, ErrUnauthenticated)
	for want, id := range map[string]Identity{"eve": {Subject: "s4", Email: "eve@example.com"}, "ann-2": {Subject: "s5", Name: "Ann"},
		"bob-2": {Subject: "s6", Name: "../Bob<>"}, "person": {Subject: "s7", Name: "李"}} {
		if p, err := sign(id, Viewer); err != nil || p.Name != want || p.Can(Operate) {
			t.Errorf("%+v became %+v, %v; want viewer %s", id, p, err, want)
		}
	}
	if err := w.PutPerson(t.Context(), w.admin(t), store.Person{Name: "eve", Role: Viewer, Disabled: true}); err != nil {
		t.Fatal(err)
	}
	_, err = sign(Identity{Subject: "s4"}, AdminOf)
	wantErr(t, "disabled", err, ErrUnauthenticated)
}

func TestDamagedHash(t *testing.T) {
	h := newHasher()
	for _, phc := range []string{"x", "$argon2id$v=19$m=1,t=1,p=1$$", "$argon2i$v=19$m=19456,t=2,p=1$AAAA$AAAA", "$argon2id$v=19$m=99999999,t=2,p=1$AAAA$AAAA"} {
		if ok, err := h.matches(t.Context(), phc, goodPassword); ok || err == nil {
			t.Errorf("%s: %v, %v; want an error", phc, ok, err)
		}
	}
	if ok, err := h.matches(t.Context(), "", goodPassword); ok || err != nil {
		t.Errorf("no password: %v, %v", ok, err)
	}
	phc, err := h.hash(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if ok, err := h.matches(t.Context(), phc, goodPassword); !ok || err != nil {
		t.Errorf("right password: %v, %v", ok, err)
	}
	t.Logf("one check takes %v", time.Since(began))
}
