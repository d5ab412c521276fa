// Package report reads values out of a JSON document at an address, such as
// the summary of a test run or a bundle's statistics. A query is a JSON pointer
// (RFC 6901); the value is a number, a truth value or a text.
package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"serin/internal/outbound"
	"serin/internal/source"
)

// The bounds of a document and of a text in it, in bytes.
const (
	maxDocument = 4 << 20
	maxText     = 200
)

// Options are where the document is.
type Options struct {
	URL    string
	Client *outbound.Client
}

// Source is a source.Source.
type Source struct{ o Options }

var _ source.Source = (*Source)(nil)

// New returns a Source, or what is wrong with its address.
func New(o Options) (*Source, error) { return &Source{o}, outbound.CheckURL(o.URL) }

// Fetch implements source.Source: the document is read once for all queries.
func (s *Source) Fetch(ctx context.Context, queries []source.Query) []source.Answer {
	out := make([]source.Answer, len(queries))
	doc, err := s.read(ctx)
	for i, q := range queries {
		if err != nil {
			out[i].Err = err
			continue
		}
		out[i].Value, out[i].Err = valueAt(doc, q.Text)
	}
	return out
}

func (s *Source) read(ctx context.Context) (any, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.o.URL, nil)
	if err != nil {
		return nil, errors.New("the address cannot be asked")
	}
	r.Header.Set("Accept", "application/json")
	resp, body, whole, err := s.o.Client.Do(r, maxDocument)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the report: %w", err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the report's address answers %d: %s", resp.StatusCode, outbound.Excerpt(body))
	case !whole:
		return nil, fmt.Errorf("the report is longer than %d MiB", maxDocument>>20)
	}
	var doc any
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("the report is no JSON: %s", outbound.Excerpt(body))
	}
	return doc, nil
}

// CheckPointer says what is wrong with a JSON pointer.
func CheckPointer(text string) error {
	if text != "" && !strings.HasPrefix(text, "/") {
		return fmt.Errorf("pointer %q: write it as /member/0/member", text)
	}
	return nil
}

// valueAt follows a pointer.
func valueAt(doc any, pointer string) (source.Value, error) {
	if err := CheckPointer(pointer); err != nil {
		return source.Value{}, err
	}
	at := doc
	if pointer != "" {
		for part := range strings.SplitSeq(pointer[1:], "/") {
			next, ok := member(at, strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
			if !ok {
				return source.Value{}, fmt.Errorf("nothing at %s: %w", pointer, source.ErrEmpty)
			}
			at = next
		}
	}
	switch v := at.(type) {
	case float64:
		if math.IsInf(v, 0) {
			return source.Value{}, fmt.Errorf("no finite number at %s: %w", pointer, source.ErrEmpty)
		}
		return source.Value{Number: v, Text: strconv.FormatFloat(v, 'f', -1, 64)}, nil
	case bool:
		return source.Value{Text: strconv.FormatBool(v)}, nil
	case string:
		if len(v) > maxText {
			return source.Value{}, fmt.Errorf("the text at %s is longer than %d bytes", pointer, maxText)
		}
		return source.Value{Text: v}, nil
	case nil:
		return source.Value{}, fmt.Errorf("null at %s: %w", pointer, source.ErrEmpty)
	}
	return source.Value{}, fmt.Errorf("at %s is no number, text or truth value", pointer)
}

func member(at any, name string) (any, bool) {
	switch v := at.(type) {
	case map[string]any:
		next, ok := v[name]
		return next, ok
	case []any:
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(v) || strconv.Itoa(i) != name {
			return nil, false
		}
		return v[i], true
	}
	return nil, false
}
