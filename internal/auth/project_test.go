package auth

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"serin/internal/store"
)

// second makes project 2 and an admin token that is limited to it.
func (w *world) second(t *testing.T) (secret string, p Principal) {
	t.Helper()
	made, err := w.CreateProject(t.Context(), w.admin(t), "shop")
	if err != nil || made.ID != "2" {
		t.Fatalf("CreateProject = %+v, %v", made, err)
	}
	secret, _ = w.create(t, NewToken{Name: "shop admin", Kind: KindOperator, Scopes: []string{"admin"}, Projects: []string{"2"}})
	if p, err = w.Token(t.Context(), secret); err != nil || !slices.Equal(p.Projects, []string{"2"}) {
		t.Fatalf("Token = %+v, %v", p, err)
	}
	return secret, p
}

func TestProjects(t *testing.T) {
	w := open(t)
	admin := w.admin(t)
	_, limited := w.second(t)
	list := func(p Principal) string {
		all, err := w.Projects(t.Context(), p)
		out := ""
		for _, one := range all {
			out += one.ID + " " + one.Name + ", "
		}
		return fmt.Sprint(out, err)
	}
	if got := list(admin); got != "1 Project 1, 2 shop, <nil>" {
		t.Error(got)
	}
	if got := list(limited); got != "2 shop, <nil>" {
		t.Error(got)
	}
	for name, try := range map[string]func() error{
		"no name":       func() error { _, err := w.CreateProject(t.Context(), admin, "  "); return err },
		"taken":         func() error { _, err := w.CreateProject(t.Context(), admin, "SHOP"); return err },
		"two lines":     func() error { _, err := w.CreateProject(t.Context(), admin, "a\nb"); return err },
		"renamed taken": func() error { _, err := w.RenameProject(t.Context(), admin, "1", "shop"); return err },
	} {
		wantErr(t, name, try(), ErrInvalid)
	}
	_, err := w.CreateProject(t.Context(), limited, "third")
	wantErr(t, "create as an admin of one project", err, ErrForbidden)
	_, err = w.RenameProject(t.Context(), limited, "1", "mine")
	wantErr(t, "rename another's", err, store.ErrNotFound)
	if p, err := w.RenameProject(t.Context(), limited, "2", "web shop"); err != nil || p.Name != "web shop" {
		t.Errorf("RenameProject = %+v, %v", p, err)
	}
	keys, err := w.IngestKeys(t.Context(), limited)
	if err != nil || len(keys) != 1 || keys[0].Project != "2" {
		t.Errorf("keys of project 2: %+v, %v", keys, err)
	}
	if _, err := w.IngestKey(t.Context(), keys[0].Public, "2", ""); err != nil {
		t.Error(err)
	}
	_, err = w.IngestKey(t.Context(), keys[0].Public, "1", "")
	wantErr(t, "key of project 2 at project 1", err, ErrUnknownKey)
	audit, _ := w.store.AuditEntries(t.Context(), "project 2", 0)
	if len(audit) != 2 || audit[0].Verb != "rename" || audit[1].Verb != "create" {
		t.Errorf("audit %+v", audit)
	}
}

// TestLimitedAdmin is what an admin of one project may give away and manage.
func TestLimitedAdmin(t *testing.T) {
	w := open(t)
	_, p := w.second(t)
	make := func(n NewToken) (store.Token, error) {
		_, token, err := w.CreateToken(t.Context(), p, n)
		return token, err
	}
	read := []string{"read"}
	for name, tt := range map[string]struct {
		ask      NewToken
		err      error
		projects []string
		project  string
	}{
		"a token":               {NewToken{Name: "x", Kind: KindOperator, Scopes: read}, nil, []string{"2"}, ""},
		"a token for theirs":    {NewToken{Name: "x", Kind: KindOperator, Scopes: read, Projects: []string{"2"}}, nil, []string{"2"}, ""},
		"a token for more":      {NewToken{Name: "x", Kind: KindOperator, Scopes: read, Projects: []string{"2", "1"}}, ErrInvalid, nil, ""},
		"a key":                 {NewToken{Name: "x", Kind: KindFlags}, nil, nil, "2"},
		"a key of another's":    {NewToken{Name: "x", Kind: KindIngest, Project: "1"}, ErrInvalid, nil, ""},
		"a key of no project":   {NewToken{Name: "x", Kind: KindIngest, Project: "9"}, ErrInvalid, nil, ""},
		"a link":                {NewToken{Name: "x", Kind: KindSignIn, Scopes: read, Person: "eve"}, ErrForbidden, nil, ""},
		"a key with two homes":  {NewToken{Name: "x", Kind: KindFlagsServer, Project: "2"}, nil, nil, "2"},
		"a token of nowhere":    {NewToken{Name: "x", Kind: KindOperator, Scopes: read, Projects: []string{""}}, ErrInvalid, nil, ""},
		"a token of everywhere": {NewToken{Name: "x", Kind: KindOperator, Scopes: read, Projects: []string{"*"}}, ErrInvalid, nil, ""},
	} {
		got, err := make(tt.ask)
		wantErr(t, name, err, tt.err)
		if err == nil && (!slices.Equal(got.Projects, tt.projects) || got.Project != tt.project) {
			t.Errorf("%s is of %q, %v", name, got.Project, got.Projects)
		}
	}
	all, err := w.Tokens(t.Context(), p)
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, token := range all {
		if token.Project != "2" && !slices.Equal(token.Projects, []string{"2"}) {
			t.Errorf("an admin of project 2 sees %+v", token)
		}
	}
	for _, id := range []string{"first-admin", "first-ingest", "first-flags", "first-sign-in", "nothing"} {
		wantErr(t, "revoke "+id, w.RevokeToken(t.Context(), p, id, ""), store.ErrNotFound)
	}
	if err := w.RevokeToken(t.Context(), p, all[0].ID, ""); err != nil {
		t.Error(err)
	}
	wantErr(t, "people", w.PutPerson(t.Context(), p, store.Person{Name: "eve", Role: AdminOf}), ErrForbidden)
	_, err = w.People(t.Context(), p)
	wantErr(t, "list of people", err, ErrForbidden)
	_, err = w.SignInLink(t.Context(), p, "admin")
	wantErr(t, "link for somebody", err, ErrForbidden)
}

// TestTokenOfSomebody narrows a token to its own projects and its person's.
func TestTokenOfSomebody(t *testing.T) {
	w := open(t)
	w.second(t)
	token, _ := w.create(t, NewToken{Name: "ben", Kind: KindOperator, Scopes: []string{"read"}, Person: "ben", Projects: []string{"2"}})
	for _, tt := range []struct {
		account []string
		want    []string
		err     error
	}{
		{nil, []string{"2"}, nil}, {[]string{"1", "2"}, []string{"2"}, nil}, {[]string{"1"}, nil, ErrUnauthenticated},
	} {
		if err := w.PutPerson(t.Context(), w.admin(t), store.Person{Name: "ben", Role: Viewer, Projects: tt.account}); err != nil {
			t.Fatal(err)
		}
		p, err := w.Token(t.Context(), token)
		wantErr(t, fmt.Sprint(tt.account), err, tt.err)
		if !slices.Equal(p.Projects, tt.want) {
			t.Errorf("account in %v: token in %v, want %v", tt.account, p.Projects, tt.want)
		}
	}
}

func TestHome(t *testing.T) {
	for _, tt := range []struct {
		in   []string
		want string
	}{{nil, "1"}, {[]string{"2"}, "2"}, {[]string{"2", "1"}, "1"}, {[]string{"2", "3"}, ""}} {
		if got := (Principal{Projects: tt.in}).Home(); got != tt.want {
			t.Errorf("Home of %v = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestBothNeverWidens: what two limits leave is never more than either.
func TestBothNeverWidens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"1", "2", "3"}), rapid.ID[string])
		a, b := ids.Draw(t, "a"), ids.Draw(t, "b")
		got, ok := both(a, b)
		for _, id := range []string{"1", "2", "3", "4"} {
			want := Principal{Projects: a}.InProject(id) && Principal{Projects: b}.InProject(id)
			if have := ok && (Principal{Projects: got}).InProject(id); have != want {
				t.Fatalf("both(%v, %v) = %v, %v: in %s %v, want %v", a, b, got, ok, id, have, want)
			}
		}
	})
}

func TestLastUsed(t *testing.T) {
	w := open(t)
	used := func(id string) time.Time {
		list, err := w.store.Tokens(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(k store.Token) bool { return k.ID == id })
		return list[i].LastUsed
	}
	use := func() {
		for range 3 {
			if _, err := w.FlagKey(t.Context(), w.first.FlagKey, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !used("first-flags").IsZero() {
		t.Fatal("used before anybody used it")
	}
	began := w.now
	use()
	w.now = w.now.Add(59 * time.Second)
	use()
	if got := used("first-flags"); !got.Equal(began) {
		t.Errorf("last used %s, want %s: more than one write a minute", got, began)
	}
	w.now = w.now.Add(time.Second)
	use()
	if got := used("first-flags"); !got.Equal(w.now) {
		t.Errorf("last used %s, want %s", got, w.now)
	}
	w.admin(t)
	if got := used("first-admin"); !got.Equal(w.now) {
		t.Errorf("admin token last used %s, want %s", got, w.now)
	}
	// A store that is full keeps nobody out.
	w.store.FailWrites(store.ErrFull)
	w.now = w.now.Add(time.Hour)
	use()
}
