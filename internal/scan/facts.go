package scan

import (
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

// Facts evaluates the plan's facts about code. The keys are the facts as the
// plan writes them, such as "refs gone useNewThing"; a plan without any gives
// an empty map. A symbol is gone when nothing but comments names it. That
// something is gone is said only of a tree that has source files and could be
// read, else it is an error (ErrNoSources for a tree without any).
func Facts(p *plan.Plan, fsys fs.FS) (map[string]bool, error) {
	out := map[string]bool{}
	var symbols []Needle
	gone := false
	for _, f := range facts(p) {
		key := f.Name + " " + f.Arg
		if f.Name == "refs gone" {
			symbols = append(symbols, Needle{f.Arg, Symbol})
			out[key] = true
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
		gone = gone || f.Name == "path gone"
	}
	if len(symbols) == 0 && !gone {
		return out, nil
	}
	references, err := Tree(fsys, Options{Needles: symbols})
	if err != nil {
		return nil, err
	}
	for _, r := range references {
		if r.Kind != Comment {
			out["refs gone "+r.Needle] = false
		}
	}
	return out, nil
}
