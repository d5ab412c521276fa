package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/store"
)

// ForgetAnswer is what a deletion of one user's data removed, and what it
// cannot reach.
type ForgetAnswer struct {
	store.Forgotten
	Stays []string `json:"stays" doc:"where the user may still be named, and how that goes"`
}

// ForgetStays says what a deletion cannot reach.
var ForgetStays = []string{
	"backups lose it as they expire: delete older ones, or restore and delete again",
	"copies made before an upgrade, before-upgrade-from-N.db in the data directory, are backups too",
	"plans, flags and reasons that people wrote with the user's id in them: edit those by hand",
	"services upstream, and those that notices went to, must be asked themselves",
}

// subjects registers the deletion of one user's data.
func (s *server) subjects(api huma.API) {
	forget := inProjects(op(http.MethodDelete, "/subjects/{user}", "forget-subject", admin,
		"Delete what is kept of one user: samples, texts, exposures, rows of affected users; the audit log names a digest of the id"))
	huma.Register(api, forget, func(ctx context.Context, in *struct {
		User string `path:"user" maxLength:"1000" doc:"id of the user as applications send it; percent-encoded"`
		ForProject
		Reason string `query:"reason" maxLength:"1000" doc:"kept in the audit log: do not name the user"`
	}) (*body[ForgetAnswer], error) {
		project, err := s.home(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		if in.User == "" {
			return nil, huma.NewError(http.StatusUnprocessableEntity, "say whose data is to be deleted: DELETE /subjects/USER")
		}
		out, err := s.Evidence.ForgetUser(ctx, project, in.User, store.AuditEntry{At: s.Now(), Who: who(ctx).Name, Via: via(ctx), Address: auth.Address(ctx), Reason: in.Reason})
		return ok(ForgetAnswer{out, ForgetStays}), s.fail(err)
	})
}
