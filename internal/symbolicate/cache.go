package symbolicate

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"serin/internal/sourcemap"
	"serin/internal/store"
)

// cacheBytes bounds the source maps that are kept parsed, by their unpacked
// size. A parsed map takes about as much again.
const cacheBytes = 64 << 20

// cache keeps parsed maps, the last used first. Maps are named by their hash,
// so that a file uploaded again is read again.
type cache struct {
	mu    sync.Mutex
	byKey map[string]*list.Element
	used  list.List // of entry
	bytes int64
}

type entry struct {
	key   string
	m     *sourcemap.Map
	bytes int64
}

func newCache() *cache { return &cache{byKey: map[string]*list.Element{}} }

func (c *cache) get(key string) *sourcemap.Map {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.byKey[key]
	if el == nil {
		return nil
	}
	c.used.MoveToFront(el)
	return el.Value.(entry).m
}

func (c *cache) put(e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey[e.key] != nil {
		return
	}
	c.byKey[e.key] = c.used.PushFront(e)
	c.bytes += e.bytes
	for c.bytes > cacheBytes && c.used.Len() > 1 {
		last := c.used.Remove(c.used.Back()).(entry)
		delete(c.byKey, last.key)
		c.bytes -= last.bytes
	}
}

// load returns the parsed map of a file.
func (s *Symbolicator) load(ctx context.Context, a store.Artifact) (*sourcemap.Map, error) {
	if m := s.maps.get(a.Hash); m != nil {
		return m, nil
	}
	packed, err := s.store.ArtifactData(ctx, a.Project, a.Release, a.Name)
	if err != nil {
		return nil, err
	}
	data, err := unpack(packed)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	m, err := sourcemap.Parse(data)
	if err != nil {
		return nil, err
	}
	s.maps.put(entry{a.Hash, m, int64(len(data))})
	return m, nil
}
