package notify

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-5": 0, "soon": 0, "99999999999": maxRetryAfter,
		"Mon, 02 Mar 2026 09:01:00 GMT": time.Minute, "Mon, 02 Mar 2026 08:00:00 GMT": 0,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("RetryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	if got := ReadAnswer(strings.NewReader(" a\n\tb\xff ")); got != "a b?" {
		t.Errorf("ReadAnswer = %q, want %q", got, "a b?")
	}
	if got := ReadAnswer(strings.NewReader(strings.Repeat("x", 3*answerBytes))); len(got) != answerBytes {
		t.Errorf("ReadAnswer kept %d bytes, want %d", len(got), answerBytes)
	}
}

func TestWithoutURL(t *testing.T) {
	cause := errors.New("refused")
	if err := WithoutURL(&url.Error{Op: "Post", URL: "https://a/secret", Err: cause}); err != cause {
		t.Errorf("WithoutURL = %v, want %v", err, cause)
	}
	if err := WithoutURL(cause); err != cause {
		t.Errorf("WithoutURL = %v, want %v", err, cause)
	}
}

func TestTemporary(t *testing.T) {
	cause := errors.New("503")
	if after, ok := Temporary(errors.Join(&RetryError{Err: cause, After: time.Second})); !ok || after != time.Second {
		t.Errorf("Temporary = %v, %v; want 1s, true", after, ok)
	}
	if _, ok := Temporary(cause); ok {
		t.Error("an error without RetryError is temporary")
	}
}
