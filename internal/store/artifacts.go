package store

import (
	"context"
	"time"
)

// Artifacts holds the source maps of releases, by which minified stacks are
// read. They serve display only: no decision rests on them.
type Artifacts interface {
	// PutArtifacts stores files, or replaces those of the same project, release
	// and name, all or none.
	PutArtifacts(ctx context.Context, list []Artifact, a AuditEntry) error
	// Artifacts lists the files of a project without their data, newest release
	// first and by name within it; release "" = of all.
	Artifacts(ctx context.Context, project, release string) ([]Artifact, error)
	// ArtifactData returns the stored form of one file, or ErrNotFound.
	ArtifactData(ctx context.Context, project, release, name string) ([]byte, error)
	// DeleteArtifacts removes the files of a release and returns how many there
	// were, or ErrNotFound when there were none.
	DeleteArtifacts(ctx context.Context, project, release string, a AuditEntry) (int64, error)
}

// Artifact is one source map.
type Artifact struct {
	Project string    `json:"project"`
	Release string    `json:"release"`
	Name    string    `json:"name"`            // of the file it explains: "~/static/app.js"
	Debug   string    `json:"debug,omitempty"` // its debug id, a UUID; "" = none
	Hash    string    `json:"hash"`            // hex SHA-256 of the source map
	Bytes   int64     `json:"bytes"`           // of the source map, unpacked
	Stored  int64     `json:"stored"`          // bytes of Data
	At      time.Time `json:"at"`
	Data    []byte    `json:"-"` // in the writer's own form
}
