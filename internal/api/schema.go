package api

import (
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/rollout"
)

// schemas is the registry of the OpenAPI document's types: quantities say
// their unit, statuses their words.
func schemas() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", schemaName)
	r.RegisterTypeAlias(reflect.TypeFor[time.Duration](), reflect.TypeFor[nanoseconds]())
	r.RegisterTypeAlias(reflect.TypeFor[flag.Percent](), reflect.TypeFor[share]())
	r.RegisterTypeAlias(reflect.TypeFor[judge.Status](), reflect.TypeFor[verdictStatus]())
	r.RegisterTypeAlias(reflect.TypeFor[rollout.Status](), reflect.TypeFor[rolloutStatus]())
	return r
}

// The types below describe how types of the core are written in JSON.
type (
	nanoseconds   int64
	share         int64
	verdictStatus string
	rolloutStatus string
)

func (nanoseconds) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Description: "nanoseconds"}
}

func (share) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Description: "thousandths of a percent: 10 % is 10000"}
}

func (verdictStatus) Schema(huma.Registry) *huma.Schema {
	return words(judge.Met.String(), judge.NotMet.String(), judge.Unknown.String())
}

func (rolloutStatus) Schema(huma.Registry) *huma.Schema {
	var all []string
	for _, s := range []rollout.Status{rollout.Preflight, rollout.Running, rollout.Paused, rollout.Reduced, rollout.RolledBack, rollout.Cleanup, rollout.Done, rollout.Cancelled} {
		all = append(all, string(s))
	}
	return words(all...)
}

func words(list ...string) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, w := range list {
		s.Enum = append(s.Enum, w)
	}
	return s
}

// schemaName keeps types of the same name in different packages apart, and
// names those without a name for their operation.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := ""
	for part := range strings.SplitSeq(huma.DefaultSchemaNamer(t, hint), "-") {
		name += strings.ToUpper(part[:1]) + part[1:]
	}
	if path := t.PkgPath(); path != "" && !strings.HasSuffix(path, "/huma/v2") {
		pkg := path[strings.LastIndexByte(path, '/')+1:]
		return strings.ToUpper(pkg[:1]) + pkg[1:] + name
	}
	return name
}
