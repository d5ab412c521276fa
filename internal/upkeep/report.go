package upkeep

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// Level is how much a Report needs somebody.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning" // part of the budget is reached, or the file system has little room left
	Over    Level = "over"    // over the budget, and nothing is left that may be shed
)

// Notice is something that somebody should do.
type Notice struct {
	Kind string `json:"kind" enum:"disk,budget"`
	Text string `json:"text"`
}

// The kinds of notices.
const (
	ShortDisk   = "disk"   // the file system has little room left
	ShortBudget = "budget" // part of the budget is reached, or all of it
)

// Report is what a store takes and what became of it. Sizes are bytes.
type Report struct {
	At       time.Time  `json:"at"`
	Level    Level      `json:"level" enum:"ok,warning,over"`
	Warnings []Notice   `json:"warnings" doc:"what somebody should do"`
	Used     int64      `json:"used" doc:"what the budget counts: pages that hold something, and the log"`
	Log      int64      `json:"log" doc:"of that, the write-ahead log"`
	Reusable int64      `json:"reusable" doc:"free pages of the file, used before it grows"`
	Left     int64      `json:"left" doc:"free on the file system"`
	Room     Room       `json:"room"`
	Ages     Ages       `json:"ages" doc:"how long each class is kept, in nanoseconds; 0 = for ever"`
	Shed     []Shedding `json:"shed" doc:"what was removed because of the budget, newest first"`
}

// shedShown is how many sheddings a Report tells of.
const shedShown = 10

// Report measures.
func (k *Keeper) Report(ctx context.Context) (Report, error) {
	p := k.Policy()
	r := Report{At: k.o.Clock.Now(), Level: OK, Room: p.Room, Ages: p.Ages, Shed: []Shedding{}, Warnings: []Notice{}}
	size, err := k.o.Store.Size(ctx)
	if err != nil {
		return r, err
	}
	r.Used, r.Log, r.Reusable = size.Used+size.Log, size.Log, size.Free
	if r.Left, err = k.o.Left(); err != nil {
		return r, fmt.Errorf("measure the file system: %w", err)
	}
	entries, err := k.o.Store.AuditEntries(ctx, auditTarget, shedShown)
	if err != nil {
		return r, err
	}
	for _, e := range entries {
		var s Shedding
		if json.Unmarshal(e.After, &s) == nil && s.Samples+s.Evidence > 0 {
			r.Shed = append(r.Shed, s)
		}
	}
	r.judge()
	return r, nil
}

// judge sets level and warnings by the sizes.
func (r *Report) judge() {
	if r.Room.Floor > 0 && r.Left < r.Room.Floor {
		r.Level = Warning
		r.warn(ShortDisk, fmt.Sprintf("The file system of the data directory has %s left, less than disk.free (%s): make room there.",
			Bytes(r.Left), Bytes(r.Room.Floor)))
	}
	switch {
	case r.Room.Budget > 0 && r.Used > r.Room.Budget:
		r.Level = Over
		r.warn(ShortBudget, fmt.Sprintf("The store takes %s, more than disk.budget (%s), and what may be removed is removed within a minute or gone: raise the budget, or shorten the retention.",
			Bytes(r.Used), Bytes(r.Room.Budget)))
	case r.Room.Warn > 0 && r.Used >= r.Room.Warn:
		if r.Level == OK {
			r.Level = Warning
		}
		r.warn(ShortBudget, fmt.Sprintf("The store takes %s of disk.budget (%s): over it the oldest samples go, then evidence of ended rollouts.",
			Bytes(r.Used), Bytes(r.Room.Budget)))
	}
}

func (r *Report) warn(kind, text string) { r.Warnings = append(r.Warnings, Notice{kind, text}) }

// tell logs one line when the level changes, not every minute.
func (k *Keeper) tell(r Report) {
	k.mu.Lock()
	was := k.level
	k.level = r.Level
	k.mu.Unlock()
	if was == r.Level {
		return
	}
	attrs := []any{"level", r.Level, "used", r.Used, "budget", r.Room.Budget, "left", r.Left}
	if r.Level == OK {
		k.o.Logger.Info("the store has room again", attrs...)
		return
	}
	level := slog.LevelWarn
	if r.Level == Over {
		level = slog.LevelError
	}
	k.o.Logger.Log(context.Background(), level, "the store is short of room", append(attrs, "warnings", r.Warnings)...)
}

// Bytes writes a size for people, to three digits, in powers of 1000.
func Bytes(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	size := float64(n)
	for _, unit := range []string{"KB", "MB", "GB", "TB"} {
		size /= 1000
		switch {
		case size < 9.995:
			return strconv.FormatFloat(size, 'f', 2, 64) + " " + unit
		case size < 99.95:
			return strconv.FormatFloat(size, 'f', 1, 64) + " " + unit
		case size < 999.5:
			return strconv.FormatFloat(size, 'f', 0, 64) + " " + unit
		}
	}
	return strconv.FormatFloat(size/1000, 'f', 2, 64) + " PB"
}
