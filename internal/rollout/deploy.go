package rollout

import (
	"fmt"
	"strings"
	"time"

	"serin/internal/flag"
)

// Build is what is known of the builds of applications that hold the flag in
// a variable (flag.env of the plan). Such a build can only switch: it knows
// whether nobody, some or all users are on new, and it knows it only once it
// was built anew and deployed.
type Build struct {
	Pos     int64     `json:"pos"` // of the event since which it is nobody, some or everybody, as now
	At      time.Time `json:"at"`  // of that event
	Live    time.Time `json:"live,omitzero"`
	Release string    `json:"release,omitempty"` // reported at Live
	Run     *HookRun  `json:"run,omitempty"`     // the deploy hook's last run since; nil = none
}

// HookRun is one run of the server's deploy hook.
type HookRun struct {
	Variable string        `json:"variable"`
	Try      int           `json:"try"` // from 1
	Began    time.Time     `json:"began"`
	Ended    time.Time     `json:"ended,omitzero"` // zero = it runs, or the server was ended meanwhile and runs it again
	Took     time.Duration `json:"took,omitempty"` // real time
	How      string        `json:"how,omitempty"`  // one of the Hook words; "" while it runs
	Exit     int           `json:"exit,omitempty"` // exit status; -1 = none, it was ended by a signal or never began
	Why      string        `json:"why,omitempty"`  // of a failure, a sentence
	Last     bool          `json:"last,omitempty"` // it failed and is not tried again
}

// How a run of the deploy hook ended: Event.Kind of deploy_ended.
const (
	HookDone     = "done"      // exit status 0
	HookFailed   = "failed"    // another exit status, or ended by a signal
	HookTimedOut = "timed out" // ended by serin after the hook's timeout
	HookUnable   = "not run"   // the command could not be started
)

// keepBuild keeps State.Build, given the exposure before e. A deployment that
// is reported is taken to hold the newest: whoever deploys reads the variable.
func (s *State) keepBuild(e Event, was flag.Percent) {
	if switches(was) != switches(s.Exposure) {
		s.Build = &Build{Pos: e.Pos, At: e.At}
		return
	}
	b := Build{Pos: e.Pos, At: e.At}
	if s.Build != nil {
		b = *s.Build
	}
	switch e.Type {
	case Deployed:
		if s.Build == nil {
			return // nothing to be built anew
		}
		b.Live, b.Release = e.At, e.Item
	case DeployBegun:
		b.Live, b.Release = time.Time{}, ""
		b.Run = &HookRun{Variable: e.Item, Try: e.N, Began: e.At}
	case DeployEnded:
		b.Run = ended(b.Run, e)
	default:
		return
	}
	s.Build = &b
}

// ended is the run that e ends. One whose begin is not known began when it was over.
func ended(run *HookRun, e Event) *HookRun {
	r := HookRun{Variable: e.Item, Try: 1, Began: e.At}
	if run != nil {
		r = *run
	}
	r.Ended, r.Took, r.How, r.Exit, r.Why, r.Last = e.At, e.Duration, e.Kind, e.N, e.Reason, e.Paged
	return &r
}

// switches is what a build can tell of an exposure: nobody, some, everybody.
func switches(x flag.Percent) int {
	switch {
	case x <= 0:
		return 0
	case x < flag.Everyone:
		return 1
	}
	return 2
}

// titleDeploy puts a run of the deploy hook into words.
func titleDeploy(e Event) (string, string) {
	if e.Type == DeployBegun {
		what := "deploy hook of " + e.Item + " began"
		if e.N > 1 {
			what += fmt.Sprintf(", try %d", e.N)
		}
		return what, strings.TrimSpace(e.Reason + "\n" + e.To)
	}
	took := " after " + exact(e.Duration)
	text := strings.TrimSpace(e.Reason + "\n" + strings.Join(e.Show, "\n"))
	switch {
	case e.Kind == HookDone:
		return "deploy hook of " + e.Item + " ended well" + took,
			strings.TrimSpace("It is live once a deployment is reported: serin deployed.\n" + text)
	case e.Paged:
		return "deploy hook of " + e.Item + " " + e.Kind + took + " and is not tried again: deploy by hand", text
	}
	return "deploy hook of " + e.Item + " " + e.Kind + took + ", serin tries again", text
}
