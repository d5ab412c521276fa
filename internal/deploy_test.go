package internal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"serin/internal/config"
)

// TestDeployFiles reads what people install serin with: every variable is one
// of the configuration, every YAML document parses, the configuration in the
// Kubernetes manifest is one, and the image is built with go.mod's Go.
func TestDeployFiles(t *testing.T) {
	var zero config.Config
	variable := regexp.MustCompile(`SERIN_[A-Z_]+`)
	err := filepath.WalkDir("../deploy", func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var environ []string
		for _, name := range variable.FindAllString(string(text), -1) {
			environ = append(environ, name+"=x")
		}
		if unknown := zero.Unknown(environ); len(unknown) > 0 {
			t.Errorf("%s: no setting has the variable %s", file, strings.Join(unknown, ", "))
		}
		if strings.HasSuffix(file, ".yaml") {
			manifests(t, file, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile("../deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)[1]
	if !bytes.Contains(image, append([]byte("golang:"), want...)) {
		t.Errorf("deploy/Dockerfile does not build with golang:%s", want)
	}
}

func manifests(t *testing.T, file string, text []byte) {
	t.Helper()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc struct {
			Kind string
			Data map[string]string
		}
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
			return
		}
		if source, ok := doc.Data["serin.yaml"]; ok {
			path := filepath.Join(t.TempDir(), "serin.yaml")
			if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(path, func(string) string { return "" }); err != nil {
				t.Errorf("%s: the configuration in it: %v", file, err)
			}
		}
	}
}
