package telemetry

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// datasetNames are the words that may stand before WHERE, lower case.
var datasetNames = map[string]Dataset{
	"events": Events, "errors": Events, "issues": IssueList, "issues_that_need_review": IssueList,
	"pageloads": PageLoads, "performance": PageLoads, "requests": Requests, "sessions": Sessions, "feedback": Feedback,
}

const needReview = "issues_that_need_review"

// datasetOf says of which dataset a key alone can be; "" = of several.
func datasetOf(key string) Dataset {
	switch {
	case strings.HasPrefix(key, "measurements."):
		return PageLoads
	case key == "is", key == "firstSeen", key == "lastSeen", key == "assigned", key == "arm", key == "events", key == "users":
		return IssueList
	case key == "session.status":
		return Sessions
	case key == "sentiment", key == "score":
		return Feedback
	}
	return ""
}

// foundKey is a key of a search text and where it stands, in bytes.
type foundKey struct {
	key string
	at  int
}

var (
	whereClause = regexp.MustCompile(`(?i)^\s*([A-Za-z_]+)\s+where(?:\s+|$)`)
	clauseWord  = regexp.MustCompile(`(?i)^(group\s+by\s*:?|compare\s*:)(?:\s|$)`)
	aggregate   = regexp.MustCompile(`(?i)^(count|count_unique|avg|p50|p75|p90|p95|p99)\(\s*([A-Za-z0-9_.\[\]-]*)\s*\)(?:\s|$)`)
	groupKey    = regexp.MustCompile(`^\s*(?:tags\[([^\]\s"]+|"[^"]+")\]|[A-Za-z0-9_.-]+)\s*`)
	relative    = regexp.MustCompile(`(?i)^(?:the )?(?:last |previous )?(\d{1,4}) ?(m|min|minutes?|h|hours?|d|days?|w|weeks?)(?: (?:vs\.?|versus|and|against) now)?$`)
	issueID     = regexp.MustCompile(`(?i)^[A-Z][A-Z0-9_]*-[0-9]+$`)
)

// maxEarlier is the oldest time that a query may compare with.
const maxEarlier = 90 * day

// ParseQuery compiles a panel query: a search (ParseFilter) and, in any case
// of letters, the clauses DATASET WHERE before it and GROUP BY key, Group by:
// key, Compare: what and an aggregate such as p75(measurements.lcp) behind it.
// Without WHERE the fields tell the dataset. Without an aggregate page loads
// whose one measurement is limited from above tell its 75th percentile, those
// where it is limited from below only are counted by path (slow pages), and
// everything else is counted. What is not understood is a *SyntaxError.
func ParseQuery(text string) (Query, error) {
	p := &queryParser{filterParser: filterParser{text: text}, q: Query{Aggregate: Aggregate{Fn: "count"}}}
	if len(text) > maxFilterBytes {
		return Query{}, p.fail(0, "it is too long", "keep it under 8 KiB")
	}
	p.rest = []byte(dropComments(text))
	if err := p.where(); err != nil {
		return Query{}, err
	}
	if err := p.clauses(); err != nil {
		return Query{}, err
	}
	f, inner, err := parseFilter(text, string(p.rest))
	if err != nil {
		return Query{}, err
	}
	p.q.Filter, p.q.keys = f, inner.keys
	p.q.Notes = append(p.q.Notes, inner.notes...)
	return p.finish()
}

type queryParser struct {
	filterParser
	q    Query
	rest []byte // the text with blanks in place of what was read
	word string // before WHERE, lower case
}

// blank takes [from, to) out of the search.
func (p *queryParser) blank(from, to int) {
	for i := from; i < to; i++ {
		p.rest[i] = ' '
	}
}

func (p *queryParser) note(from, to int, as string) {
	said := strings.Join(strings.Fields(p.text[from:to]), " ")
	if !strings.EqualFold(said, as) {
		p.q.Notes = append(p.q.Notes, Translation{Column: utf8.RuneCountInString(p.text[:from]) + 1, From: said, To: as})
	}
}

func (p *queryParser) where() error {
	m := whereClause.FindSubmatchIndex(p.rest)
	if m == nil {
		return nil
	}
	p.word = strings.ToLower(string(p.rest[m[2]:m[3]]))
	d, ok := datasetNames[p.word]
	if !ok {
		return p.fail(m[2], fmt.Sprintf("%q is no dataset", p.text[m[2]:m[3]]), "write events, issues, pageloads, requests, sessions or feedback before WHERE")
	}
	p.q.Dataset = d
	as := string(d)
	if p.word == needReview {
		as += " WHERE is:unresolved is:for_review"
	}
	p.note(m[2], m[3], as)
	p.blank(m[0], m[1])
	return nil
}

// clauses reads what stands outside the search, where a word begins that is
// neither quoted nor in brackets.
func (p *queryParser) clauses() error {
	depth, quoted, began := 0, false, true
	for i := 0; i < len(p.rest); i++ {
		c := p.rest[i]
		if began && !quoted && depth == 0 {
			end, err := p.clause(i)
			if err != nil {
				return err
			}
			if end > i {
				p.blank(i, end)
				i = end - 1
				continue
			}
		}
		switch {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth = max(depth-1, 0)
		}
		began = c == ' ' || c == '\t' || c == '\r' || c == '\n'
	}
	return nil
}

// clause reads the clause at i and returns its end, or i where there is none.
func (p *queryParser) clause(i int) (int, error) {
	rest := p.rest[i:]
	if m := aggregate.FindSubmatch(rest); m != nil {
		return i + len(m[0]), p.aggregate(i, strings.ToLower(string(m[1])), string(m[2]))
	}
	m := clauseWord.Find(rest)
	if m == nil {
		return i, nil
	}
	if strings.EqualFold(string(m[:1]), "g") {
		return p.groups(i, i+len(m))
	}
	return p.compare(i, i+len(m))
}

func (p *queryParser) aggregate(at int, fn, field string) error {
	if p.q.told {
		return p.fail(at, "a second aggregate", "a panel shows one")
	}
	p.q.told = true
	key, said := "", field
	if field != "" {
		key = canonicalKey(field)
	} else {
		said = "nothing"
	}
	switch {
	case fn == "count" && key != "":
		return p.fail(at, "count() takes no field", "write count(), or count_unique(user)")
	case fn == "count_unique" && key != "user.id":
		return p.fail(at, "count_unique of "+said, "write count_unique(user)")
	case fn != "count" && fn != "count_unique" && typeOf(key) != durationField && key != "score":
		return p.fail(at, fn+" of "+said, "name a measurement or duration: "+fn+"(measurements.lcp)")
	}
	p.q.Aggregate = Aggregate{Fn: fn, Field: key}
	return nil
}

// groups reads the keys behind GROUP BY; nothing but clauses may follow.
func (p *queryParser) groups(began, i int) (int, error) {
	if p.q.Grouped {
		return 0, p.fail(began, "a second GROUP BY", "name all keys in one, with commas between")
	}
	for {
		m := groupKey.Find(p.rest[i:])
		if m == nil {
			return 0, p.fail(i, "GROUP BY needs a key", "write GROUP BY tags[component]")
		}
		key := strings.ReplaceAll(strings.TrimSpace(string(m)), `"`, "")
		p.q.By = append(p.q.By, ByName(key))
		i += len(m)
		if i == len(p.rest) || p.rest[i] != ',' {
			break
		}
		i++
	}
	p.q.Grouped = true
	if i < len(p.rest) && !isClause(p.rest[i:]) {
		return 0, p.fail(i, "the search goes on behind GROUP BY", "put GROUP BY behind the search")
	}
	p.note(began, i, "group by "+strings.Join(p.q.By, ", "))
	return i, nil
}

// isClause reports whether a clause begins here.
func isClause(rest []byte) bool { return clauseWord.Match(rest) || aggregate.Match(rest) }

// compare reads what stands behind Compare:, up to another clause.
func (p *queryParser) compare(began, i int) (int, error) {
	if p.q.Earlier > 0 || p.q.Against != "" {
		return 0, p.fail(began, "a second Compare:", "a panel compares with one time")
	}
	end := i
	for end < len(p.rest) && (end == i || p.rest[end-1] != ' ' && p.rest[end-1] != '\n' || !isClause(p.rest[end:])) {
		end++
	}
	said := strings.ToLower(strings.Join(strings.Fields(string(p.rest[i:end])), " "))
	for i < end && strings.IndexByte(" \t\r\n", p.rest[i]) >= 0 {
		i++
	}
	m := relative.FindStringSubmatch(said)
	switch {
	case said == CompareControl, said == "control":
		p.q.Against = CompareControl
	case said == CompareStage, said == "stage start":
		p.q.Against = CompareStage
	case m != nil:
		ms, err := parseQuantity(m[1]+m[2], durationField)
		if err != nil || ms <= 0 || time.Duration(ms)*time.Millisecond > maxEarlier {
			return 0, p.fail(i, "Compare: "+said, "compare with at most 90 days before")
		}
		p.q.Earlier = time.Duration(ms) * time.Millisecond
		p.note(began, end, "Compare: "+formatAge(ms))
	default:
		return 0, p.fail(i, fmt.Sprintf("Compare: %q is not understood", said), `write "Last 7 days vs Now", "7d", "canary vs control" or "stage start vs before"`)
	}
	return end, nil
}

// finish finds the dataset and what is told of it.
func (p *queryParser) finish() (Query, error) {
	q := &p.q
	if p.word == needReview {
		q.Filter = Filter{root: joinAll(all{&isTerm{status: "unresolved"}, &isTerm{status: "for_review"}}, q.Filter.root)}
	}
	if err := p.dataset(); err != nil {
		return Query{}, err
	}
	if q.Dataset == IssueList && (q.Aggregate.Fn != "count" || len(q.By) > 0) {
		return Query{}, p.fail(0, "issues are listed", "leave out GROUP BY and aggregates, or ask events")
	}
	if field := q.measured(); field != "" && !q.told {
		if q.Filter.limitedAbove(field) {
			q.Aggregate = Aggregate{Fn: "p75", Field: field}
		} else if len(q.By) == 0 {
			q.By = []string{"url.path"}
		}
	}
	slices.SortStableFunc(q.Notes, func(a, b Translation) int { return a.Column - b.Column })
	return *q, nil
}

// dataset finds the one dataset that all fields are of.
func (p *queryParser) dataset() error {
	q := &p.q
	keys := slices.Clone(q.keys)
	for _, k := range append(slices.Clone(q.By), q.Aggregate.Field) {
		keys = append(keys, foundKey{key: k})
	}
	because := ""
	q.implied = p.word == needReview
	for _, k := range keys {
		d := datasetOf(k.key)
		q.implied = q.implied || d != ""
		switch {
		case d == "" || d == q.Dataset:
		case q.Dataset == "":
			q.Dataset, because = d, k.key
		default:
			reason := "the dataset is " + string(q.Dataset)
			if because != "" {
				reason = because + " is a field of " + string(q.Dataset)
			}
			return p.fail(k.at, fmt.Sprintf("%s is a field of %s, but %s", k.key, d, reason), "ask for one dataset")
		}
	}
	if q.Dataset == "" {
		q.Dataset = Events
	}
	return nil
}

// joinAll joins two lists of terms that must all hold; b may be nil.
func joinAll(a all, b node) node {
	switch n := b.(type) {
	case nil:
		return a
	case all:
		return append(a, n...)
	}
	return append(a, b)
}
