package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"
)

//go:embed static
var staticFS embed.FS

// staticFiles serves the embedded files below /static/{hash}/. The hash is
// over all files, so relative addresses in CSS and module imports stay plain
// and every answer may be kept for ever. It is immutable.
type staticFiles struct {
	prefix string // "/static/<hash>/"
	files  map[string]staticFile
}

type staticFile struct {
	kind    string // Content-Type
	body    []byte
	zipped  []byte // nil where gzip does not help
	updated time.Time
}

// hashLen is how many hex digits of the hash an address carries.
const hashLen = 12

var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
}

func newStaticFiles() (*staticFiles, error) {
	s := &staticFiles{files: map[string]staticFile{}}
	sum := sha256.New()
	err := fs.WalkDir(staticFS, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := staticFS.ReadFile(name)
		if err != nil {
			return err
		}
		kind, ok := contentTypes[path.Ext(name)]
		if !ok {
			return fmt.Errorf("static file %s: no content type known for its ending", name)
		}
		if !strings.Contains(name, "/vendor/") {
			body = thin(path.Ext(name), body)
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(body))
		sum.Write(body)
		f := staticFile{kind: kind, body: body}
		if kind != "font/woff2" {
			f.zipped = zip(body)
		}
		s.files[strings.TrimPrefix(name, "static/")] = f
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read static files: %w", err)
	}
	s.prefix = "/static/" + hex.EncodeToString(sum.Sum(nil))[:hashLen] + "/"
	return s, nil
}

// cssComment is a comment of a style sheet.
var cssComment = regexp.MustCompile(`(?s)/\*.*?\*/`)

// thin takes out of our own styles and modules what only their readers need:
// comments that have a line of their own, indentation, empty lines. That is
// safe for modules whose template literals end on the line where they begin,
// which TestRules demands.
func thin(kind string, body []byte) []byte {
	switch kind {
	case ".css":
		body = cssComment.ReplaceAll(body, nil)
	case ".js":
	default:
		return body
	}
	var out bytes.Buffer
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || kind == ".js" && bytes.HasPrefix(line, []byte("//")) {
			continue
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// zip compresses b, or returns nil if that does not make it smaller.
func zip(b []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is valid
	if _, err := w.Write(b); err != nil || w.Close() != nil || out.Len() >= len(b) {
		return nil
	}
	return out.Bytes()
}

// ServeHTTP answers a file under the current hash for ever, one under an old
// hash (a page that was open during an update) without caching, else 404.
func (s *staticFiles) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest := strings.TrimPrefix(r.URL.Path, "/static/")
	hash, name, _ := strings.Cut(rest, "/")
	f, ok := s.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	if "/static/"+hash+"/" == s.prefix {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	body := f.body
	if f.zipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && r.Header.Get("Range") == "" {
		h.Set("Content-Encoding", "gzip")
		body = f.zipped
	}
	http.ServeContent(w, r, "", f.updated, bytes.NewReader(body))
}
