package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"serin/internal/server"
)

// callLimit is how long one call to the server may take.
const callLimit = 30 * time.Second

// client speaks the operator API.
type client struct {
	url, token string
	agent      string // User-Agent; the journal calls serin's own "cli"
	key        string // Idempotency-Key of the next calls; "" = none
	project    string // goes with every call; "" = none
	http       *http.Client
}

// client finds server and token: in the first tokens of --data, else in
// SERIN_URL and SERIN_TOKEN, else in the first tokens of SERIN_DATA. --url
// goes before all addresses.
func (a *app) client() (*client, error) {
	c := &client{url: a.getenv("SERIN_URL"), token: a.getenv("SERIN_TOKEN"), agent: "serin/" + version(), project: a.project, http: &http.Client{Timeout: callLimit}}
	dir := a.data
	if dir == "" && c.token == "" {
		dir = a.getenv("SERIN_DATA")
	}
	if dir != "" {
		b, err := firstTokens(dir)
		if err != nil {
			return nil, err
		}
		c.url, c.token = b.URL, b.AdminToken
	}
	if a.url != "" {
		c.url = a.url
	}
	if c.url == "" {
		c.url = "http://" + server.DefaultListen
	}
	if c.token == "" {
		return nil, errors.New("no token: set SERIN_TOKEN, or name the server's data directory with --data")
	}
	if u, err := url.Parse(c.url); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usageError{fmt.Errorf("server address %q: write it as http://HOST:PORT", c.url)}
	}
	c.url = strings.TrimSuffix(c.url, "/")
	return c, nil
}

// firstTokens reads what the first start of a server wrote.
func firstTokens(dir string) (b server.Bootstrap, err error) {
	path := filepath.Join(dir, server.BootstrapFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return b, fmt.Errorf("%s is not there: either %s is no data directory of a server, or somebody has signed in already; then set SERIN_URL and SERIN_TOKEN", path, dir)
	}
	if err != nil {
		return b, fmt.Errorf("read the first tokens: %w", err)
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return b, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// problem is an RFC 9457 answer.
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

func (p *problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, e := range p.Errors {
		text += "\n  " + e.Message
		if e.Location != "" && e.Location != "body.version" && !strings.HasPrefix(e.Location, "line ") { // those say it themselves
			text += " (" + e.Location + ")"
		}
	}
	return text
}

// formBody is a body of multipart/form-data.
type formBody struct {
	data        []byte
	contentType string
}

// Call sends body (nil, raw bytes, a form, or a value for JSON) and decodes the
// answer into out (nil, *[]byte for raw, or a value).
func (c *client) Call(ctx context.Context, method, path string, body, out any) error {
	var reader io.Reader
	contentType := "application/json"
	switch b := body.(type) {
	case nil:
	case []byte:
		reader, contentType = bytes.NewReader(b), "application/yaml"
	case json.RawMessage:
		reader = bytes.NewReader(b)
	case formBody:
		reader, contentType = bytes.NewReader(b.data), b.contentType
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+"/api/v1"+within(path, c.project), reader)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	if c.key != "" {
		req.Header.Set("Idempotency-Key", c.key)
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // without method and path
		}
		return fmt.Errorf("no answer from the server at %s: %w; is it running, and is SERIN_URL right?", c.url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		p := &problem{Status: resp.StatusCode, Title: resp.Status}
		_ = json.Unmarshal(data, p) // no problem document: the status line has to do
		return p
	}
	switch o := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*o = data
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read the answer of %s %s: %w", method, path, err)
	}
	return nil
}

// HTTPStatus is the status of the answer.
func (p *problem) HTTPStatus() int { return p.Status }
