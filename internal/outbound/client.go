package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// maxRedirects is how many redirects a client follows.
const maxRedirects = 5

// Options say how a Client calls.
type Options struct {
	Guard    Guard
	Timeout  time.Duration // of a whole request, redirects included; required
	CA       string        // file with certificates in PEM to trust in place of the system's; "" = the system's
	Token    string        // bearer token; "" = none
	Username string        // of basic authentication (RFC 7617); "" = none
	Password string
	Headers  map[string]string // sent with every request
}

// Client calls one service. Credentials go to the host they were meant for
// only: a redirect to another host is not followed.
type Client struct {
	http *http.Client
	o    Options
}

// NewClient reads the certificates and makes a client.
func NewClient(o Options) (*Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		data, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("read ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("ca: %s holds no certificate in PEM", o.CA)
		}
	}
	return &Client{o: o, http: &http.Client{
		Timeout: o.Timeout,
		// No proxy: it would resolve names behind the guard's back.
		Transport: &http.Transport{DialContext: o.Guard.Dial, TLSClientConfig: config, TLSHandshakeTimeout: o.Timeout,
			MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			switch {
			case len(via) > maxRedirects:
				return fmt.Errorf("more than %d redirects", maxRedirects)
			case next.URL.Host != via[0].URL.Host:
				return fmt.Errorf("redirect to another host, %s", next.URL.Host)
			case via[0].URL.Scheme == "https" && next.URL.Scheme != "https":
				return errors.New("redirect from https to http")
			}
			return nil
		},
	}}, nil
}

// Do sends a request with the client's credentials and headers and reads at
// most limit bytes of the answer; whole tells whether that was all of it.
func (c *Client) Do(r *http.Request, limit int64) (resp *http.Response, body []byte, whole bool, err error) {
	for name, value := range c.o.Headers {
		r.Header.Set(name, value)
	}
	if c.o.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.o.Token)
	} else if c.o.Username != "" {
		r.SetBasicAuth(c.o.Username, c.o.Password)
	}
	if resp, err = c.http.Do(r); err != nil {
		return nil, nil, false, cause(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return resp, nil, false, cause(err)
	}
	if int64(len(body)) > limit {
		return resp, body[:limit], false, nil
	}
	return resp, body, true, nil
}

// cause takes the address off an error: its query may hold a secret.
func cause(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// CheckURL says what is wrong with the address of a service.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("url: write it as https://HOST/PATH")
	}
	if u.User != nil {
		return errors.New("url: give username and password by their own keys")
	}
	return nil
}

// Excerpt is the begin of an answer in one line, for an error message.
func Excerpt(body []byte) string {
	const most = 200
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(body[:min(len(body), most)]), "")), " ")
	if len(body) > most {
		text += "…"
	}
	return text
}
