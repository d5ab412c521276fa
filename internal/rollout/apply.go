package rollout

import (
	"maps"
	"slices"
	"time"

	"serin/internal/flag"
)

// maxCommands is how many command ids a state remembers.
const maxCommands = 100

// Apply returns the state after e. It needs no plan: an event carries what it
// changes. s is not changed, and shares with the result what e leaves alone.
func Apply(s State, e Event) State {
	s.Pos, s.At, s.Mono = e.Pos, e.At, e.Mono
	if !e.Type.quiet() {
		s.Version = e.Pos
	}
	if e.Command != "" {
		s.Commands = remember(s.Commands, CommandID{e.Command, e.Pos})
	}
	if len(e.Account) > 0 {
		s.Account = spend(s.Account, e.Account)
	}
	was := s.Exposure
	switch e.Type {
	case Created, Revised, Started, Advanced, PausedEvent, Resumed, ReducedEvent,
		RolledBackEvent, Restarted, IrreversibleDone, Finished, CancelledEvent:
		applyTransition(&s, e)
	case Completed, Reopened, Approved, Confirmed, Accepted:
		applyMark(&s, e)
	default:
		applyObserved(&s, e)
	}
	if s.Exposure == 0 && len(s.Companions) > 0 {
		s.Companions = nil // nobody is exposed
	}
	allocate(&s, e, was)
	s.keepTime(e, s.Exposure < was)
	s.keepBuild(e, was)
	s.keepJudge(e)
	return s
}

// Fold is the state after a journal from its first event on: what Apply makes
// of it. It agrees with the state that was kept along the way.
func Fold(events []Event) State {
	var s State
	for _, e := range events {
		s = Apply(s, e)
	}
	return s
}

// allocate begins a new interval whenever stage or exposure changes or a revision
// lets comparisons begin empty, and the list anew with each run of evidence. was is the exposure before e.
func allocate(s *State, e Event, was flag.Percent) {
	switch {
	case e.Attempt == 0:
		return
	case e.Type == Started, e.Type == Restarted, e.Type == Resumed && e.Exposure > was:
		s.Runs, s.Intervals = s.Runs+1, nil
	}
	if n := len(s.Intervals); n > 0 {
		if last := &s.Intervals[n-1]; last.Stage == e.Stage && last.Exposure == e.Exposure && len(e.Fresh) == 0 {
			return
		}
	}
	s.Intervals = append(slices.Clip(s.Intervals), Interval{Run: s.Runs, Stage: e.Stage, Exposure: e.Exposure, From: e.At, Fresh: e.Fresh})
}

// quiet reports whether t leaves the version alone: a person who saw the
// state before it still knows what matters.
func (t Type) quiet() bool {
	return t == Baked || t == Checked || t == Completed || t == Noticed || t == NoticeFailed || t == ServedEvent || t == DeployBegun || t == DeployEnded
}

func applyTransition(s *State, e Event) {
	s.Exposure = e.Exposure
	switch e.Type {
	case Created:
		s.ID, s.Project, s.Plan, s.PlanHash, s.Revision = e.Item, e.Project, e.To, e.PlanHash, 1
		s.Format, s.Status, s.CreatedAt = StateFormat, Preflight, e.At
	case Revised:
		s.PlanHash, s.Revision, s.Revisions = e.PlanHash, s.Revision+1, s.Revisions+1
		if len(e.Fresh) > 0 {
			s.Again = slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.Again, e.Fresh))))
		}
		s.Blind = slices.DeleteFunc(slices.Clone(s.Blind), func(b Blind) bool { return !slices.Contains(e.Keep, b.Rule) })
		void(s)
		zeroBake(s)
	case Started, Restarted:
		s.Status, s.Attempt, s.Stage, s.Reached = Running, e.Attempt, e.Stage, e.Stage
		s.AttemptAt, s.EvidenceAt, s.Reason, s.Overridden = e.At, e.At, "", nil
		s.BegunHash, s.Revisions, s.Again = s.PlanHash, 0, nil
		if e.Type == Started {
			s.StartedAt = e.At
		}
		enter(s, e)
	case Advanced:
		if e.Overridden {
			s.Overridden = append(slices.Clip(s.Overridden), s.Stage)
		}
		s.Stage, s.Reached, s.Reason = e.Stage, max(s.Reached, e.Stage), ""
		enter(s, e)
		if e.Kind == string(Cleanup) {
			s.Status, s.CleanupAt = Cleanup, e.At
		}
	case PausedEvent:
		s.Status, s.Reason = Paused, e.Reason
	case Resumed:
		if s.Status == Reduced {
			enter(s, e)
			s.EvidenceAt = e.At
		}
		s.Status, s.Reason, s.Hotfix, s.Waiting = Running, "", false, accountBake
	case ReducedEvent:
		s.Status, s.Reason, s.LoweredAt = Reduced, e.Reason, e.At
		s.Hotfix, s.Redeployed = e.Exposure == 0 && e.Kind != kindRestored, false
		void(s)
		unsee(s)
	case RolledBackEvent:
		s.Status, s.Reason, s.LoweredAt, s.Hotfix = RolledBack, e.Reason, e.At, false
		void(s)
		unsee(s)
	case IrreversibleDone:
		s.Irreversible = true
	case Finished, CancelledEvent:
		s.Status, s.FinishedAt, s.Reason = Done, e.At, e.Reason
		if e.Type == CancelledEvent {
			s.Status = Cancelled
		}
		unsee(s)
	}
}

// enter begins a stage: nothing of the stage before is taken along.
func enter(s *State, e Event) {
	s.Status, s.StageAt, s.Hotfix = Running, e.At, false
	void(s)
	zeroBake(s)
	s.Red, s.Checks, s.CheckedAt, s.WasRed = nil, 0, time.Time{}, false
}

// void takes back what people have said about a gate.
func void(s *State) { s.Approved, s.Accepted, s.Confirmed = nil, nil, nil }

func zeroBake(s *State) {
	s.Bake, s.BakeEnd, s.Asked, s.Held, s.Waiting = 0, time.Time{}, 0, nil, accountBake
}

// unsee forgets what is observed only while users are on new; what still
// holds is seen again.
func unsee(s *State) {
	if s.Exposure > 0 && s.Status == Reduced {
		return
	}
	s.NoDataSince, s.NoDataPaged, s.Blind, s.Quality, s.Red = time.Time{}, false, nil, nil, nil
}

func applyMark(s *State, e Event) {
	m := Mark{Item: e.Item, By: e.By, Role: e.Role, Reason: e.Reason, Evidence: e.Evidence, Choice: e.Choice,
		Attempt: e.Attempt, Stage: e.Stage, At: e.At}
	switch e.Type {
	case Completed:
		s.Completed = append(without(s.Completed, m), m)
	case Reopened:
		s.Completed = without(s.Completed, m)
	case Approved:
		s.Approved = append(without(s.Approved, m), m)
	case Confirmed:
		s.Confirmed = append(without(s.Confirmed, m), m)
	case Accepted:
		s.Accepted = append(without(s.Accepted, m), m)
		if e.Item == gateKinds[gateMismatch] {
			s.MismatchRun = s.Runs
		}
		s.Quality = slices.DeleteFunc(slices.Clone(s.Quality), func(k string) bool { return k == e.Item })
	}
}

// without returns a copy of marks that lacks m's item of the same attempt and stage.
func without(marks []Mark, m Mark) []Mark {
	return slices.DeleteFunc(slices.Clone(marks), func(o Mark) bool {
		return o.Item == m.Item && o.Attempt == m.Attempt && o.Stage == m.Stage
	})
}

func applyObserved(s *State, e Event) {
	switch e.Type {
	case Baked:
		s.Bake += e.Duration
		s.Waiting = e.To
		if e.N == 1 && s.BakeEnd.IsZero() {
			s.BakeEnd = e.At
		}
	case Checked:
		s.Red, s.Checks, s.CheckedAt = e.Red, s.Checks+1, e.At
		s.WasRed = s.WasRed || len(e.Red) > 0
	case Asked:
		if e.Rule != "" {
			s.Held = append(slices.Clip(s.Held), e.Rule)
			return
		}
		s.Asked = e.N
	case RevertNeeded:
		s.RevertAt = e.At
	case IncidentOpened, IncidentResolved, IncidentClosed:
		s.Incidents = incident(s.Incidents, e)
		if e.Type != IncidentOpened {
			s.Companions = slices.DeleteFunc(slices.Clone(s.Companions), func(c Companion) bool { return c.Incident == e.Kind })
		}
	case FlagSet:
		s.Companions = append(slices.DeleteFunc(slices.Clone(s.Companions), func(c Companion) bool { return c.Flag == e.Flag }),
			Companion{Flag: e.Flag, To: e.To, Incident: e.Kind})
	case NoData:
		s.NoDataSince, s.NoDataPaged = e.Since, e.Paged
	case DataBack:
		s.NoDataSince, s.NoDataPaged = time.Time{}, false
	case BlindEvent:
		s.Blind = append(unblind(s.Blind, e.Rule), Blind{Rule: e.Rule, Since: e.Since, Paged: e.Paged})
	case Sighted:
		s.Blind = unblind(s.Blind, e.Rule)
	case DataQuality:
		s.Quality = slices.DeleteFunc(slices.Clone(s.Quality), func(k string) bool { return k == e.Kind })
		if e.To == qualityOpen {
			s.Quality = append(s.Quality, e.Kind)
		}
	case Deployed:
		s.Release, s.Commit, s.ReleaseAt, s.Redeployed = e.Item, e.To, e.At, true
	}
}

func unblind(blind []Blind, rule string) []Blind {
	return slices.DeleteFunc(slices.Clone(blind), func(b Blind) bool { return b.Rule == rule })
}

func incident(incidents []Incident, e Event) []Incident {
	out := slices.Clone(incidents)
	i := slices.IndexFunc(out, func(i Incident) bool { return i.ID == e.Kind })
	if i < 0 {
		out, i = append(out, Incident{ID: e.Kind}), len(out)
	}
	switch e.Type {
	case IncidentOpened:
		out[i].Resolved, out[i].Closed = false, false
	case IncidentResolved:
		out[i].Resolved = true
	case IncidentClosed:
		out[i].Resolved, out[i].Closed = true, true
	}
	return out
}

// remember keeps the last position of each command, newest last.
func remember(ids []CommandID, c CommandID) []CommandID {
	if n := len(ids); n > 0 && ids[n-1].ID == c.ID {
		out := slices.Clone(ids)
		out[n-1] = c
		return out
	}
	return append(slices.Clone(ids[max(0, len(ids)-maxCommands+1):]), c)
}

func spend(account, parts map[string]time.Duration) map[string]time.Duration {
	out := maps.Clone(account)
	if out == nil {
		out = make(map[string]time.Duration, len(parts))
	}
	for k, d := range parts {
		out[k] += d
	}
	return out
}
