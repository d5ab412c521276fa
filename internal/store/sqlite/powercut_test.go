package sqlite

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// powerCommits names the variable of how many commits TestPowerCut looks at.
const powerCommits = "SERIN_POWER_CUT_COMMITS"

// TestPowerCut records every system call with which a writing process changes
// its files, and cuts the power: it builds the files anew as they stand on a
// disk that kept what was synced, and of what was not synced nothing, or an
// arbitrary part, or pieces of 512 bytes of it. What the process had
// acknowledged by then must be there. Without syncs it is not, and the test
// says so: synchronous=OFF loses acknowledged commits.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: no power is cut")
	}
	if out, err := exec.Command(strace, "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: no power is cut: %v: %s", err, out)
	}
	n := 6
	if s := os.Getenv(powerCommits); s != "" {
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	// Small logs, so that a few commits see several checkpoints.
	t.Run("as it is", func(t *testing.T) {
		cuts, faults := powerCuts(t, strace, "PRAGMA wal_autocheckpoint = 30", n)
		for _, fault := range faults {
			t.Error(fault)
		}
		if cuts != 3*n {
			t.Errorf("the power was cut %d times, want %d", cuts, 3*n)
		}
	})
	t.Run("without syncs", func(t *testing.T) {
		cuts, faults := powerCuts(t, strace, "PRAGMA synchronous = OFF", 3)
		if len(faults) == 0 {
			t.Errorf("%d cuts lost nothing: the test does not see what it is for", cuts)
		}
	})
}

// powerCuts runs the child for n commits and cuts the power after each
// acknowledgement in three ways.
func powerCuts(t *testing.T, strace, pragma string, n int) (cuts int, faults []string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(t.TempDir(), "calls")
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-qq", "-y", "-xx", "-s", "100000", "-e", "signal=none",
		"-e", "trace=pwrite64,write,ftruncate,fsync,fdatasync,unlink,unlinkat", "-o", log, os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashPragma+"="+pragma, fmt.Sprintf("%s=%d", crashCommits, n))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("trace the child: %v: %s", err, out)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rnd := rand.New(rand.NewPCG(1, 2))
	disk := disk{dir: dir, files: map[string]*diskFile{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		acknowledged := disk.apply(t, lines.Text())
		if acknowledged == 0 {
			continue
		}
		for way := range 3 {
			cuts++
			after := t.TempDir()
			disk.cut(t, after, way, rnd)
			for _, fault := range crashFaults(after, acknowledged) {
				faults = append(faults, fmt.Sprintf("after commit %d, way %d: %s", acknowledged, way, fault))
			}
			if err := os.RemoveAll(after); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if syncs := disk.files["serin.db"].syncs; len(faults) == 0 && syncs < 4 {
		t.Errorf("the database was synced %d times only: the log was not checkpointed", syncs)
	}
	return cuts, faults
}

// disk is what a disk holds of the files below dir, by their names.
type disk struct {
	dir   string
	files map[string]*diskFile
}

// diskFile is what was synced and what was written since.
type diskFile struct {
	synced []byte
	since  []diskWrite
	syncs  int // those that had something to sync
}

// diskWrite is data at an offset or, without data, a new length.
type diskWrite struct {
	at   int64
	data []byte
}

var (
	// call is a line of strace: process, name, descriptor with path, the rest.
	call    = regexp.MustCompile(`^\d+ +(pwrite64|write|ftruncate|fsync|fdatasync)\((\d+)<([^>]*)>(?:, )?(.*)$`)
	removed = regexp.MustCompile(`^\d+ +unlink(?:at)?\(.*"((?:\\x[0-9a-f]{2})+)"`)
	written = regexp.MustCompile(`^"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?, (\d+)(?:, (\d+))?`)
)

// apply carries out one call. It returns the number that the child told on
// its standard output as acknowledged, else 0.
func (d *disk) apply(t *testing.T, line string) (acknowledged int64) {
	t.Helper()
	if m := removed.FindStringSubmatch(line); m != nil {
		delete(d.files, filepath.Base(plainText(t, m[1])))
		return 0
	}
	m := call.FindStringSubmatch(line)
	if m == nil {
		return 0
	}
	file := plainText(t, m[3])
	if m[1] == "write" && m[2] == "1" {
		w := written.FindStringSubmatch(m[4])
		n, err := strconv.ParseInt(strings.TrimSpace(plainText(t, w[1])), 10, 64)
		if err != nil {
			t.Fatalf("the child said %q", m[4])
		}
		return n
	}
	if filepath.Dir(file) != d.dir || strings.HasSuffix(file, "-shm") { // -shm is made anew after a crash
		return 0
	}
	f := d.files[filepath.Base(file)]
	if f == nil {
		f = &diskFile{}
		d.files[filepath.Base(file)] = f
	}
	switch m[1] {
	case "fsync", "fdatasync":
		if len(f.since) > 0 {
			f.syncs++
		}
		for _, w := range f.since {
			f.synced = w.on(f.synced)
		}
		f.since = nil
	case "ftruncate":
		size, err := strconv.ParseInt(strings.TrimSuffix(strings.Fields(m[4])[0], ")"), 0, 64)
		if err != nil {
			t.Fatalf("ftruncate: %q", m[4])
		}
		f.since = append(f.since, diskWrite{at: size})
	default:
		w := written.FindStringSubmatch(m[4])
		if w == nil || w[2] != "" || m[1] == "write" {
			t.Fatalf("a write that cannot be read: %.100s", line)
		}
		at, err := strconv.ParseInt(w[4], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		f.since = append(f.since, diskWrite{at, []byte(plainText(t, w[1]))})
	}
	return 0
}

// on puts a write into content.
func (w diskWrite) on(content []byte) []byte {
	if w.data == nil {
		return append(content, make([]byte, max(w.at-int64(len(content)), 0))...)[:w.at]
	}
	end := w.at + int64(len(w.data))
	if grow := end - int64(len(content)); grow > 0 {
		content = append(content, make([]byte, grow)...)
	}
	copy(content[w.at:end], w.data)
	return content
}

// cut writes the files below dir as they stand without power: way 0 keeps
// nothing unsynced, 1 an arbitrary part of the writes, 2 of their sectors.
func (d *disk) cut(t *testing.T, dir string, way int, rnd *rand.Rand) {
	t.Helper()
	const sector = 512
	for name, f := range d.files {
		content := append([]byte(nil), f.synced...)
		for _, w := range f.since {
			switch {
			case way == 0 || rnd.IntN(2) == 0:
			case way == 1 || len(w.data) <= sector:
				content = w.on(content)
			default:
				for i := 0; i < len(w.data); i += sector {
					if rnd.IntN(2) == 0 {
						content = diskWrite{w.at + int64(i), w.data[i:min(i+sector, len(w.data))]}.on(content)
					}
				}
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// plainText reads strace's \xNN.
func plainText(t *testing.T, s string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return string(b)
}
