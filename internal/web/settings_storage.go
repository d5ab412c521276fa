package web

import (
	"net/http"
	"strings"
	"time"

	"serin/internal/health"
	"serin/internal/upkeep"
)

// storageBody is the page about what serin's data takes, and the server's health.
type storageBody struct {
	Nav                       settingsNav
	Pill                      pill
	Used, Log, Reusable       string
	Left, Floor, Budget, Warn string
	Percent                   int64 // of the budget
	Reasons                   []reasonRow
	Ages                      []ageRow
	Shed                      []shedRow
}

// reasonRow is something that is wrong with the server.
type reasonRow struct{ Class, Icon, Text string }

type ageRow struct{ Name, Since, Age string }

type shedRow struct {
	At   stamp
	What string
	Of   string
	Room string
}

// storage shows admins what the store takes and how long data is kept: it
// names rollouts of every project.
func (s *server) storage(w http.ResponseWriter, r *http.Request) {
	if !s.admins(w, r) {
		return
	}
	if s.Storage == nil {
		s.problem(w, r, http.StatusNotFound, "This server does not measure its store", "It keeps its data in memory.")
		return
	}
	report, err := s.Storage(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	room := report.Room
	b := storageBody{Nav: settingsNav{"storage", true}, Used: upkeep.Bytes(report.Used), Log: upkeep.Bytes(report.Log),
		Reusable: upkeep.Bytes(report.Reusable), Left: upkeep.Bytes(report.Left), Pill: storagePill(report.Level)}
	if room.Floor > 0 {
		b.Floor = upkeep.Bytes(room.Floor)
	}
	if room.Budget > 0 {
		b.Budget, b.Warn, b.Percent = upkeep.Bytes(room.Budget), upkeep.Bytes(room.Warn), report.Used*100/room.Budget
	}
	b.Ages = ageRows(report.Ages)
	for _, x := range report.Shed {
		b.Shed = append(b.Shed, shedRow{At: at(x.At, s.Now()), What: plural(x.Samples, "sample") + ", " + plural(x.Evidence, "row") + " of evidence",
			Of: clip(strings.Join(x.Rollouts, ", "), 200), Room: upkeep.Bytes(x.Bytes)})
	}
	if s.Health != nil {
		b.Reasons = reasonRows(s.Health(r.Context()))
	}
	s.render(w, r, http.StatusOK, "storage", settingsPage("Storage and health", "Storage and health", b))
}

// reasonRows are what is wrong, errors first.
func reasonRows(r health.Report) []reasonRow {
	var out []reasonRow
	for _, reason := range r.Reasons {
		row := reasonRow{Class: "warn", Icon: "warn", Text: reason.Text}
		if reason.Level == health.Error {
			row.Class, row.Icon = "fail", "fail"
		}
		out = append(out, row)
	}
	return out
}

func storagePill(l upkeep.Level) pill {
	switch l {
	case upkeep.OK:
		return pill{Class: "pass", Icon: "pass", Word: "Room enough"}
	case upkeep.Over:
		return pill{Class: "fail", Icon: "fail", Word: "Over the budget"}
	}
	return pill{Class: "warn", Icon: "warn", Word: "Short of room"}
}

// ageRows are the classes of data and how long each is kept.
func ageRows(a upkeep.Ages) []ageRow {
	rows := []ageRow{
		{Name: "Error samples", Since: "their arrival"},
		{Name: "Evidence: minutes and users", Since: "the end of the rollout"},
		{Name: "What decisions rested on", Since: "the end of the rollout"},
		{Name: "Delivered notices", Since: "the notice"},
		{Name: "Audit log", Since: "the entry"},
	}
	for i, age := range []time.Duration{a.Samples, a.Evidence, a.Inputs, a.Outbox, a.Audit} {
		rows[i].Age = duration(age)
		if age == 0 {
			rows[i].Age, rows[i].Since = "for ever", ""
		}
	}
	return append(rows, ageRow{Name: "Journals, flags, plans, issues, accounts; evidence of rollouts under way", Age: "for ever"})
}
