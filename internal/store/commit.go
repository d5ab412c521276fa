package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"serin/internal/rollout"
	"serin/internal/telemetry"
)

// ErrInvalid is the cause of an error about a write that no adapter may
// accept whatever is stored: a programming error of the caller.
var ErrInvalid = errors.New("invalid write")

// Validate reports whether c is well formed: it names its rollout, its events
// have the positions Expect+1, Expect+2 ..., and its state is the one after
// the last of them. Every adapter calls it before it writes.
func (c Commit) Validate() error {
	if c.State.ID == "" {
		return fmt.Errorf("%w: commit: the state has no rollout id", ErrInvalid)
	}
	if c.Expect < 0 {
		return fmt.Errorf("%w: commit %s: expected position %d is negative", ErrInvalid, c.State.ID, c.Expect)
	}
	if len(c.Input) > 0 && len(c.Events) == 0 {
		return fmt.Errorf("%w: commit %s: an input without an event", ErrInvalid, c.State.ID)
	}
	for i, e := range c.Events {
		if want := c.Expect + int64(i) + 1; e.Pos != want {
			return fmt.Errorf("%w: commit %s: event %d has position %d, want %d", ErrInvalid, c.State.ID, i, e.Pos, want)
		}
	}
	if want := c.Expect + int64(len(c.Events)); c.State.Pos != want {
		return fmt.Errorf("%w: commit %s: the state is at position %d, its journal would be at %d",
			ErrInvalid, c.State.ID, c.State.Pos, want)
	}
	return nil
}

// Supersedes reports whether f, written by the rollout named writer, may
// replace the stored record old; nil means yes, else the error is ErrConflict.
// A position older than the one that the same owner wrote is refused (the
// fence against a writer that lost its lease), and so is a flag that another
// rollout owns, unless that one is over.
func (f FlagRecord) Supersedes(old FlagRecord, writer string, ownerOver bool) error {
	switch {
	case old.Owner == "":
		return nil
	case old.Owner != writer && !ownerOver:
		return fmt.Errorf("%w: flag %s is owned by rollout %s", ErrConflict, f.Definition.Key, old.Owner)
	case old.Owner == writer && f.Pos < old.Pos:
		return fmt.Errorf("%w: flag %s was written at position %d of %s, the write at %d is older",
			ErrConflict, f.Definition.Key, old.Pos, writer, f.Pos)
	}
	return nil
}

// Over reports whether a rollout with status s gives up its flag: done and
// cancelled ones do.
func Over(s rollout.Status) bool { return s == rollout.Done || s == rollout.Cancelled }

// SourceHash returns the hex SHA-256 of a plan's source, its name in PlanSource.
func SourceHash(source []byte) string {
	sum := sha256.Sum256(source)
	return hex.EncodeToString(sum[:])
}

// CleanEvent returns e with numbers that JSON cannot hold (NaN, infinities)
// left out, so that one broken sample never keeps a batch from being stored.
// It does not change e's map.
func CleanEvent(e telemetry.Event) telemetry.Event {
	for _, v := range []*float64{&e.DurationMS, &e.Value, &e.SampleRate} {
		if !finite(*v) {
			*v = 0
		}
	}
	for _, v := range e.Measurements {
		if finite(v) {
			continue
		}
		kept := make(map[string]float64, len(e.Measurements))
		for k, v := range e.Measurements {
			if finite(v) {
				kept[k] = v
			}
		}
		e.Measurements = kept
		break
	}
	return e
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
