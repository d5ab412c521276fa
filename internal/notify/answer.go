package notify

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// answerBytes is how much of a service's answer is kept for an error.
	answerBytes = 1 << 10
	// maxRetryAfter bounds what a service may ask for: notices are given up after a day.
	maxRetryAfter = 24 * time.Hour
)

// RetryAfter reads the header Retry-After, seconds or a date (RFC 9110,
// section 10.2.3), as seen at now. It is 0 where the service does not say,
// and at most a day.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	var after time.Duration
	if s, err := strconv.ParseInt(v, 10, 64); err == nil {
		after = time.Duration(min(max(s, 0), int64(maxRetryAfter/time.Second))) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		after = t.Sub(now)
	}
	return min(max(after, 0), maxRetryAfter)
}

// ReadAnswer returns the beginning of a service's answer on one line, at most
// 1 KiB, for a delivery log.
func ReadAnswer(body io.Reader) string {
	data, err := io.ReadAll(io.LimitReader(body, answerBytes))
	if err != nil && len(data) == 0 {
		return "(no answer)"
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(data), "?")), " ")
}

// WithoutURL takes the address out of an error of net/http, for addresses that
// hold secrets.
func WithoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
