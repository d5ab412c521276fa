package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxJSONAnswer bounds an answer that is read as JSON.
const maxJSONAnswer = 4 << 20

// Caller sends JSON to one service and sorts its answers: a connection that
// fails, 408, 425, 429 and 5xx may be tried again, all else may not. It may be used by
// many goroutines at the same time.
type Caller struct {
	Service string           // begins every error: "jira"
	Client  *http.Client     // required; use NoRedirects
	Header  http.Header      // sent with every request; nil = none
	Now     func() time.Time // for a Retry-After that is a date; required
}

// StatusError is an answer with a status other than 2xx.
type StatusError struct {
	Service, Status string
	Code            int
	Body            []byte // its beginning
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s answered %s: %s", e.Service, e.Status, ReadAnswer(bytes.NewReader(e.Body)))
}

// NoRedirects is a client like c (nil = one with this timeout) that follows no
// redirect: it would carry credentials or the message to another place.
func NoRedirects(c *http.Client, timeout time.Duration) *http.Client {
	own := http.Client{Timeout: timeout}
	if c != nil {
		own = *c
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// JSON sends in (nil = no body) and reads the answer into out (nil = it is not
// read). Its errors do not hold the address. A StatusError is in the chain of
// the error for a refusal.
func (c Caller) JSON(ctx context.Context, method, url string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s: encode message: %w", c.Service, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return fmt.Errorf("%s: its address is no URL: set it anew in the server's configuration", c.Service)
	}
	for name, values := range c.Header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "serin")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.Client.Do(req)
	if err != nil {
		return &RetryError{Err: fmt.Errorf("%s: %w", c.Service, WithoutURL(err))}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxJSONAnswer))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return c.refused(resp, data)
	}
	if out == nil {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		return &RetryError{Err: fmt.Errorf("%s: its answer is no JSON: %w", c.Service, err)}
	}
	return nil
}

// refused sorts a status.
func (c Caller) refused(resp *http.Response, data []byte) error {
	err := &StatusError{Service: c.Service, Status: resp.Status, Code: resp.StatusCode, Body: data[:min(len(data), 16*answerBytes)]}
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code >= http.StatusInternalServerError:
		return &RetryError{Err: err, After: RetryAfter(resp.Header, c.Now())}
	}
	return err
}

// Digest names s by 32 hexadecimal digits of its SHA-256, for services whose
// keys allow few signs.
func Digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}
