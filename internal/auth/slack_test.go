package auth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"serin/internal/store"
	"serin/internal/store/memory"
)

// TestSlackPeople: who is who in Slack, and who may say so.
func TestSlackPeople(t *testing.T) {
	ctx, now := t.Context(), time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	a := New(Options{Store: memory.New(), Now: func() time.Time { return now }})
	root := Principal{Name: "root", Scopes: []string{"admin"}}
	put := func(p store.Person) {
		t.Helper()
		if err := a.PutPerson(ctx, root, p); err != nil {
			t.Fatal(err)
		}
	}
	put(store.Person{Name: "anna", Role: Approver, Email: "anna@example.com", Handles: []string{"team-lead"}})
	put(store.Person{Name: "ben", Role: Operator, Email: "both@example.com", Handles: []string{"dev"}})
	put(store.Person{Name: "cleo", Role: Operator, Email: "both@example.com", Handles: []string{"dev"}})
	anna, ben := Principal{Name: "anna", Person: "anna", Kind: kindSession}, Principal{Name: "ben", Person: "ben", Kind: kindSession}
	u := SlackUser{Team: "T1", ID: "U1"}
	mail := func(address string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return address, nil }
	}

	for name, email := range map[string]func(context.Context) (string, error){"no way to ask": nil, "no address": mail(""), "nobody's": mail("x@example.com"), "two people's": mail("both@example.com")} {
		if p, err := a.Slack(ctx, u, email); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	p, err := a.Slack(ctx, u, mail("Anna@Example.com"))
	if err != nil || p.Name != "anna" || !p.Can(Approve) || p.Can(Admin) || p.via() != "slack" || p.Handles[1] != "team-lead" {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err = a.Slack(ctx, u, nil); err != nil || p.Name != "anna" {
		t.Errorf("linked: %+v, %v", p, err)
	}
	for handle, want := range map[string]string{"anna": "U1 anna@example.com", "team-lead": "U1 anna@example.com", "ben": " both@example.com", "dev": " ", "nobody": " "} {
		if user, email := a.SlackWho(ctx, handle); user+" "+email != want {
			t.Errorf("SlackWho(%s) = %q %q, want %q", handle, user, email, want)
		}
	}

	if err := a.UnlinkSlack(ctx, ben, u); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("ben unlinks anna: %v", err)
	}
	if _, err := a.SlackLinks(ctx, ben, "anna"); !errors.Is(err, ErrForbidden) {
		t.Errorf("ben reads anna's links: %v", err)
	}
	put(store.Person{Name: "anna", Role: Approver, Disabled: true})
	if _, err := a.Slack(ctx, u, nil); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("a disabled account acts: %v", err)
	}
	if err := a.UnlinkSlack(ctx, anna, u); err != nil {
		t.Errorf("anna unlinks herself: %v", err)
	}

	code, err := a.SlackCode(ctx, ben, "ben")
	if err != nil || len(code) != slackCodeSigns {
		t.Fatalf("code %q, %v", code, err)
	}
	now = now.Add(SlackCodeLife)
	if _, err := a.LinkSlack(ctx, u, code); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("an old code: %v", err)
	}
	if _, err := a.SlackCode(ctx, ben, "cleo"); !errors.Is(err, ErrForbidden) {
		t.Errorf("ben makes a code for cleo: %v", err)
	}
	if _, _, err := a.CreateToken(ctx, root, NewToken{Name: "x", Kind: KindSlackCode, Person: "ben", TTL: time.Hour}); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "slack-code") {
		t.Errorf("a code by way of tokens: %v", err)
	}
	if code, err = a.SlackCode(ctx, root, "ben"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.SignIn(ctx, code); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("a code signs in: %v", err)
	}
	if p, err := a.LinkSlack(ctx, u, " "+strings.ToLower(code)+" "); err != nil || p.Name != "ben" {
		t.Errorf("%+v, %v", p, err)
	}
}
