package forward

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var monday = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// testQueue opens a queue and counts what it loses.
func testQueue(t testing.TB, dir string, most int64) (*queue, map[string]int) {
	t.Helper()
	lost := map[string]int{}
	q, err := openQueue(dir, most, func(reason string, n int) { lost[reason] += n })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.close() })
	return q, lost
}

func add(t testing.TB, q *queue, body string) {
	t.Helper()
	if err := q.append(meta{At: monday, Endpoint: "envelope", Key: "k"}, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

// rest takes everything off.
func rest(t testing.TB, q *queue) (out []string) {
	t.Helper()
	for {
		batch, err := q.take(3, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) == 0 {
			return out
		}
		for _, e := range batch {
			out = append(out, string(e.body))
		}
		q.done(batch)
	}
}

// TestQueueOrder: whatever is appended, taken, reopened without a close and
// synced in whatever order comes out once, in order.
func TestQueueOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "queue")
		if err != nil {
			t.Fatal(err)
		}
		q, lost := testQueue(t, dir, 256<<10) // segments of 8 KiB
		var want, got []string
		for i := range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 7).Draw(rt, "step") {
			case 0:
				q, lost = testQueue(t, dir, 256<<10)
			case 1:
				if err := q.sync(); err != nil {
					rt.Fatal(err)
				}
			case 2, 3:
				batch, err := q.take(rapid.IntRange(1, 5).Draw(rt, "n"), 1<<20)
				if err != nil {
					rt.Fatal(err)
				}
				for _, e := range batch {
					got = append(got, string(e.body))
				}
				q.done(batch)
			default:
				body := fmt.Sprintf("%d %s", i, bytes.Repeat([]byte{'x'}, rapid.IntRange(0, 3000).Draw(rt, "size")))
				want = append(want, body)
				add(t, q, body)
			}
			if n, _, _ := q.size(); n != len(want)-len(got) {
				rt.Fatalf("says %d wait, want %d", n, len(want)-len(got))
			}
		}
		got = append(got, rest(t, q)...)
		if diff := cmp.Diff(want, got); diff != "" || len(lost) > 0 {
			rt.Fatalf("lost %v (-want +got):\n%s", lost, diff)
		}
	})
}

func TestQueueFull(t *testing.T) {
	q, lost := testQueue(t, t.TempDir(), 64<<10)
	var all []string
	for i := range 200 {
		all = append(all, fmt.Sprintf("%03d%s", i, bytes.Repeat([]byte{'x'}, 1000)))
		add(t, q, all[i])
	}
	if _, size, _ := q.size(); size > 64<<10 {
		t.Errorf("holds %d bytes, at most %d", size, 64<<10)
	}
	got := rest(t, q)
	if len(got) < 40 || len(got)+lost[lostFull] != len(all) {
		t.Errorf("%d came out and %d were lost, of %d", len(got), lost[lostFull], len(all))
	}
	if diff := cmp.Diff(all[len(all)-len(got):], got); diff != "" {
		t.Errorf("not the newest (-want +got):\n%s", diff)
	}
	if err := q.sync(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(q.dir, "*"+segmentSuffix)); len(left) > 0 {
		t.Errorf("an empty queue has files: %v", left)
	}
	add(t, q, string(make([]byte, 65<<10)))
	if n, _, _ := q.size(); n != 0 || lost[lostFull]+len(got) != len(all)+1 {
		t.Errorf("a record over the bound: %d wait, lost %v", n, lost)
	}
}

// TestQueueDroppedInFlight: a batch under way may be dropped; it is not taken off twice.
func TestQueueDroppedInFlight(t *testing.T) {
	q, lost := testQueue(t, t.TempDir(), 64<<10)
	add(t, q, "first")
	batch, err := q.take(1, 1<<20)
	if err != nil || len(batch) != 1 {
		t.Fatal(batch, err)
	}
	for range 100 {
		add(t, q, string(make([]byte, 1000)))
	}
	before, _, _ := q.size()
	if dropped := q.done(batch); dropped != 1 {
		t.Errorf("done tells of %d dropped, want 1", dropped)
	}
	if n, _, _ := q.size(); n != before || n+lost[lostFull] != 101 {
		t.Errorf("%d wait, before %d, lost %v", n, before, lost)
	}
}

// TestQueueDamage cuts and flips the files at every place: nothing wrong comes
// out, what was before the damage in its segment does, and so do later segments.
func TestQueueDamage(t *testing.T) {
	dir := t.TempDir()
	q, _ := testQueue(t, dir, 1<<20)
	for i := range 3 {
		add(t, q, fmt.Sprintf("body %d", i))
	}
	path := q.path(q.segments[0].id)
	q, _ = testQueue(t, dir, 1<<20) // appends to a new segment
	add(t, q, "later")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(filepath.Join(dir, positionFile))
		q, _ := testQueue(t, dir, 1<<20)
		batch, err := q.take(10, 1<<20)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		last := ""
		for i, e := range batch {
			if last = string(e.body); last != "later" && last != fmt.Sprintf("body %d", i) {
				t.Fatalf("%s: %q came out at %d", what, last, i)
			}
		}
		if last != "later" {
			t.Errorf("%s: what came later is not there", what)
		}
	}
	for i := range whole {
		check(fmt.Sprintf("cut at %d", i), whole[:i])
		if i >= len(magic) {
			flipped := bytes.Clone(whole)
			flipped[i] ^= 0x40
			check(fmt.Sprintf("flipped at %d", i), flipped)
		}
	}
}

// FuzzReadRecord: no file makes the reader fail or come back with what was not written.
func FuzzReadRecord(f *testing.F) {
	good, err := encode(meta{At: monday, Endpoint: "envelope"}, []byte("body"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, int64(0))
	f.Add(good[:len(good)-1], int64(0))
	f.Add(append(bytes.Clone(good), good...), int64(len(good)))
	f.Fuzz(func(t *testing.T, data []byte, offset int64) {
		if offset < 0 || offset > int64(len(data)) {
			return
		}
		m, body, next, err := readRecord(bytes.NewReader(data), offset, int64(len(data)))
		n := countRecords(bytes.NewReader(data), offset, int64(len(data)))
		if err != nil {
			return
		}
		if next <= offset || next > int64(len(data)) || n < 1 {
			t.Fatalf("record of %d bytes at %d ends at %d, %d counted", len(data), offset, next, n)
		}
		again, err := encode(m, body)
		if err != nil {
			t.Fatal(err)
		}
		if _, b, _, err := readRecord(bytes.NewReader(again), 0, int64(len(again))); err != nil || !bytes.Equal(b, body) {
			t.Fatalf("read again: %q, %v", b, err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	q, _ := testQueue(b, b.TempDir(), 64<<20)
	body := bytes.Repeat([]byte("telemetry "), 400)
	b.ReportAllocs()
	for b.Loop() {
		add(b, q, string(body))
	}
}
