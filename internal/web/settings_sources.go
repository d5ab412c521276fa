package web

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"serin/internal/poll"
)

// Sources are what the server asks for measurements.
type Sources interface{ Status() []poll.Status }

// sourceRow is a source and how it does.
type sourceRow struct {
	Name, Note string
	Pill       pill
	At         stamp // its last good answer
	Answers    []answerRow
}

// answerRow is the last answer to one question.
type answerRow struct {
	Metric, Query, Value string
	At                   stamp
}

// sourceRows are all sources, for people of the whole server: their questions
// name rollouts of every project.
func (s *server) sourceRows(r *http.Request) (rows []sourceRow) {
	if s.Options.Sources == nil || !by(r).WholeServer() {
		return nil
	}
	now := s.Now()
	for _, of := range s.Options.Sources.Status() {
		row := sourceRow{Name: of.Name, Pill: sourcePill(of.State), At: at(of.Good, now),
			Note: fmt.Sprintf("%s, %s, every %s", of.Kind, clip(of.Address, 120), duration(max(of.Every, time.Second)))}
		if of.Error != "" {
			row.Note += ": " + clip(of.Error, 300)
		}
		for _, a := range of.Answers {
			row.Answers = append(row.Answers, answerRow{Metric: clip(strings.Join(a.Metrics, ", "), 120), Query: clip(a.Query, 160),
				Value: clip(strings.TrimSpace(cmp.Or(a.Error, a.Value)+" "+a.Series), 200), At: at(a.At, now)})
		}
		rows = append(rows, row)
	}
	return rows
}

func sourcePill(state poll.State) pill {
	switch state {
	case poll.Answering:
		return pill{Class: "ok", Icon: "pass", Word: "Answering"}
	case poll.Partly:
		return pill{Class: "warn", Icon: "warn", Word: "Answers in part"}
	case poll.Failing:
		return pill{Class: "fail", Icon: "fail", Word: "Failing"}
	case poll.Idle:
		return pill{Icon: "wait", Word: "Nothing to ask"}
	}
	return pill{Icon: "wait", Word: "Not asked yet"}
}
