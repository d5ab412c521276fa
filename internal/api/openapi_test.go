package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite docs/reference/openapi.json")

func number(n int64) string { return strconv.FormatInt(n, 10) }

// TestOpenAPI compares the document with the one in docs/reference.
func TestOpenAPI(t *testing.T) {
	const file = "../../docs/reference/openapi.json"
	a := newRig(t).send(http.MethodGet, "/openapi.json", "", nil)
	if a.status != 200 {
		t.Fatalf("got %d", a.status)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, a.body, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("%s is not what the code says; rewrite it with: go test ./internal/api -run OpenAPI -update (-file +code)\n%s", file, d)
	}
}
