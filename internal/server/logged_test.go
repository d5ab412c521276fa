package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// logged remembers log records.
type logged struct {
	mu      sync.Mutex // guards records
	records []slog.Record
}

func (l *logged) logger() *slog.Logger { return slog.New(keeping{l}) }

// attr is an attribute of the last record with a message, as text; "" = none.
func (l *logged) attr(message, key string) (text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		if r.Message != message {
			continue
		}
		text = ""
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == key {
				text = fmt.Sprint(a.Value.Any())
			}
			return true
		})
	}
	return text
}

// keeping is the handler of a logged.
type keeping struct{ *logged }

func (keeping) Enabled(context.Context, slog.Level) bool { return true }
func (k keeping) WithAttrs([]slog.Attr) slog.Handler     { return k }
func (k keeping) WithGroup(string) slog.Handler          { return k }

func (k keeping) Handle(_ context.Context, r slog.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.records = append(k.records, r.Clone())
	return nil
}
