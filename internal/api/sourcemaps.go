package api

import (
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/store"
	"serin/internal/symbolicate"
)

// maxUpload bounds one upload of source maps, in bytes.
const maxUpload = 128 << 20

// SourceMaps keeps the source maps of releases.
type SourceMaps interface {
	// Upload stores them, all or none; errors are symbolicate.ErrUpload, which
	// says which file is wrong and why, and the store's.
	Upload(ctx context.Context, project, release string, files []symbolicate.File, a store.AuditEntry) ([]store.Artifact, error)
	// List lists those of a project; release "" = of all.
	List(ctx context.Context, project, release string) ([]store.Artifact, error)
	// Delete removes those of a release, or says store.ErrNotFound.
	Delete(ctx context.Context, project, release string, a store.AuditEntry) (int64, error)
}

// sourceMaps registers what is asked and kept of source maps.
func (s *server) sourceMaps(api huma.API) {
	upload := inProjects(op(http.MethodPost, "/sourcemaps", "upload-source-maps", operate, "Upload the source maps of a release; each part of the form is named as the file it explains, ~/static/app.js"))
	upload.MaxBodyBytes = maxUpload
	huma.Register(api, upload,
		func(ctx context.Context, in *struct {
			ForProject
			Release string `query:"release" required:"true" minLength:"1" maxLength:"200"`
			RawBody multipart.Form
		}) (*body[[]store.Artifact], error) {
			project, err := s.home(ctx, in.Project)
			if err != nil {
				return nil, err
			}
			files, err := filesOf(&in.RawBody)
			if err != nil {
				return nil, huma.NewError(http.StatusUnprocessableEntity, err.Error())
			}
			a := s.entry(ctx, "upload source maps", "release "+in.Release, fmt.Appendf(nil, `{"project": %q, "files": %d}`, project, len(files)))
			made, err := s.SourceMaps.Upload(ctx, project, in.Release, files, a)
			return list(made), s.fail(err)
		})
	huma.Register(api, inProjects(op(http.MethodGet, "/sourcemaps", "list-source-maps", read, "The source maps of a project, newest release first")),
		func(ctx context.Context, in *struct {
			ForProject
			Release string `query:"release" doc:"left out: of all"`
		}) (*body[[]store.Artifact], error) {
			project, err := s.home(ctx, in.Project)
			if err != nil {
				return nil, err
			}
			found, err := s.SourceMaps.List(ctx, project, in.Release)
			return list(found), s.fail(err)
		})
	huma.Register(api, inProjects(op(http.MethodDelete, "/sourcemaps", "delete-source-maps", operate, "Delete the source maps of a release")),
		func(ctx context.Context, in *struct {
			ForProject
			Release string `query:"release" required:"true" minLength:"1" maxLength:"200"`
		}) (*struct{}, error) {
			project, err := s.home(ctx, in.Project)
			if err != nil {
				return nil, err
			}
			_, err = s.SourceMaps.Delete(ctx, project, in.Release, s.entry(ctx, "delete source maps", "release "+in.Release, fmt.Appendf(nil, `{"project": %q}`, project)))
			return nil, s.fail(err)
		})
}

// filesOf reads the parts of a form; a part's name is the file's.
func filesOf(form *multipart.Form) ([]symbolicate.File, error) {
	defer func() { _ = form.RemoveAll() }() // what is left of it lies in the system's temporary directory
	var files []symbolicate.File
	for name, parts := range form.File {
		for _, part := range parts {
			if part.Size > symbolicate.MaxFile {
				return nil, fmt.Errorf("source maps: %s has %d MiB, at most %d are taken", name, part.Size>>20, symbolicate.MaxFile>>20)
			}
			data, err := readPart(part)
			if err != nil {
				return nil, fmt.Errorf("source maps: %s: %w", name, err)
			}
			files = append(files, symbolicate.File{Name: name, Data: data})
		}
	}
	return files, nil
}

func readPart(part *multipart.FileHeader) ([]byte, error) {
	f, err := part.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, symbolicate.MaxFile+1))
}
