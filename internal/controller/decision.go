package controller

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/klauspost/compress/zstd"

	"serin/internal/rollout"
)

// What a decision rested on is stored as the JSON of rollout.Input in one
// Zstandard frame (RFC 8878), see docs/formats/journal.md.

// maxInput bounds what a stored input may unpack to.
const maxInput = 16 << 20

// codec packs and unpacks inputs. It may be used by many goroutines.
type codec struct {
	w *zstd.Encoder
	r *zstd.Decoder
}

func newCodec() (codec, error) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression),
		zstd.WithWindowSize(128<<10), zstd.WithEncoderCRC(true))
	if err != nil {
		return codec{}, fmt.Errorf("make a compressor: %w", err)
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxInput))
	if err != nil {
		return codec{}, fmt.Errorf("make a decompressor: %w", err)
	}
	return codec{w, r}, nil
}

// keep is the stored form of an input. One that cannot be written is logged
// and left out: no decision waits for its explanation.
func (w *worker) keep(in rollout.Input) []byte {
	data, err := w.c.codec.pack(in)
	if err != nil {
		w.c.log.Error("keep what a decision rests on", "rollout", w.id, "err", err)
	}
	return data
}

func (c codec) pack(in rollout.Input) ([]byte, error) {
	data, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return c.w.EncodeAll(data, nil), nil
}

func (c codec) unpack(stored []byte) (in rollout.Input, err error) {
	data, err := c.r.DecodeAll(stored, nil)
	if err != nil {
		return in, fmt.Errorf("unpack: %w", err)
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return in, fmt.Errorf("decode: %w", err)
	}
	return in, nil
}

// differences names what the journal says otherwise than a decision computed
// again, one line for each field.
func differences(journal, computed []rollout.Event) (out []string) {
	for i := range max(len(journal), len(computed)) {
		switch {
		case i >= len(journal):
			out = append(out, fmt.Sprintf("%s would be journalled too", computed[i].Type))
		case i >= len(computed):
			out = append(out, fmt.Sprintf("%s at position %d would not be journalled", journal[i].Type, journal[i].Pos))
		default:
			was, is := fields(journal[i]), fields(computed[i])
			for _, name := range slices.Sorted(maps.Keys(merged(was, is))) {
				if was[name] != is[name] {
					out = append(out, fmt.Sprintf("%s at position %d: %s is %s in the journal, %s now", journal[i].Type, journal[i].Pos, name, orNone(was[name]), orNone(is[name])))
				}
			}
		}
	}
	return out
}

// fields are an event's fields as the journal writes them.
func fields(e rollout.Event) map[string]string {
	raw := map[string]json.RawMessage{}
	if data, err := json.Marshal(e); err == nil {
		_ = json.Unmarshal(data, &raw) // it was written in the line before
	}
	out := make(map[string]string, len(raw))
	for name, value := range raw {
		out[name] = string(value)
	}
	return out
}

func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
