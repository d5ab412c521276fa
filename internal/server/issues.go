package server

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"serin/internal/auth"
	"serin/internal/evidence"
	"serin/internal/store"
	"serin/internal/symbolicate"
	"serin/internal/telemetry"
)

// issueDesk gives the issues to the pages and the operator API: it keeps what
// somebody may see to their projects and writes what they decide to the audit log.
type issueDesk struct {
	*symbolicate.Symbolicator
	store    store.Store
	evidence *evidence.Engine
	now      func() time.Time
}

// Issues implements web.Issues.
func (d issueDesk) Issues(ctx context.Context, by auth.Principal) ([]store.Issue, error) {
	found, err := d.store.Issues(ctx, store.IssueQuery{})
	return slices.DeleteFunc(found, func(i store.Issue) bool { return !by.InProject(i.Project) }), err
}

// Issue implements web.Issues.
func (d issueDesk) Issue(ctx context.Context, by auth.Principal, id string) (store.Issue, error) {
	i, err := d.store.Issue(ctx, id)
	if err == nil && !by.InProject(i.Project) {
		return store.Issue{}, store.ErrNotFound
	}
	return i, err
}

// Events implements web.Issues.
func (d issueDesk) Events(ctx context.Context, id string, limit int) ([]telemetry.Event, error) {
	return d.store.Events(ctx, id, limit)
}

// Triage implements web.Issues and api.Issues.
func (d issueDesk) Triage(ctx context.Context, by auth.Principal, id, via string, c evidence.IssueChange) error {
	before, err := d.Issue(ctx, by, id)
	if err != nil {
		return err
	}
	if err := d.evidence.TriageIssue(ctx, id, c); err != nil {
		return err
	}
	after, err := d.store.Issue(ctx, id)
	if err != nil {
		return err
	}
	entry := store.AuditEntry{At: d.now(), Who: c.By, Via: via, Address: auth.Address(ctx), Verb: "triage issue", Target: "issue " + id}
	if entry.Before, err = decided(before); err == nil {
		entry.After, err = decided(after)
	}
	return errors.Join(err, d.store.PutAudit(ctx, entry))
}

// decided is what people decided about an issue, for the audit log.
func decided(i store.Issue) (json.RawMessage, error) {
	return json.Marshal(struct {
		Status string `json:"status"`
		store.Triage
	}{i.Status, i.Triage})
}

// sourceMaps gives the source maps to the operator API.
type sourceMaps struct {
	*symbolicate.Symbolicator
	store.Artifacts
	now func() time.Time
}

func (m sourceMaps) Upload(ctx context.Context, project, release string, files []symbolicate.File, a store.AuditEntry) ([]store.Artifact, error) {
	return m.Symbolicator.Upload(ctx, project, release, files, m.now(), a)
}

func (m sourceMaps) List(ctx context.Context, project, release string) ([]store.Artifact, error) {
	return m.Artifacts.Artifacts(ctx, project, release)
}

func (m sourceMaps) Delete(ctx context.Context, project, release string, a store.AuditEntry) (int64, error) {
	return m.DeleteArtifacts(ctx, project, release, a)
}
