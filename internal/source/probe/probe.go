// Package probe asks an HTTP address whether it answers as it should: one
// request, judged by status, by a text in the body and by time. A redirect to
// the same host is followed.
//
// A refused connection, a bad certificate, a late or a wrong answer are bad
// probes, that is values: what is probed is down. Only a probe that serin may
// not send is an error.
package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"serin/internal/outbound"
	"serin/internal/source"
)

// maxBody is how much of an answer is looked at, in bytes.
const maxBody = 1 << 20

// Options are what to probe and what to expect.
type Options struct {
	URL    string
	Method string // GET or HEAD; "" = GET
	Status int    // 0 = any from 200 to 299
	Body   string // text that the answer holds; "" = any
	Client *outbound.Client
}

// Source is a source.Source.
type Source struct{ o Options }

var _ source.Source = (*Source)(nil)

// New returns a Source, or what is wrong with its options.
func New(o Options) (*Source, error) {
	if o.Method == "" {
		o.Method = http.MethodGet
	}
	switch {
	case o.Method != http.MethodGet && o.Method != http.MethodHead:
		return nil, fmt.Errorf("method %q: write GET or HEAD", o.Method)
	case o.Method == http.MethodHead && o.Body != "":
		return nil, errors.New("body: an answer to HEAD has none: write method: GET")
	case o.Status != 0 && (o.Status < 100 || o.Status > 599):
		return nil, fmt.Errorf("status %d: write one from 100 to 599", o.Status)
	}
	return &Source{o}, outbound.CheckURL(o.URL)
}

// Fetch implements source.Source: one probe answers every query.
func (s *Source) Fetch(ctx context.Context, queries []source.Query) []source.Answer {
	out := make([]source.Answer, len(queries))
	if len(queries) == 0 {
		return out
	}
	why, err := s.probe(ctx)
	a := source.Answer{Value: source.Value{Number: 1, Text: why}, Err: err}
	if why != "" {
		a.Value.Number = 0
	}
	for i := range out {
		out[i] = a
	}
	return out
}

// probe sends one request and says what was bad, "" = nothing.
func (s *Source) probe(ctx context.Context) (why string, err error) {
	r, err := http.NewRequestWithContext(ctx, s.o.Method, s.o.URL, nil)
	if err != nil {
		return "", errors.New("the address cannot be asked")
	}
	r.Header.Set("User-Agent", "serin-probe")
	r.Header.Set("Cache-Control", "no-cache")
	resp, body, whole, err := s.o.Client.Do(r, maxBody)
	switch {
	case errors.Is(err, outbound.ErrForbidden):
		return "", err
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		return "", ctx.Err() // the server stops: that says nothing of what is probed
	case err != nil:
		return outbound.Excerpt([]byte(err.Error())), nil
	case s.o.Status != 0 && resp.StatusCode != s.o.Status:
		return fmt.Sprintf("it answers %d, not %d", resp.StatusCode, s.o.Status), nil
	case s.o.Status == 0 && resp.StatusCode/100 != 2:
		return fmt.Sprintf("it answers %d", resp.StatusCode), nil
	case s.o.Body != "" && !bytes.Contains(body, []byte(s.o.Body)):
		if !whole {
			return fmt.Sprintf("the first %d MiB of the answer do not hold the text", maxBody>>20), nil
		}
		return "the answer does not hold the text", nil
	}
	return "", nil
}
