package flag

import (
	"cmp"
	"strconv"
	"strings"
)

// version is a semantic version (semver.org 2.0.0); build metadata is dropped.
type version struct {
	part [3]uint64
	pre  []string
}

// opSemVer is exactly [version, operator, version]; null where anything is
// wrong (flagd core, evaluator/semver.go).
func opSemVer(_ *compiler, args []node) node {
	if len(args) != 3 {
		return constant(nil)
	}
	return node{eval: func(e env) any {
		a, ok := parseVersion(args[0].eval(e))
		b, also := parseVersion(args[2].eval(e))
		op, isText := args[1].eval(e).(string)
		if !ok || !also || !isText {
			return nil
		}
		return compareVersions(a, op, b)
	}}
}

func compareVersions(a version, op string, b version) any {
	order := a.compare(b)
	switch op {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	case "^":
		return a.part[0] == b.part[0]
	case "~":
		return a.part[0] == b.part[0] && a.part[1] == b.part[1]
	}
	return nil
}

// parseVersion reads text or a number; one and two parts are completed by 0.
func parseVersion(v any) (version, bool) {
	s, ok := v.(string)
	if !ok {
		f, isNumber := number(v)
		if !isNumber {
			return version{}, false
		}
		s = formatNumber(f)
	}
	if s != "" && (s[0] == 'v' || s[0] == 'V') {
		s = s[1:]
	}
	s, build, hasBuild := strings.Cut(s, "+")
	s, pre, hasPre := strings.Cut(s, "-")
	if hasBuild && !identifiers(build, false) || hasPre && !identifiers(pre, true) {
		return version{}, false
	}
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return version{}, false
	}
	var out version
	for i, p := range parts {
		if !numeric(p) || len(p) > 1 && p[0] == '0' {
			return version{}, false
		}
		n, err := strconv.ParseUint(p, 10, 64)
		if err != nil {
			return version{}, false
		}
		out.part[i] = n
	}
	if hasPre {
		out.pre = strings.Split(pre, ".")
	}
	return out, true
}

// identifiers checks dot-separated identifiers; numeric ones of a pre-release
// have no leading zero.
func identifiers(s string, pre bool) bool {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" || pre && len(id) > 1 && id[0] == '0' && numeric(id) {
			return false
		}
		for _, c := range []byte(id) {
			if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return true
}

func numeric(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// compare follows semver.org, section 11.
func (v version) compare(w version) int {
	for i := range v.part {
		if c := cmp.Compare(v.part[i], w.part[i]); c != 0 {
			return c
		}
	}
	switch {
	case len(v.pre) == 0 && len(w.pre) == 0:
		return 0
	case len(v.pre) == 0:
		return 1
	case len(w.pre) == 0:
		return -1
	}
	for i := range min(len(v.pre), len(w.pre)) {
		if c := compareIdentifiers(v.pre[i], w.pre[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(v.pre), len(w.pre))
}

func compareIdentifiers(a, b string) int {
	switch na, nb := numeric(a), numeric(b); {
	case na && nb:
		if c := cmp.Compare(len(a), len(b)); c != 0 {
			return c
		}
	case na:
		return -1
	case nb:
		return 1
	}
	return strings.Compare(a, b)
}
