package evidence

import (
	"cmp"
	"maps"
	"slices"
	"sort"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
)

// What is here cuts loads into the closed blocks of OddsE (docs/statistics.md):
// of a metric's minute cells, by the clock and by allocation interval.

// blockKey orders blocks by time: attempts and their intervals follow each other,
// and what arrives is of the interval that is open.
type blockKey struct {
	attempt, interval int
	begin, end        int64 // Unix ms
}

func (k blockKey) compare(b blockKey) int {
	return cmp.Or(cmp.Compare(k.attempt, b.attempt), cmp.Compare(k.interval, b.interval), cmp.Compare(k.begin, b.begin))
}

// over reports whether nothing can be added to a block at a time, Unix ms: its
// time has passed, or its interval.
func (r *rollout) over(k blockKey, now int64) bool {
	return k.end <= now || k.attempt < r.target.Attempt || k.interval < r.interval()
}

// fineMS is for how long blocks last a minute after the shares changed, when it
// matters most how soon something is found; afterwards they last five. Both are
// of the clock and fixed before they begin, which is what OddsE asks for.
const fineMS = hourMS

// fine reports whether an interval of the attempt is in its first hour at a time,
// Unix ms.
func (r *rollout) fine(attempt, interval int, at int64) bool {
	return attempt == r.target.Attempt && interval >= 0 && interval < len(r.target.Intervals) &&
		at/blockMS*blockMS < toMS(r.target.Intervals[interval].From)/blockMS*blockMS+fineMS
}

// blockOf is the block that a cell belongs to; blocks are cut at interval changes.
func (r *rollout) blockOf(c *cell) blockKey {
	length := int64(blockMS)
	if r.fine(c.attempt, c.interval, c.start()) {
		length = minuteMS
	}
	begin := c.start() / length * length
	return blockKey{c.attempt, c.interval, begin, begin + length}
}

// blockSums is what both arms did in one block.
type blockSums struct {
	sketch [2]*stats.Sketch
	bad, n [2]int64
}

// blocksAfter groups the cells of a series pair by block, those that follow after
// and are over by now.
func (r *rollout) blocksAfter(metric string, after blockKey, now int64, visit func(b *blockSums, side int, c *cell), into map[blockKey]*blockSums) {
	for i, g := range [2]judge.Group{judge.AssignedNew, judge.AssignedOld} {
		s := r.peek(metric, int(g))
		if s == nil {
			continue
		}
		at := sort.Search(len(s.hours), func(i int) bool { return (s.hours[i].index+1)*hourMS > after.begin })
		for _, h := range s.hours[at:] {
			for _, c := range h.cells {
				k := r.blockOf(c)
				if k.compare(after) <= 0 || !r.over(k, now) {
					continue
				}
				if into[k] == nil {
					into[k] = &blockSums{}
				}
				visit(into[k], i, c)
			}
		}
	}
}

func sortedBlocks(m map[blockKey]*blockSums) []blockKey {
	return slices.SortedFunc(maps.Keys(m), blockKey.compare)
}

// stageOf is the stage of a metric's closed block, false for blocks outside the
// attempt and before a revision let the metric's comparisons begin empty.
func (r *rollout) stageOf(metric string, k blockKey) (int, bool) {
	if k.interval < r.since(metric) || k.attempt != r.target.Attempt || k.interval < 0 || k.interval >= len(r.target.Intervals) {
		return 0, false
	}
	return r.target.Intervals[k.interval].Stage, true
}

// closeUpTo notes that blocks which are over are closed: what arrives later counts
// after.
func (r *rollout) closeUpTo(t *testState, keys []blockKey, now int64) {
	t.looked = now / minuteMS
	if len(keys) > 0 {
		t.newest = keys[len(keys)-1]
	}
	last := now / blockMS * blockMS
	if r.fine(r.target.Attempt, r.interval(), now) {
		last = now / minuteMS * minuteMS
	}
	r.closed = max(r.closed, last-1)
}

// closeBlocks closes the blocks of a quantile (docs/statistics.md, OddsE):
// the threshold is the control's quantile over everything before the block.
func (r *rollout) closeBlocks(d *definition, t *testState, now int64) {
	if now/minuteMS <= t.looked {
		return
	}
	found := map[blockKey]*blockSums{}
	r.blocksAfter(d.m.Name, t.newest, now, func(b *blockSums, i int, c *cell) {
		if b.sketch[i] == nil {
			b.sketch[i] = new(stats.Sketch)
		}
		b.sketch[i].Merge(c.values())
	}, found)
	shifts := judge.Shifts(r.target.Plan, d.m.Name)
	keys := sortedBlocks(found)
	for _, k := range keys {
		b := found[k]
		stage, ours := r.stageOf(d.m.Name, k)
		if ours && t.ready {
			for _, s := range shifts {
				t.shifted[s] = append(t.shifted[s], stats.Block{
					Interval: k.interval, Stage: stage,
					BadNew: b.sketch[0].Above(t.threshold + s), New: b.sketch[0].Count(),
					BadOld: b.sketch[1].Above(t.threshold), Old: b.sketch[1].Count(),
				})
			}
		}
		t.control.Merge(b.sketch[1])
		t.threshold, t.ready = t.control.QuantileBucket(d.m.Q)
	}
	r.closeUpTo(t, keys, now)
}

// closeRatio closes the blocks of a share: bad of all.
func (r *rollout) closeRatio(d *definition, t *testState, now int64) {
	if now/minuteMS <= t.looked {
		return
	}
	top, bottom := r.parts(d)
	if bottom == "" {
		return
	}
	found := map[blockKey]*blockSums{}
	r.blocksAfter(top, t.newest, now, func(b *blockSums, i int, c *cell) { b.bad[i] += c.count }, found)
	count := func(metric string, of func(begin int64) bool) {
		r.blocksAfter(metric, t.newest, now, func(b *blockSums, i int, c *cell) {
			if of == nil || of(r.blockOf(c).begin) {
				b.n[i] += c.count
			}
		}, found)
	}
	if bottom != requestsName {
		count(bottom, nil)
	} else {
		// Which of the two it is depends on what came before a block, so that a
		// restart finds the same.
		since := r.first(requestsName)
		count(requestsName, func(begin int64) bool { return begin > since })
		count(requestsPages, func(begin int64) bool { return begin <= since || since == 0 })
	}
	keys := sortedBlocks(found)
	for _, k := range keys {
		stage, ours := r.stageOf(d.m.Name, k)
		if !ours {
			continue
		}
		b := found[k]
		for i := range b.bad {
			b.bad[i] = min(b.bad[i], b.n[i])
			if d.m.UpGood && top != crashSeries {
				b.bad[i] = b.n[i] - b.bad[i]
			}
		}
		t.blocks = append(t.blocks, stats.Block{Interval: k.interval, Stage: stage, BadNew: b.bad[0], New: b.n[0], BadOld: b.bad[1], Old: b.n[1]})
	}
	r.closeUpTo(t, keys, now)
}

// parts names the series of a share's numerator and denominator.
func (r *rollout) parts(d *definition) (top, bottom string) {
	switch {
	case d.m.Kind == plan.Ratio:
		return d.m.Of, d.m.Per
	case d.m.Name == "logins":
		return d.m.Name, d.m.Name + allSuffix
	case d.m.Name == "crash_free":
		return crashSeries, d.m.Name + allSuffix // bad already
	}
	return "", ""
}

// The metric that page loads stand in for until the first of it arrives, and their
// series.
const (
	requestsName  = "requests"
	requestsPages = requestsName + pagesSuffix
)

// requests is the series of a denominator: page loads stand in for requests
// where no requests ever arrived.
func (r *rollout) requests(metric string) string {
	if metric == requestsName && r.first(metric) == 0 {
		return requestsPages
	}
	return metric
}

// first is when the first event of a metric arrived, Unix ms; 0 = none did.
func (r *rollout) first(metric string) (at int64) {
	for g := range 3 {
		if s := r.peek(metric, g); s != nil && len(s.hours) > 0 && (at == 0 || s.hours[0].first < at) {
			at = s.hours[0].first
		}
	}
	return at
}
