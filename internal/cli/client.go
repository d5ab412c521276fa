package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	http       *http.Client
}

// client finds server and token: flags, then the environment, then the
// bootstrap file of --data.
func (a *app) client() (*client, error) {
	c := &client{url: a.url, token: a.getenv("SERIN_TOKEN"), http: &http.Client{Timeout: callLimit}}
	if c.url == "" {
		c.url = a.getenv("SERIN_URL")
	}
	if a.data != "" {
		data, err := os.ReadFile(filepath.Join(a.data, server.BootstrapFile))
		if err != nil {
			return nil, fmt.Errorf("read the first tokens: %w (the file is gone once somebody has signed in: set SERIN_URL and SERIN_TOKEN)", err)
		}
		var b server.Bootstrap
		if err := json.Unmarshal(data, &b); err != nil {
			return nil, fmt.Errorf("%s: %w", server.BootstrapFile, err)
		}
		if c.url == "" {
			c.url = b.URL
		}
		if c.token == "" {
			c.token = b.AdminToken
		}
	}
	if c.url == "" {
		c.url = "http://" + server.DefaultListen
	}
	if c.token == "" {
		return nil, errors.New("no token: set SERIN_TOKEN, or name the server's data directory with --data")
	}
	c.url = strings.TrimSuffix(c.url, "/")
	return c, nil
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
		if e.Location != "" && !strings.HasPrefix(e.Location, "line ") {
			text += " (" + e.Location + ")"
		}
	}
	return text
}

// Call sends body (nil, raw bytes, or a value for JSON) and decodes the
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
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+"/api/v1"+path, reader)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("reach the server at %s: %w", c.url, err)
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
