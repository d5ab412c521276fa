// Package loosejson reads JSON as telemetry clients really send it.
//
// A Doc is parsed in one pass into a flat list of nodes which point into the
// source: nothing is copied until a string is asked for, and a pooled Doc
// allocates nothing. It differs from encoding/json in what it forgives:
//
//   - a key may occur twice: the last one wins;
//   - invalid UTF-8 and lone surrogates read as U+FFFD;
//   - raw control characters inside strings are kept;
//   - NaN, Infinity and -Infinity (Python's json.dumps) read as null.
//
// It refuses what cannot be read: broken syntax (ErrSyntax), and nesting over
// MaxDepth (ErrDepth), so that no reader's stack depends on a stranger's input.
//
// A field of the wrong type is no error here: the accessors say ok = false and
// the caller decides. All strings handed out are copies; the source may be
// reused as soon as the Doc is no longer read.
package loosejson

import (
	"errors"
	"fmt"
	"math"
	"sync"
)

// MaxDepth is how deeply arrays and objects may nest.
const MaxDepth = 64

// maxBytes bounds a source, as nodes hold 32-bit offsets.
const maxBytes = math.MaxInt32

// The errors of Parse, wrapped with the place.
var (
	ErrSyntax = errors.New("not valid JSON")
	ErrDepth  = errors.New("JSON is nested too deeply")
)

// Kind is the type of a Value. The zero value is Missing.
type Kind uint8

// The kinds.
const (
	Missing Kind = iota // no such field
	Null
	Bool
	Number
	String
	Array
	Object
)

// node is one value, or one key of an object. Children follow their parent;
// in an object they alternate key, value.
type node struct {
	start, end uint32 // of the text in the source; strings without quotes
	next       uint32 // the node after this one and all its children
	kind       Kind
	escaped    bool // a string that holds a backslash
}

// Doc is one parsed JSON text. It may be read by many goroutines.
type Doc struct {
	src   []byte
	nodes []node
}

var pool = sync.Pool{New: func() any { return new(Doc) }}

// maxPooledNodes keeps one giant document from pinning memory in the pool.
const maxPooledNodes = 1 << 16

// Parse reads src, which must stay unchanged until Free. The error matches
// ErrSyntax or ErrDepth and names the offset in bytes.
func Parse(src []byte) (*Doc, error) {
	if len(src) > maxBytes {
		return nil, fmt.Errorf("%w: over %d bytes", ErrSyntax, maxBytes)
	}
	d := pool.Get().(*Doc)
	d.src, d.nodes = src, d.nodes[:0]
	p := parser{d: d, src: src}
	err := p.document()
	if err != nil {
		d.Free()
		return nil, err
	}
	return d, nil
}

// Free gives the Doc back for reuse. No Value of it may be read afterwards.
func (d *Doc) Free() {
	d.src = nil
	if cap(d.nodes) > maxPooledNodes {
		d.nodes = nil
	}
	pool.Put(d)
}

// Root is the document's value.
func (d *Doc) Root() Value { return Value{d: d} }

type parser struct {
	d     *Doc
	src   []byte
	pos   int
	depth int
}

func (p *parser) document() error {
	if err := p.value(); err != nil {
		return err
	}
	p.space()
	if p.pos != len(p.src) {
		return p.syntax("text after the value")
	}
	return nil
}

func (p *parser) syntax(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrSyntax, what, p.pos)
}

func (p *parser) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// add appends a node that begins at the current position and returns its index.
func (p *parser) add(k Kind) int {
	p.d.nodes = append(p.d.nodes, node{start: uint32(p.pos), kind: k})
	return len(p.d.nodes) - 1
}

// close ends node i at the current position.
func (p *parser) close(i int) {
	n := &p.d.nodes[i]
	n.end, n.next = uint32(p.pos), uint32(len(p.d.nodes))
}

func (p *parser) value() error {
	p.space()
	if p.pos == len(p.src) {
		return p.syntax("unexpected end")
	}
	switch c := p.src[p.pos]; {
	case c == '"':
		return p.text()
	case c == '{':
		return p.object()
	case c == '[':
		return p.array()
	case c == 't':
		return p.word("true", Bool)
	case c == 'f':
		return p.word("false", Bool)
	case c == 'n':
		return p.word("null", Null)
	case c == 'N':
		return p.word("NaN", Null)
	case c == 'I':
		return p.word("Infinity", Null)
	case c == '-' && p.pos+1 < len(p.src) && p.src[p.pos+1] == 'I':
		return p.word("-Infinity", Null)
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	default:
		return p.syntax("unexpected character")
	}
}

func (p *parser) word(w string, k Kind) error {
	if len(p.src)-p.pos < len(w) || string(p.src[p.pos:p.pos+len(w)]) != w {
		return p.syntax("unknown word")
	}
	i := p.add(k)
	p.pos += len(w)
	p.close(i)
	return nil
}

// digits skips digits and reports whether there was one.
func (p *parser) digits() bool {
	from := p.pos
	for p.pos < len(p.src) && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > from
}

func (p *parser) at(set string) bool {
	if p.pos == len(p.src) {
		return false
	}
	for i := range len(set) {
		if p.src[p.pos] == set[i] {
			return true
		}
	}
	return false
}

func (p *parser) number() error {
	i := p.add(Number)
	if p.at("-") {
		p.pos++
	}
	if !p.digits() {
		return p.syntax("number without digits")
	}
	if p.at(".") {
		p.pos++
		if !p.digits() {
			return p.syntax("number without decimals")
		}
	}
	if p.at("eE") {
		p.pos++
		if p.at("+-") {
			p.pos++
		}
		if !p.digits() {
			return p.syntax("number without exponent")
		}
	}
	p.close(i)
	return nil
}

func (p *parser) text() error {
	p.pos++ // the quote
	i := p.add(String)
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case '"':
			p.close(i)
			p.pos++
			return nil
		case '\\':
			p.d.nodes[i].escaped = true
			if err := p.escape(); err != nil {
				return err
			}
		default:
			p.pos++
		}
	}
	return p.syntax("string without end")
}

func (p *parser) escape() error {
	if p.pos+1 >= len(p.src) {
		return p.syntax("string without end")
	}
	switch p.src[p.pos+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.pos += 2
		return nil
	case 'u':
		if _, ok := hex4(p.src[p.pos+2:]); ok {
			p.pos += 6
			return nil
		}
	}
	return p.syntax("unknown escape")
}

func (p *parser) enter() error {
	if p.depth++; p.depth > MaxDepth {
		return fmt.Errorf("%w: over %d levels at byte %d", ErrDepth, MaxDepth, p.pos)
	}
	return nil
}

func (p *parser) array() error {
	if err := p.enter(); err != nil {
		return err
	}
	i := p.add(Array)
	p.pos++
	p.space()
	if !p.at("]") {
		for {
			if err := p.value(); err != nil {
				return err
			}
			p.space()
			if !p.at(",") {
				break
			}
			p.pos++
		}
	}
	return p.leave(i, "]")
}

func (p *parser) object() error {
	if err := p.enter(); err != nil {
		return err
	}
	i := p.add(Object)
	p.pos++
	p.space()
	if !p.at("}") {
		for {
			if err := p.member(); err != nil {
				return err
			}
			p.space()
			if !p.at(",") {
				break
			}
			p.pos++
		}
	}
	return p.leave(i, "}")
}

func (p *parser) member() error {
	p.space()
	if !p.at(`"`) {
		return p.syntax("object without key")
	}
	if err := p.text(); err != nil {
		return err
	}
	p.space()
	if !p.at(":") {
		return p.syntax("key without value")
	}
	p.pos++
	return p.value()
}

func (p *parser) leave(i int, end string) error {
	if !p.at(end) {
		return p.syntax("expected , or " + end)
	}
	p.pos++
	p.depth--
	p.close(i)
	return nil
}
