package openfeature

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	of "github.com/open-feature/go-sdk/openfeature"
)

// answer is the server's last word on one flag and context (OFREP 0.3.0,
// service/openapi.yaml).
type answer struct {
	Value        json.RawMessage `json:"value"` // nil = the code default
	Reason       of.Reason       `json:"reason"`
	Variant      string          `json:"variant"`
	Metadata     of.FlagMetadata `json:"metadata"`
	ErrorCode    of.ErrorCode    `json:"errorCode"`
	ErrorDetails string          `json:"errorDetails"`
}

// BooleanEvaluation implements FeatureProvider.
func (p *Provider) BooleanEvaluation(ctx context.Context, flag string, fallback bool, c of.FlattenedContext) of.BoolResolutionDetail {
	return resolve(ctx, p, flag, fallback, c, decodeAs[bool])
}

// StringEvaluation implements FeatureProvider.
func (p *Provider) StringEvaluation(ctx context.Context, flag, fallback string, c of.FlattenedContext) of.StringResolutionDetail {
	return resolve(ctx, p, flag, fallback, c, decodeAs[string])
}

// FloatEvaluation implements FeatureProvider.
func (p *Provider) FloatEvaluation(ctx context.Context, flag string, fallback float64, c of.FlattenedContext) of.FloatResolutionDetail {
	return resolve(ctx, p, flag, fallback, c, decodeAs[float64])
}

// IntEvaluation implements FeatureProvider. A value with decimals is
// truncated, as by flagd.
func (p *Provider) IntEvaluation(ctx context.Context, flag string, fallback int64, c of.FlattenedContext) of.IntResolutionDetail {
	return resolve(ctx, p, flag, fallback, c, decodeInt)
}

// ObjectEvaluation implements FeatureProvider; the value is a
// map[string]any or a []any.
func (p *Provider) ObjectEvaluation(ctx context.Context, flag string, fallback any, c of.FlattenedContext) of.InterfaceResolutionDetail {
	return resolve(ctx, p, flag, fallback, c, decodeObject)
}

func decodeAs[T any](raw json.RawMessage) (T, error) {
	var v T
	if string(raw) == "null" {
		return v, errors.New("is null")
	}
	return v, json.Unmarshal(raw, &v)
}

func decodeInt(raw json.RawMessage) (int64, error) {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n, nil
	}
	f, err := decodeAs[float64](raw)
	if err != nil {
		return 0, err
	}
	if f = math.Trunc(f); f < -(1<<63) || f >= 1<<63 {
		return 0, fmt.Errorf("%v is out of range", f)
	}
	return int64(f), nil
}

func decodeObject(raw json.RawMessage) (any, error) {
	v, err := decodeAs[any](raw)
	switch v.(type) {
	case map[string]any, []any:
		return v, err
	}
	return nil, errors.New("is not an object")
}

// resolve finds the answer and reads it as a T.
func resolve[T any](ctx context.Context, p *Provider, flag string, fallback T, c of.FlattenedContext,
	decode func(json.RawMessage) (T, error),
) of.GenericResolutionDetail[T] {
	failed := func(err of.ResolutionError) of.GenericResolutionDetail[T] {
		return of.GenericResolutionDetail[T]{Value: fallback, ProviderResolutionDetail: of.ProviderResolutionDetail{
			ResolutionError: err, Reason: of.ErrorReason,
		}}
	}
	a, reason, err := p.answerFor(ctx, flag, c)
	if err != nil {
		return failed(of.NewGeneralResolutionError(err.Error(), err))
	}
	if a.ErrorCode != "" {
		return failed(resolutionError(a))
	}
	detail := of.ProviderResolutionDetail{Reason: reason, Variant: a.Variant, FlagMetadata: a.Metadata}
	if a.Value == nil {
		return of.GenericResolutionDetail[T]{Value: fallback, ProviderResolutionDetail: detail}
	}
	v, err := decode(a.Value)
	if err != nil {
		return failed(of.NewTypeMismatchResolutionError(fmt.Sprintf("flag %q is no %T: %v", flag, fallback, err)))
	}
	return of.GenericResolutionDetail[T]{Value: v, ProviderResolutionDetail: detail}
}

func resolutionError(a *answer) of.ResolutionError {
	switch a.ErrorCode {
	case of.FlagNotFoundCode:
		return of.NewFlagNotFoundResolutionError(a.ErrorDetails)
	case of.ParseErrorCode:
		return of.NewParseErrorResolutionError(a.ErrorDetails)
	case of.TargetingKeyMissingCode:
		return of.NewTargetingKeyMissingResolutionError(a.ErrorDetails)
	case of.InvalidContextCode:
		return of.NewInvalidContextResolutionError(a.ErrorDetails)
	}
	return of.NewGeneralResolutionError(a.ErrorDetails)
}

// answerFor returns a kept answer while it is good, else asks, else falls
// back to what was known.
func (p *Provider) answerFor(ctx context.Context, flag string, c of.FlattenedContext) (*answer, of.Reason, error) {
	body, err := json.Marshal(struct { // maps are written with sorted keys: equal contexts give equal text
		Context of.FlattenedContext `json:"context"`
	}{c})
	if err != nil {
		return &answer{ErrorCode: of.InvalidContextCode, ErrorDetails: "the context is no JSON: " + err.Error()}, "", nil
	}
	key := flag + "\x00" + string(body)
	generation := p.generation.Load() // before asking: an answer that a change overtakes is outdated
	kept, known := p.cache.get(key)
	if known && p.good(kept, generation) {
		return kept.answer, kept.answer.Reason, nil
	}
	err = errors.New("serin: the server did not answer a moment ago")
	if now := time.Now(); now.UnixNano() >= p.pausedTill.Load() {
		var a *answer
		if a, err = p.ask(ctx, flag, body); err == nil {
			p.cache.put(entry{key: key, answer: a, at: now, generation: generation})
			return a, a.Reason, nil
		}
	}
	if known && time.Since(kept.at) <= p.opt.MaxStale {
		return kept.answer, of.CachedReason, nil
	}
	return nil, "", err
}

// good reports whether a kept answer may be given without asking.
func (p *Provider) good(e entry, generation uint64) bool {
	if e.generation != generation {
		return false
	}
	if p.streamUp.Load() {
		return time.Since(e.at) < p.opt.MaxAge
	}
	return time.Since(e.at) < p.opt.TTL
}

// ask sends one evaluation. The error means that there is no answer; answers
// that refuse this flag or context are answers.
func (p *Provider) ask(ctx context.Context, flag string, body []byte) (*answer, error) {
	limited, cancel := context.WithTimeout(ctx, p.opt.Timeout)
	defer cancel()
	req, err := p.request(limited, http.MethodPost, "/ofrep/v1/evaluate/flags/"+url.PathEscape(flag), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := p.client.Do(req)
	if err != nil {
		if ctx.Err() == nil { // not the caller who gave up
			p.pause(retryPause)
		}
		return nil, fmt.Errorf("serin: evaluate %q: %w", flag, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxBodyBytes))
	if err != nil {
		return nil, fmt.Errorf("serin: evaluate %q: read answer: %w", flag, err)
	}
	return p.readAnswer(flag, res, data)
}

func (p *Provider) readAnswer(flag string, res *http.Response, data []byte) (*answer, error) {
	var a answer
	decoded := json.Unmarshal(data, &a)
	switch {
	case res.StatusCode == http.StatusOK && decoded == nil && a.ErrorCode == "":
		return &a, nil
	case res.StatusCode == http.StatusBadRequest, res.StatusCode == http.StatusNotFound:
		if decoded == nil && a.ErrorCode != "" {
			return &a, nil
		}
	case res.StatusCode == http.StatusTooManyRequests:
		p.pause(retryAfter(res.Header.Get("Retry-After")))
	case res.StatusCode >= http.StatusInternalServerError:
		p.pause(retryPause)
	}
	if decoded != nil && res.StatusCode == http.StatusOK {
		return nil, fmt.Errorf("serin: evaluate %q: the answer is no OFREP: %w", flag, decoded)
	}
	return nil, fmt.Errorf("serin: evaluate %q: status %d %s", flag, res.StatusCode, a.ErrorDetails)
}

func (p *Provider) pause(d time.Duration) { p.pausedTill.Store(time.Now().Add(d).UnixNano()) }

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3), at most a minute.
func retryAfter(header string) time.Duration {
	d := retryPause
	if seconds, err := strconv.Atoi(header); err == nil {
		d = time.Duration(min(seconds, 60)) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), time.Minute)
}

func (p *Provider) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.opt.BaseURL+path, body)
	if err != nil {
		return nil, fmt.Errorf("serin: BaseURL %q: %w", p.opt.BaseURL, err)
	}
	if p.opt.Key != "" {
		req.Header.Set("Authorization", "Bearer "+p.opt.Key)
	}
	return req, nil
}
