package scan

import (
	"errors"
	"fmt"
	"io/fs"

	"serin/internal/plan"
)

// facts are a plan's facts about code, of preflight and clean-up.
func facts(p *plan.Plan) []*plan.Fact {
	var all []*plan.Fact
	for _, tasks := range [][]plan.Task{p.Preflight, p.Cleanup.Tasks} {
		for _, t := range tasks {
			if t.Verify == nil {
				continue
			}
			switch t.Verify.Name {
			case "path exists", "path gone", "refs gone":
				all = append(all, t.Verify)
			}
		}
	}
	return all
}

// Facts evaluates the plan's facts about code, and that the flag's key is gone
// from it (plan.FlagGone). The keys are the facts as the plan writes them,
// such as "refs gone useNewThing". A symbol or key is gone when nothing but
// comments names it. That something is gone is said only of a tree that has
// source files and could be read: where the plan asks for it, any other is an
// error (ErrNoSources for a tree without any).
func Facts(p *plan.Plan, fsys fs.FS) (map[string]bool, error) {
	out := map[string]bool{}
	flagGone := plan.FlagGone(p)
	needles := []Needle{{flagGone.Arg, Key}}
	asked := false
	for _, f := range facts(p) {
		key := f.Name + " " + f.Arg
		if f.Name == "refs gone" {
			needles = append(needles, Needle{f.Arg, Symbol})
			out[key], asked = true, true
			continue
		}
		name, err := inside(f.Arg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		there, err := exists(fsys, name)
		if err != nil {
			return nil, err
		}
		out[key] = there == (f.Name == "path exists")
		asked = asked || f.Name == "path gone"
	}
	references, err := Tree(fsys, Options{Needles: needles})
	if errors.Is(err, ErrNoSources) && !asked {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	out[flagGone.Text] = true
	for _, r := range references {
		if r.Kind != Comment {
			out["refs gone "+r.Needle] = false
		}
	}
	return out, nil
}
