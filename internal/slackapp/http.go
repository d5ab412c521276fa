package slackapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// maxAge is how old a signed request may be; older ones may be replays
	// (docs.slack.dev, "Verifying requests from Slack").
	maxAge = 5 * time.Minute
	// maxBody bounds a request in bytes: a message has at most 50 blocks.
	maxBody = 1 << 20
)

// errSignature is why a request was not believed.
var errSignature = errors.New("the signature is not Slack's, or more than 5 minutes old: check slack.signing_secret and the clock")

// Sign is the signature of a body at a time in Unix seconds, as Slack makes it.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + timestamp + ":"))
	mac.Write(body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

// verify checks a request's signature as of now, which is real time.
func verify(secret string, h http.Header, body []byte, now time.Time) error {
	timestamp := h.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return errSignature
	}
	if age := now.Sub(time.Unix(seconds, 0)).Abs(); age > maxAge {
		return errSignature
	}
	if !hmac.Equal([]byte(Sign(secret, timestamp, body)), []byte(h.Get("X-Slack-Signature"))) {
		return errSignature
	}
	return nil
}

// ServeHTTP takes what Slack posts: 200 means that it will be carried out.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, _ := a.connection()
	if c.API == nil || c.Secret == "" {
		http.Error(w, "there is no slack.signing_secret in the configuration", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "Slack posts here", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body is too large or ended early", http.StatusBadRequest)
		return
	}
	if err := verify(c.Secret, r.Header, body, time.Now()); err != nil {
		a.payload.WithLabelValues("http", "not signed").Inc()
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	form, err := url.ParseQuery(string(body))
	if err == nil {
		err = a.takeForm(form)
	}
	switch {
	case errors.Is(err, errBusy):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case err != nil:
		a.payload.WithLabelValues("http", "malformed").Inc()
		a.o.Logger.WarnContext(r.Context(), "a request of slack cannot be read", "err", err)
		http.Error(w, errPayload.Error(), http.StatusBadRequest)
	}
}

// takeForm takes the form of a click or a slash command.
func (a *App) takeForm(form url.Values) error {
	switch {
	case form.Get("ssl_check") == "1":
		return nil
	case form.Has("payload"):
		return a.takeInteraction("http", []byte(form.Get("payload")))
	}
	s, err := decodeForm(form)
	if err != nil {
		return err
	}
	return a.takeSlash("http", s)
}

func (a *App) takeInteraction(way string, data []byte) error {
	c, repeat, ok, err := decodeInteraction(data)
	if err != nil || !ok {
		return err
	}
	return a.enqueue(way, repeat, a.clicked(c))
}

func (a *App) takeSlash(way string, s slash) error {
	return a.enqueue(way, s.key(), a.commanded(s))
}
