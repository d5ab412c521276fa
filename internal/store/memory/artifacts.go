package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"serin/internal/store"
)

// PutArtifacts implements store.Artifacts.
func (s *Store) PutArtifacts(ctx context.Context, list []store.Artifact, a store.AuditEntry) error {
	return s.write(ctx, func() error {
		for _, f := range list {
			f.Data, f.At, f.Stored = bytes.Clone(f.Data), utc(f.At), int64(len(f.Data))
			s.artifacts = slices.DeleteFunc(s.artifacts, func(o store.Artifact) bool {
				return o.Project == f.Project && o.Release == f.Release && o.Name == f.Name
			})
			s.artifacts = append(s.artifacts, f)
		}
		s.putAudit(a)
		return nil
	})
}

// Artifacts implements store.Artifacts.
func (s *Store) Artifacts(ctx context.Context, project, release string) (out []store.Artifact, err error) {
	newest := map[string]time.Time{}
	err = s.read(ctx, func() error {
		for _, f := range s.artifacts {
			if f.Project != project || release != "" && f.Release != release {
				continue
			}
			if f.At.After(newest[f.Release]) {
				newest[f.Release] = f.At
			}
			f.Data = nil
			out = append(out, f)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b store.Artifact) int {
		return cmp.Or(newest[b.Release].Compare(newest[a.Release]), cmp.Compare(a.Release, b.Release), cmp.Compare(a.Name, b.Name))
	})
	return out, err
}

// ArtifactData implements store.Artifacts.
func (s *Store) ArtifactData(ctx context.Context, project, release, name string) (data []byte, err error) {
	err = s.read(ctx, func() error {
		for _, f := range s.artifacts {
			if f.Project == project && f.Release == release && f.Name == name {
				data = bytes.Clone(f.Data)
				return nil
			}
		}
		return fmt.Errorf("source map %s of release %s: %w", name, release, store.ErrNotFound)
	})
	return data, err
}

// DeleteArtifacts implements store.Artifacts.
func (s *Store) DeleteArtifacts(ctx context.Context, project, release string, a store.AuditEntry) (n int64, err error) {
	err = s.write(ctx, func() error {
		before := len(s.artifacts)
		s.artifacts = slices.DeleteFunc(s.artifacts, func(o store.Artifact) bool { return o.Project == project && o.Release == release })
		if n = int64(before - len(s.artifacts)); n == 0 {
			return fmt.Errorf("delete source maps of release %s: %w", release, store.ErrNotFound)
		}
		s.putAudit(a)
		return nil
	})
	return n, err
}
