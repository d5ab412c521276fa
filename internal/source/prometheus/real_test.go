package prometheus

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"serin/internal/outbound"
	"serin/internal/source"
)

// TestRealPrometheus asks the program itself, where it is installed.
func TestRealPrometheus(t *testing.T) {
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: { scrape_interval: 1h }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=error")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	c, err := outbound.NewClient(outbound.Options{Guard: outbound.Guard{Allow: outbound.Private}, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{URL: "http://" + address, Client: c})
	if err != nil {
		t.Fatal(err)
	}
	queries := []source.Query{
		{Text: "scalar(vector(0.5))"},
		{Text: `label_replace(vector(1), "tenant", "a", "", "") or label_replace(vector(2), "tenant", "b", "", "")`},
		{Text: "vector(0)/0"}, {Text: "no_such_metric"}, {Text: "up{"},
	}
	var got []source.Answer
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if got = s.Fetch(t.Context(), queries); got[0].Err == nil {
			break
		}
		select {
		case <-time.After(20 * time.Millisecond): // it starts up
		case <-t.Context().Done():
		}
	}
	want := []string{"0.5  1", `2 {tenant="b"} 2`, "the query found no finite value: the answer has no value", "the query found no series: the answer has no value"}
	for i, text := range want {
		a := got[i]
		said := fmt.Sprintf("%v %s %d", a.Value.Number, a.Value.Series, a.Value.Count)
		if a.Err != nil {
			said = a.Err.Error()
		}
		if said != text {
			t.Errorf("%s: got %q, want %q", queries[i].Text, said, text)
		}
	}
	if got[4].Err == nil {
		t.Errorf("a query that is none: %+v", got[4])
	}
}
