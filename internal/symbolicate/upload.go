package symbolicate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/klauspost/compress/zstd"

	"serin/internal/sourcemap"
	"serin/internal/store"
)

// Bounds of what is uploaded.
const (
	MaxFile     = 64 << 20 // bytes of one source map
	MaxFiles    = 500      // of one upload
	MaxProject  = 2 << 30  // bytes of all source maps of a project, as stored
	maxName     = 512      // bytes of a file's name
	maxRelease  = 200      // bytes of a release's name
	namePrefix  = "~/"
	packedLevel = zstd.SpeedDefault
)

// ErrUpload is wrapped by what is wrong with an upload itself.
var ErrUpload = errors.New("source maps")

// File is one source map of an upload.
type File struct {
	Name string // of the minified file it explains: "~/static/app.js"
	Data []byte
}

// Upload checks and stores the source maps of a release, all or none. The
// errors are ErrUpload, which says which file is wrong and why, and the store's.
func (s *Symbolicator) Upload(ctx context.Context, project, release string, files []File, at time.Time, a store.AuditEntry) ([]store.Artifact, error) {
	if err := checkName("release", release, maxRelease); err != nil {
		return nil, err
	}
	if len(files) == 0 || len(files) > MaxFiles {
		return nil, fmt.Errorf("%w: an upload has 1 to %d files, not %d", ErrUpload, MaxFiles, len(files))
	}
	held, err := s.store.Artifacts(ctx, project, "")
	if err != nil {
		return nil, err
	}
	var total int64
	for _, f := range held {
		total += f.Stored
	}
	list := make([]store.Artifact, 0, len(files))
	for _, f := range files {
		out, err := pack(f)
		if err != nil {
			return nil, err
		}
		out.Project, out.Release, out.At = project, release, at
		list = append(list, out)
		if total += out.Stored; total > MaxProject {
			return nil, fmt.Errorf("%w: project %s would hold more than %d MiB: delete old releases first", ErrUpload, project, MaxProject>>20)
		}
	}
	return list, s.store.PutArtifacts(ctx, list, a)
}

// pack checks one file and makes its stored form, a Zstandard frame.
func pack(f File) (store.Artifact, error) {
	if err := checkName("file name", f.Name, maxName); err != nil {
		return store.Artifact{}, err
	}
	if !strings.HasPrefix(f.Name, namePrefix) {
		return store.Artifact{}, fmt.Errorf("%w: file name %q: begin it with %s and the path below the site's root", ErrUpload, f.Name, namePrefix)
	}
	if len(f.Data) > MaxFile {
		return store.Artifact{}, fmt.Errorf("%w: %s has %d MiB, at most %d are taken", ErrUpload, f.Name, len(f.Data)>>20, MaxFile>>20)
	}
	m, err := sourcemap.Parse(f.Data)
	if err != nil {
		return store.Artifact{}, fmt.Errorf("%w: %s: %w", ErrUpload, f.Name, err)
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(packedLevel), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return store.Artifact{}, err
	}
	sum := sha256.Sum256(f.Data)
	packed := w.EncodeAll(f.Data, nil)
	return store.Artifact{Name: f.Name, Debug: m.Debug, Hash: hex.EncodeToString(sum[:]), Bytes: int64(len(f.Data)), Stored: int64(len(packed)), Data: packed}, nil
}

func unpack(packed []byte) ([]byte, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxFile))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.DecodeAll(packed, nil)
}

func checkName(what, name string, limit int) error {
	if name == "" || len(name) > limit || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("%w: %s %.60q: write 1 to %d bytes without control characters", ErrUpload, what, name, limit)
	}
	return nil
}
