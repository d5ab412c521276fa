package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"serin/internal/rollout"
)

// loadSecondsVariable is for how many seconds each row of TestIntakeBench is
// sent; without it that test does nothing.
const loadSecondsVariable = "SERIN_LOAD_SECONDS"

// loadPlan is watched while telemetry comes in, on a page of its own: a fixed
// limit, a comparison of affected users, one of a ratio, and one of a quantile.
const loadPlan = `serin: 1
plan: part-%[1]d
timezone: UTC
scope: { pages: ["/part%[1]d/**"] }
flag: { key: part%[1]d, audience: role = admin }
calendar: { raise: ["daily 00:00-24:00"] }
stages: [ { stage: half, traffic: 50%%, bake: 48h }, { stage: full, traffic: 100%%, bake: 1h } ]
rollback: [ p1 > 1000000 over 1h, errors > +3000%% vs control over 1h, error_rate > +3000%% vs control over 1h, lcp > +3000%% vs control over 1h ]
`

// loaded is the program as load is sent to it, or the mark in its place.
type loaded struct {
	host, path string
	files      string // the directory whose size counts
	process    *os.Process
}

// loadProgram starts the program with so many rollouts under way.
func loadProgram(p *program, rollouts int) (*site, loaded) {
	p.t.Helper()
	p.serve()
	s := p.site()
	for i := range rollouts {
		s.do(s.create(fmt.Sprintf(loadPlan, i)), rollout.Start)
	}
	u, err := url.Parse(s.url)
	if err != nil {
		p.t.Fatal(err)
	}
	return s, loaded{host: u.Host, path: "/api/" + s.boot.Project + "/%s/?sentry_key=" + s.boot.PublicKey, files: p.data, process: p.running.Process}
}

// buildMark builds testdata/mark.
func buildMark(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mark")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./testdata/mark").CombinedOutput(); err != nil {
		t.Fatalf("build the mark: %v\n%s", err, out)
	}
	return path
}

// startMark starts the mark; stop ends it.
func startMark(t *testing.T, path string) (m loaded, stop func()) {
	t.Helper()
	m = loaded{path: "/%s", files: t.TempDir()}
	cmd := exec.Command(path, filepath.Join(m.files, "log"))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	m.host, m.process = lines.Text(), cmd.Process
	return m, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, which is no news
	}
}

// figures are what a load costs.
type figures struct {
	rate     float64 // values a second
	p50, p99 time.Duration
	cpu      time.Duration // processor time of one value
	peak     int64         // the largest resident memory, bytes
	disk     float64       // bytes that a value added to the files
}

// measure sends n requests of a load, after a few that nobody measures.
func (m loaded) measure(t *testing.T, l load, n, connections int, perSecond float64) figures {
	t.Helper()
	path := fmt.Sprintf(m.path, l.endpoint)
	drive(t, m.host, l.render(t, m.host, path, 1<<40, warming), connections, 0) // connections, caches, the frequent issues
	requests := l.render(t, m.host, path, 0, n)
	before, size := m.cpu(t), m.size(t)
	got := drive(t, m.host, requests, connections, perSecond)
	values := float64(n * l.values)
	slices.Sort(got.took)
	return figures{
		rate: values / got.all.Seconds(), p50: got.took[n/2], p99: got.took[n*99/100],
		cpu: time.Duration(float64(m.cpu(t)-before) / values), peak: m.peak(t), disk: float64(m.size(t)-size) / values,
	}
}

// warming is how many requests go before those that are measured.
const warming = 100

// proc reads a file of the process under /proc; "" where the system has none,
// and then what it would tell counts as 0.
func (m loaded) proc(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", m.process.Pid, name))
	if err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	return string(data)
}

// cpu is the processor time of the process so far (proc_pid_stat(5): utime and
// stime, in hundredths of a second).
func (m loaded) cpu(t *testing.T) time.Duration {
	t.Helper()
	data := m.proc(t, "stat")
	if data == "" {
		return 0
	}
	const utime, stime, tick = 11, 12, 10 * time.Millisecond // counted after the name, which may have blanks
	fields := strings.Fields(data[strings.LastIndexByte(data, ')')+1:])
	var sum time.Duration
	for _, i := range []int{utime, stime} {
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(n) * tick
	}
	return sum
}

// peak is the largest resident set so far (proc_pid_status(5): VmHWM).
func (m loaded) peak(t *testing.T) int64 {
	t.Helper()
	_, rest, told := strings.Cut(m.proc(t, "status"), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); told && err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// size is how large the files are.
func (m loaded) size(t *testing.T) (sum int64) {
	t.Helper()
	list, err := os.ReadDir(m.files)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if info, err := e.Info(); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// stop ends the program as a supervisor does.
func (p *program) stop() {
	p.t.Helper()
	if err := p.running.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Error(err)
	}
	if err := p.running.Wait(); err != nil {
		p.t.Errorf("the program ended with %v; it said %s", err, p.log)
	}
	p.running = nil
}

// most is how much more processor time than the mark an event may take in
// TestIntakeLoad. It is generous: the machine of a test does other things too.
const most = 8

// TestIntakeLoad sends each load as fast as it is answered to the real program
// and to the mark. Everything that is acknowledged is there after a kill, and
// it costs no multiple of the least that could be done.
func TestIntakeLoad(t *testing.T) {
	mark := buildMark(t)
	p := build(t)
	s, m := loadProgram(p, 3)
	const connections = 64
	want := int64(0)
	for _, tt := range []struct {
		load
		n int
	}{{errorLoad, 3000}, {vitalLoad, 800}, {beaconLoad, 800}} {
		got := m.measure(t, tt.load, tt.n, connections, 0)
		want += int64(tt.n+warming) * int64(tt.events)
		least, stop := startMark(t, mark)
		ideal := least.measure(t, tt.load, tt.n, connections, 0)
		stop()
		t.Logf("%s: %.0f/s, p99 %s, %s each; the mark %.0f/s, p99 %s, %s each", tt.name, got.rate, got.p99, got.cpu, ideal.rate, ideal.p99, ideal.cpu)
		if got.cpu > most*max(ideal.cpu, 5*time.Microsecond) {
			t.Errorf("%s: %s of processor time each, the mark takes %s", tt.name, got.cpu, ideal.cpu)
		}
	}
	if peak := m.peak(t); peak > 400<<20 {
		t.Errorf("memory rose to %d MB", peak>>20)
	}
	before := s.counters()
	p.kill()
	p.serve()
	after := p.site().counters()
	if before["counted"] != want || after["counted"] != want || after["counted:error"] != 3000+warming {
		t.Errorf("%d events were acknowledged, %d counted before the kill and %d after: %v", want, before["counted"], after["counted"], after)
	}
}

// TestIntakeBench measures the loads at the rates that the program is to bear,
// each on a new data directory, and prints rows for docs/benchmarks.md. The
// mark and the rows with many rollouts, whose memory does not grow with time,
// are sent for half as long. `make bench-intake` runs it.
func TestIntakeBench(t *testing.T) {
	seconds, err := strconv.Atoi(os.Getenv(loadSecondsVariable))
	if err != nil {
		return
	}
	mark, built := buildMark(t), build(t)
	var table bytes.Buffer
	fmt.Fprintln(&table, "| load | rollouts | asked/s | got/s | p50, p99 | memory | CPU each | bytes each | CPU to the mark | p99 to the mark |")
	fmt.Fprintln(&table, "|---|---|---|---|---|---|---|---|---|---|")
	const connections = 512
	for _, tt := range []struct {
		load
		perSecond int
	}{{errorLoad, 5000}, {vitalLoad, 20_000}, {beaconLoad, 20_000}} {
		t.Run(tt.name, func(t *testing.T) {
			requests, shorter := tt.perSecond/tt.values, max(seconds/2, 1)
			least, stop := startMark(t, mark)
			ideal := least.measure(t, tt.load, requests*shorter, connections, float64(requests))
			stop()
			row := func(rollouts string, f figures) {
				fmt.Fprintf(&table, "| %s | %s | %d | %.0f | %.1f ms, %.0f ms | %d MB | %.0f µs | %.0f | %.2f | %.2f |\n", tt.name, rollouts, tt.perSecond, f.rate, ms(f.p50), ms(f.p99),
					f.peak>>20, float64(f.cpu.Nanoseconds())/1000, f.disk, float64(f.cpu)/float64(ideal.cpu), float64(f.p99)/float64(ideal.p99))
			}
			row("the mark", ideal)
			for _, long := range []struct{ rollouts, seconds int }{{1, seconds}, {50, shorter}} {
				n := long.rollouts
				t.Run(fmt.Sprintf("%d rollouts", n), func(t *testing.T) {
					p := &program{t: t, path: built.path, listen: built.listen, data: t.TempDir()}
					_, m := loadProgram(p, n)
					row(strconv.Itoa(n), m.measure(t, tt.load, requests*long.seconds, connections, float64(requests)))
					p.stop()
				})
			}
		})
	}
	t.Logf("\n%s", table.String())
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
