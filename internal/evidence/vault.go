package evidence

import (
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/s2"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// contents are what a page load holds beside its keys, and the JSON of its row
// in the store.
type contents struct {
	Load   *telemetry.Event `json:"load,omitempty"` // nil: only vitals came so far
	Places []place          `json:"places,omitempty"`
	// Waiting are vitals without a user that came before their load.
	Waiting *telemetry.Event `json:"waiting,omitempty"`
	// Seen is the load as its vitals tell of it, for panels, while there is no Load.
	Seen *telemetry.Event `json:"seen,omitempty"`
	Keys []string         `json:"keys,omitempty"`
}

// vault keeps the contents of a page load small. Most loads are written with
// all of their vitals and never looked at again, but all of them stay for ten
// minutes, and open an event takes several times the memory of its JSON,
// compressed. So the contents are open from their first use to the end of the
// commit.
type vault struct {
	loaded, waits bool      // whether there is a Load, and a Waiting
	packed        []byte    // the JSON compressed, as of the last seal
	dict          *s2.Dict  // what packed is read with, nil = nothing
	contents      *contents // nil while they are packed
}

func newVault(c contents) vault {
	return vault{loaded: c.Load != nil, waits: c.Waiting != nil, contents: &c}
}

// open returns the contents, for reading and changing.
func (v *vault) open() *contents {
	if v.contents == nil {
		v.contents = &contents{}
		if data, err := unpack(v.packed, v.dict); err == nil { // always: seal has made it
			_ = json.Unmarshal(data, v.contents)
		}
		v.packed, v.dict = nil, nil
	}
	return v.contents
}

// peek returns the contents for reading, and leaves them packed.
func (v vault) peek() *contents { return v.open() }

// seal packs the contents away and returns their JSON.
func (v *vault) seal(p *packer) ([]byte, error) {
	data, err := json.Marshal(v.open())
	if err != nil {
		return nil, err
	}
	v.packed, v.dict = p.pack(data)
	v.contents = nil
	return data, nil
}

// concerns reports whether the contents are of a user who is to be forgotten.
func (v vault) concerns(f *store.Forget) bool {
	c := v.peek()
	return c.Load != nil && f.Concerns(*c.Load) || c.Waiting != nil && f.Concerns(*c.Waiting) ||
		c.Seen != nil && f.Concerns(*c.Seen)
}

// restore makes a page load of its row in the store. anonymous takes the user
// out of the load, for a server that stores no ids.
func (l *loads) restore(row store.Pending, anonymous bool) error {
	var c contents
	if err := json.Unmarshal(row.Data, &c); err != nil {
		return fmt.Errorf("%w: page load %s: %w", errCell, row.ID, err)
	}
	if anonymous && c.Load != nil {
		c.Load.User = "" // the id that the arm was found by is gone: what was reported remains
	}
	p := &pageLoad{ID: row.ID, Due: row.Due, vault: newVault(c)}
	for _, text := range c.Keys {
		p.keys = append(p.keys, newJoinKey(text).loadKey)
	}
	if _, err := p.vault.seal(&l.packer); err != nil {
		return fmt.Errorf("%w: page load %s: %w", errCell, row.ID, err)
	}
	l.put(p)
	return nil
}
