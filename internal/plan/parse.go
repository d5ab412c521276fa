package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxSource is how long a plan may be, in bytes; maxDepth how deep it may nest.
const (
	maxSource = 1 << 20
	maxDepth  = 32
)

// Parse reads a plan and fills in every default. The error is Problems: all
// errors of the file that can be found without a server. Problems name the
// file plan.yaml; ParseFile takes another name.
func Parse(source []byte) (*Plan, error) { return ParseFile("plan.yaml", source) }

// ParseFile is Parse for a file whose name the problems bear. It reads source
// and nothing else.
func ParseFile(file string, source []byte) (*Plan, error) {
	sum := sha256.Sum256(source)
	p := &Plan{
		File: file, Source: bytes.Clone(source), Hash: hex.EncodeToString(sum[:]),
		Location: time.UTC, Positions: map[string]Position{},
	}
	r := &reader{file: file, plan: p, lines: splitLines(source)}
	if root := r.tree(source); root != nil {
		r.check(root, nil, false, "")
		r.read(root)
		if len(r.problems) == 0 {
			r.lint()
		}
	}
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	return p, nil
}

// splitLines returns the lines of a file, at least one.
func splitLines(source []byte) []string {
	text := strings.ReplaceAll(string(source), "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n")
}

// yamlLine finds the line in a message of the YAML reader.
var yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)

// tree returns the file's one document, or nil after reporting why there is none.
func (r *reader) tree(source []byte) *yaml.Node {
	if len(source) > maxSource {
		r.at(1, 1, Error, &finding{"E01", "the file is longer than 1 MiB", "a plan is a page or two"})
		return nil
	}
	if !utf8.Valid(source) {
		r.at(invalidLine(r.lines), 1, Error, &finding{"E01", "not UTF-8", "save the file as UTF-8"})
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var document, second yaml.Node
	if err := decoder.Decode(&document); err != nil {
		r.syntax(err)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		r.fail(&second, "E01", "a second document", "one plan a file")
	case !errors.Is(err, io.EOF):
		r.syntax(err)
		return nil
	}
	if len(document.Content) != 1 {
		r.at(1, 1, Error, &finding{"E01", "the file is empty", "serin init writes a plan"})
		return nil
	}
	root := document.Content[0]
	if deeper(root, maxDepth) {
		r.at(1, 1, Error, &finding{"E01", "nested too deep", "a plan has no such depth"})
		return nil
	}
	return root
}

func (r *reader) syntax(err error) {
	if errors.Is(err, io.EOF) {
		r.at(1, 1, Error, &finding{"E01", "the file is empty", "serin init writes a plan"})
		return
	}
	message, line := err.Error(), 1
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = strings.TrimPrefix(message, m[0])
	}
	r.at(line, 1, Error, &finding{"E01", message, "correct the YAML here or just above"})
}

func invalidLine(lines []string) int {
	for i, l := range lines {
		if !utf8.ValidString(l) {
			return i + 1
		}
	}
	return 1
}

func deeper(n *yaml.Node, depth int) bool {
	if depth == 0 {
		return true
	}
	for _, c := range n.Content {
		if deeper(c, depth-1) {
			return true
		}
	}
	return false
}

// topKeys are the keys of a plan.
var topKeys = []string{"serin", "plan", "title", "owners", "environment", "timezone", "start", "target", "flag", "scope",
	"severity", "metrics", "judge", "capacity", "roles", "channels", "calendar", "preflight", "criteria", "stages", "rollback",
	"reduce", "actions", "cleanup", "after", "alerts", "incident", "reports", "dashboard"}

// read reads the blocks in an order in which each finds the names it needs.
func (r *reader) read(root *yaml.Node) {
	o := r.object(root, "", "", topKeys...)
	if o == nil {
		return
	}
	o.need("serin", "plan", "timezone", "flag", "stages")
	r.head(o)
	r.flag(o.get("flag"))
	r.scope(o.get("scope"))
	r.severity(o.get("severity"))
	r.metrics(o.get("metrics"))
	r.capacity(o.get("capacity"))
	r.roles(o.get("roles"))
	r.channels(o.get("channels"))
	r.judge(o.get("judge"))
	r.calendar(o.get("calendar"))
	r.criteria(o.get("criteria"))
	r.stages(o.get("stages"))
	r.guards(o)
	r.actions(o.get("actions"))
	r.plan.Preflight = r.tasks(o.get("preflight"), "preflight", false)
	r.cleanup(o.get("cleanup"))
	r.alerts(o.get("alerts"))
	r.incident(o.get("incident"))
	r.reports(o.get("reports"))
	r.dashboard(o.get("dashboard"))
}

// head reads the keys that have no block of their own.
func (r *reader) head(o *object) {
	p := r.plan
	if n := o.get("serin"); n != nil && (n.Value != "1" || !plain(n)) {
		r.fail(n, "E03", fmt.Sprintf("serin %q", n.Value), "this serin reads format 1: serin: 1")
	}
	o.name("plan", &p.Name)
	p.Title, p.Environment = p.Name, "production"
	o.text("title", &p.Title)
	o.texts("owners", &p.Owners)
	o.text("environment", &p.Environment)
	p.Timezone = "UTC"
	if n := o.get("timezone"); n != nil {
		if zone, ok := r.text(n, "timezone"); ok {
			r.zone(n, zone)
		}
	}
	o.date("start", &p.Start)
	if n := o.get("target"); n != nil {
		t := r.object(n, "target", "target.", "start", "end", "length")
		t.date("start", &p.Target.Start)
		t.date("end", &p.Target.End)
		t.duration("length", &p.Target.Length)
	}
	p.AfterAlerts = 14 * day
	if n := o.get("after"); n != nil {
		r.object(n, "after", "after.", "alerts").duration("alerts", &p.AfterAlerts)
	}
}

func (r *reader) zone(n *yaml.Node, zone string) {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		r.fail(n, "E03", fmt.Sprintf("timezone %q", zone), "use an IANA name such as Europe/Berlin or UTC")
		return
	}
	r.plan.Timezone, r.plan.Location = zone, loc
}
