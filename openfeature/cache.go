package openfeature

import (
	"container/list"
	"sync"
	"time"
)

// cache keeps the last answers, the least recently used one going first.
type cache struct {
	size int

	mu      sync.Mutex // guards the fields below
	order   *list.List // of *entry, latest use first
	entries map[string]*list.Element
}

type entry struct {
	key        string
	answer     *answer // never changed
	at         time.Time
	generation uint64 // of the configuration it was asked under
}

func newCache(size int) *cache {
	return &cache{size: size, order: list.New(), entries: map[string]*list.Element{}}
}

func (c *cache) get(key string) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.entries[key]
	if !ok {
		return entry{}, false
	}
	c.order.MoveToFront(el)
	return *el.Value.(*entry), true
}

// put keeps e, unless an answer asked under a later configuration is there.
func (c *cache) put(e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.entries[e.key]; ok {
		if old := el.Value.(*entry); old.generation <= e.generation {
			*old = e
		}
		c.order.MoveToFront(el)
		return
	}
	c.entries[e.key] = c.order.PushFront(&e)
	if len(c.entries) > c.size {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.entries, last.Value.(*entry).key)
	}
}
