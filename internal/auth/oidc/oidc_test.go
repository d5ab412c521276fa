package oidc

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"serin/internal/auth"
)

// authority is an identity provider in this process. It lets everybody in as
// what claims says.
type authority struct {
	*httptest.Server
	key     *rsa.PrivateKey
	claims  map[string]any
	signer  *rsa.PrivateKey // signs tokens; another than key is a forger's
	codes   map[string]url.Values
	refuses bool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, signer: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": a.URL, "authorization_endpoint": a.URL + "/authorize", "token_endpoint": a.URL + "/token",
			"jwks_uri": a.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &a.key.PublicKey, KeyID: "1", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /authorize", a.authorize)
	mux.HandleFunc("POST /token", a.token)
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back := url.Values{"state": {q.Get("state")}}
	if a.refuses {
		back.Set("error", "access_denied")
	} else {
		code := rand.Text()
		a.codes[code] = q
		back.Set("code", code)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (a *authority) token(w http.ResponseWriter, r *http.Request) {
	asked, ok := a.codes[r.FormValue("code")]
	delete(a.codes, r.FormValue("code"))
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") || asked.Get("code_challenge_method") != "S256" {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	claims := map[string]any{"iss": a.URL, "aud": asked.Get("client_id"), "sub": "4711", "nonce": asked.Get("nonce"),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()}
	for k, v := range a.claims {
		claims[k] = v
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: a.signer, KeyID: "1"}}, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	payload, _ := json.Marshal(claims)
	signed, err := signer.Sign(payload)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	raw, _ := signed.CompactSerialize()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": raw})
}

// browser follows redirects with cookies, as far as the callback.
type browser struct{ cookies []*http.Cookie }

// begin goes to the provider and returns the callback request it comes back with.
func (b *browser) begin(t *testing.T, p *Provider, next string) *http.Request {
	t.Helper()
	w := httptest.NewRecorder()
	if err := p.Begin(w, httptest.NewRequest(http.MethodGet, "/login/oidc", nil), next); err != nil {
		t.Fatal(err)
	}
	b.cookies = w.Result().Cookies()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return b.request(back.RequestURI())
}

func (b *browser) request(uri string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, uri, nil)
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	return r
}

func TestSignIn(t *testing.T) {
	a := newAuthority(t)
	forger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	verified := map[string]any{"email": "ann@example.com", "email_verified": true, "preferred_username": "ann@corp"}
	for _, tt := range []struct {
		name   string
		claims map[string]any
		set    func()
		o      Options
		want   auth.Identity
		err    error
		text   string
	}{
		{name: "fine", claims: verified, want: auth.Identity{Subject: a.URL + " 4711", Email: "ann@example.com", Name: "ann"}},
		{name: "an address that is not verified", claims: map[string]any{"email": "boss@example.com"}, want: auth.Identity{Subject: a.URL + " 4711"}},
		{name: "its domain", claims: verified, o: Options{Domains: []string{"EXAMPLE.com"}}, want: auth.Identity{Subject: a.URL + " 4711", Email: "ann@example.com", Name: "ann"}},
		{name: "another domain", claims: verified, o: Options{Domains: []string{"example.org"}}, err: ErrDomain},
		{name: "a domain that is not verified", claims: map[string]any{"email": "x@example.com"}, o: Options{Domains: []string{"example.com"}}, err: ErrDomain},
		{name: "refused", set: func() { a.refuses = true }, err: ErrDenied},
		{name: "a forged signature", set: func() { a.signer = forger }, text: "signature"},
		{name: "for another client", claims: map[string]any{"aud": "other"}, text: "audience"},
		{name: "of another issuer", claims: map[string]any{"iss": "https://evil.example"}, text: "issue"},
		{name: "expired", claims: map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, text: "expired"},
		{name: "of another sign-in", claims: map[string]any{"nonce": "x"}, text: "another nonce"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.claims, a.signer, a.refuses = tt.claims, a.key, false
			if tt.set != nil {
				tt.set()
			}
			tt.o.Issuer, tt.o.ClientID, tt.o.Redirect = a.URL, "serin", "http://127.0.0.1/login/oidc/callback"
			p := New(tt.o)
			var b browser
			back := b.begin(t, p, "/rollouts/a-1")
			id, next, err := p.Finish(httptest.NewRecorder(), back)
			switch {
			case tt.err != nil:
				if !errors.Is(err, tt.err) {
					t.Errorf("error %v, want %v", err, tt.err)
				}
			case tt.text != "":
				if err == nil || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v, want one that says %q", err, tt.text)
				}
			case err != nil || id != tt.want || next != "/rollouts/a-1":
				t.Errorf("%+v, %q, %v; want %+v", id, next, err, tt.want)
			}
		})
	}
}

// TestBoundToTheBrowser: an answer of the provider works once, in time, and
// only in the browser that asked.
func TestBoundToTheBrowser(t *testing.T) {
	a := newAuthority(t)
	now := time.Now()
	p := New(Options{Issuer: a.URL, ClientID: "serin", Redirect: "http://127.0.0.1/login/oidc/callback", Now: func() time.Time { return now }})
	finish := func(r *http.Request) error {
		_, _, err := p.Finish(httptest.NewRecorder(), r)
		return err
	}
	var ann, eve browser
	back := ann.begin(t, p, "/")
	eve.begin(t, p, "/")
	if err := finish(eve.request(back.URL.RequestURI())); !errors.Is(err, ErrStale) {
		t.Errorf("in another browser: %v, want %v", err, ErrStale)
	}
	if err := finish(httptest.NewRequest(http.MethodGet, back.URL.RequestURI(), nil)); !errors.Is(err, ErrStale) {
		t.Errorf("without a cookie: %v, want %v", err, ErrStale)
	}
	if err := finish(back); err != nil {
		t.Fatal(err)
	}
	if err := finish(back); !errors.Is(err, ErrStale) {
		t.Errorf("twice: %v, want %v", err, ErrStale)
	}
	late := ann.begin(t, p, "/")
	now = now.Add(life + time.Second)
	if err := finish(late); !errors.Is(err, ErrStale) {
		t.Errorf("late: %v, want %v", err, ErrStale)
	}
	for range most + 10 {
		p.remember(rand.Text(), attempt{until: now.Add(life)})
	}
	if len(p.pending) > most {
		t.Errorf("%d sign-ins remembered, want at most %d", len(p.pending), most)
	}
}

// TestProviderDown: a server starts without its provider, and says who is down.
func TestProviderDown(t *testing.T) {
	a := newAuthority(t)
	a.Close()
	p := New(Options{Issuer: a.URL, ClientID: "serin", Redirect: "http://127.0.0.1/login/oidc/callback"})
	err := p.Begin(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), "/")
	if err == nil || !strings.Contains(err.Error(), a.URL) {
		t.Errorf("error %v, want one that names %s", err, a.URL)
	}
}
