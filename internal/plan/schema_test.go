package plan

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	const name = "urn:serin:plan:1"
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is a YAML node as the format reads it: only true, false and whole
// numbers are typed, and a metric's weight.
func instance(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return instance(n.Content[0])
	case yaml.AliasNode:
		return instance(n.Alias)
	case yaml.SequenceNode:
		all := []any{}
		for _, c := range n.Content {
			all = append(all, instance(c))
		}
		return all
	case yaml.MappingNode:
		all := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i].Value, instance(n.Content[i+1])
			if text, ok := value.(string); ok && key == "weight" {
				if f, err := strconv.ParseFloat(text, 64); err == nil {
					value = f
				}
			}
			all[key] = value
		}
		return all
	}
	switch {
	case isNothing(n):
		return nil
	case plain(n) && wholeForm.MatchString(n.Value):
		i, _ := strconv.ParseInt(n.Value, 10, 64)
		return float64(i)
	case plain(n) && (n.Value == "true" || n.Value == "false"):
		return n.Value == "true"
	}
	return n.Value
}

func shapeError(t *testing.T, s *jsonschema.Schema, source []byte) error {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal(source, &n); err != nil {
		t.Fatal(err)
	}
	return s.Validate(instance(&n))
}

func TestExamplesSatisfyTheSchema(t *testing.T) {
	s := compiledSchema(t)
	for _, name := range exampleNames {
		source := readExample(t, name)
		if err := shapeError(t, s, source); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := shapeError(t, s, Show(parsed(t, source))); err != nil {
			t.Errorf("shown %s: %v", name, err)
		}
	}
}

// TestSchemaAgreesWithParse: what the schema refuses, Parse refuses; the
// table says which errors of Parse are a matter of shape.
func TestSchemaAgreesWithParse(t *testing.T) {
	s := compiledSchema(t)
	if err := shapeError(t, s, []byte(base)); err != nil {
		t.Fatal(err)
	}
	for _, c := range errorCases {
		if err := shapeError(t, s, []byte(changed(t, c.old, c.new))); (err != nil) != c.schema {
			t.Errorf("%s: schema refuses: %t, want %t (%v)", c.name, err != nil, c.schema, err)
		}
	}
	for _, c := range shapeCases {
		source := []byte(changed(t, c.old, c.new))
		if shapeError(t, s, source) == nil {
			t.Errorf("%s: the schema accepts it", c.new)
		}
		if _, err := Parse(source); err == nil {
			t.Errorf("%s: Parse accepts it", c.new)
		}
	}
}

// shapeCases are bad in shape; both must refuse them.
var shapeCases = []struct{ old, new string }{
	{"plan: small", "plan: Small"},
	{"plan: small", "plan: 7"},
	{"timezone: UTC", "timezone: UTC\ntitle: true"},
	{"timezone: UTC", "timezone: UTC\nstart: \"19 Feb\""},
	{"timezone: UTC", "timezone: UTC\nowners: web"},
	{"audience: role = admin", "include: {}"},
	{"audience: role = admin", "variants: { new: a }"},
	{"audience: role = admin", "holdback: 0.0001%"},
	{"{ p1: \"level:fatal\" }", "{ p5: \"level:fatal\" }"},
	{"source: prometheus", "source: graphite"},
	{"unit: \"%\"", "unit: furlong"},
	{"unit: \"%\"", "weight: 0"},
	{"false_rollback: 1%", "enough: { users: -1 }"},
	{"false_rollback: 1%", "inconclusive: maybe"},
	{"may: [start,", "may: [fly,"},
	{"pagerduty:on-call", "pigeon:on-call"},
	{"daily 00:00-24:00", "daily"},
	{"calendar: {", "calendar: { freeze: [{ from: \"2025-01-01\" }],"},
	{"checks: []", "checks: [{ for: 1h }]"},
	{"owner: lead", "owner: []"},
	{"p1 > 5 over 1h", "p1 > 5 over soon"},
	{"cleanup:\n  tasks:", "cleanup:\n  rows:"},
	{"id: legacy", "id: Legacy"},
	{"irreversible: true", "irreversible: yes"},
	{"rollback: [p1", "reports: { daily: { to: page } }\nrollback: [p1"},
	{"rollback: [p1", "dashboard: { panels: [{ title: x }] }\nrollback: [p1"},
	{"rollback: [p1", "incident: { decide: [{ do: dance }] }\nrollback: [p1"},
	{"rollback: [p1", "alerts: [{ alert: x, if: p1 > 5 over 1h, notify: page, severity: p9 }]\nrollback: [p1"},
}
