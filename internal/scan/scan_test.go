package scan

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"serin/internal/plan"
)

// TestScanners looks for the word N; want says line and kind of each place.
func TestScanners(t *testing.T) {
	for _, tt := range []struct{ name, file, src, want string }{
		{"go", "a.go", "package a // N\nvar N = \"N\" + `\nN // N` + string('\"') /* /* N */ + N\nvar NN, aN = 1, N_", "1 comment, 2 code, 2 string, 3 string, 3 string, 3 comment, 3 code"},
		{"go unclosed string", "a.go", "var a = \"x\nN", "2 code"},
		{"java", "A.java", "class A { String s = \"\"\"\n N \" N\n\"\"\"; char c = '\"'; /** N */ int N; } // N", "2 string, 2 string, 3 comment, 3 code, 3 comment"},
		{"ts strings", "a.ts", "f(\"a\\\"N\", 'N') /* N\n N */ + N // 'N\nconst o = { N: 1, 'N': o.N }", "1 string, 1 string, 1 comment, 2 comment, 2 code, 2 comment, 3 code, 3 string, 3 code"},
		{"template", "a.ts", "`N ${ f(`N ${N} N`, { a: N }) } N` + N", "1 string, 1 string, 1 code, 1 string, 1 code, 1 string, 1 code"},
		{"regex", "a.js", "x = /[/'\"`N]\\/N/g; y = a / N / b; if (a) /'N/.test(N)\nz = (a) / N // N\nreturn /\"/, N", "1 string, 1 string, 1 code, 1 string, 1 code, 2 code, 2 comment, 3 code"},
		{"regex is no comment", "a.js", "s.replace(/\\//g, N) // N", "1 code, 1 comment"},
		{"jsx", "a.tsx", "const a = <div className=\"N\" x={N}>Don't N {N /* N */} it's // N <b>N</b><N.x/></div>; N // N",
			"1 string, 1 code, 1 string, 1 code, 1 comment, 1 string, 1 string, 1 code, 1 code, 1 comment"},
		{"jsx fragment", "a.jsx", "return (<>{on && <N a='>' />} can't N</>) + N", "1 code, 1 string, 1 code"},
		{"tsx generics", "a.tsx", "const f = <T,>(a: T) => a; const g = <T extends N>(a: T) => 'N'; h<N>(\"N\"); if (a < N) {} // N", "1 code, 1 string, 1 code, 1 string, 1 code, 1 comment"},
		{"ts assertion", "a.ts", "let a = <N>b; let c = 'N'", "1 code, 1 string"},
		{"python", "a.py", "# N\nx = '''N ' # N\n''' + N # N\ny = r\"\\\" + N\" + f'{N} {{N}} {a[\"N\"]}' + N\ndef N(): \"\"\"N\"\"\"",
			"1 comment, 2 string, 2 string, 3 code, 3 comment, 4 string, 4 code, 4 string, 4 string, 4 code, 5 code, 5 string"},
		{"python nested", "a.py", "f\"{ {'N': N}['N'] } N\"; N", "1 string, 1 code, 1 string, 1 string, 1 code"},
		{"ruby", "a.rb", "# N\n=begin\nN\n=end\nputs \"N #{N + \"N #{N}\"} N\", 'N #{N}', :N, %w[N (a)], N: 1\nx = a / N / b; y = /N#{N}'/ # N\n",
			"1 comment, 3 comment, 5 string, 5 code, 5 string, 5 code, 5 string, 5 string, 5 string, 5 code, 5 string, 5 code, 6 code, 6 string, 6 code, 6 comment"},
		{"ruby heredocs", "a.rb", "f(<<~A, <<-'B', N)\n N #{N} '\n A\n N #{N}\n B\nN << x # N\n__END__\nN", "1 code, 2 string, 2 code, 4 string, 4 string, 6 code, 6 comment, 8 string"},
		{"ruby append", "a.rb", "a <<N\n'N'", "1 code, 2 string"},
		{"vue", "a.vue", "<!-- N --><script lang=\"ts\">\nlet a = 'N' // N\nN()</script><template><N :a=\"N + 'N'\" b=\"N\">don't N {{ N }} N</N></template><style>\n.N { /* N */ }</style>",
			"1 comment, 2 string, 2 comment, 3 code, 3 code, 3 code, 3 string, 3 string, 3 string, 3 code, 3 string, 3 code, 4 string, 4 comment"},
		{"svelte", "a.svelte", "<script>let N = \"N\"</script>{#if N}it's N{:else if N}{/if}<a b={N} c=\"N {N}\" on:x={() => {N}}>N</a>",
			"1 code, 1 string, 1 code, 1 string, 1 code, 1 code, 1 string, 1 code, 1 code, 1 string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := Tree(fstest.MapFS{tt.file: {Data: []byte(tt.src)}}, Options{Needles: []Needle{{"N", Key}}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range found {
				got = append(got, fmt.Sprint(r.Line, " ", r.Kind))
			}
			if d := cmp.Diff(tt.want, strings.Join(got, ", ")); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestNeedles(t *testing.T) {
	fsys := fstest.MapFS{
		"src/a.ts":          {Data: []byte("useNew('x useNew'); w['useNew']; useNewer(); // useNew\nf('new-pay', 'new-pay-2')")},
		"src/old/b.ts":      {Data: []byte("import './c'")},
		"src/d.ts":          {Data: []byte("import a from './old/b'\nimport('@/old'); require('src/old/x'); f('http://x/src/old'); f('./older')")},
		"py/e.py":           {Data: []byte("from src.old import x\nimport src.older")},
		"py/f.py":           {Data: []byte("from ..src import old")},
		"node_modules/x.ts": {Data: []byte("useNew()")},
		"out/x.ts":          {Data: []byte("useNew()")},
		"gen/x.ts":          {Data: []byte("useNew()")},
		"x.min.js":          {Data: []byte("useNew()")},
		"y.js":              {Data: []byte("useNew()" + strings.Repeat(" ", maxLine+1))},
		"z.js":              {Data: []byte("useNew()\x00")},
		"link.js":           {Data: []byte("useNew()"), Mode: os.ModeSymlink},
		"readme.md":         {Data: []byte("useNew()")},
		".gitignore":        {Data: []byte("# made\n/out/\n")},
	}
	found, err := Tree(fsys, Options{Needles: []Needle{{"useNew", Symbol}, {"new-pay", Key}, {"src/old/", LegacyPath}}, Exclude: []string{"gen"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range found {
		got = append(got, fmt.Sprintf("%s:%d:%d %s %s", r.File, r.Line, r.Column, r.Kind, r.Needle))
	}
	want := []string{
		"py/e.py:1:6 code src/old", "py/f.py:1:6 code src/old",
		"src/a.ts:1:1 code useNew", "src/a.ts:1:24 string useNew", "src/a.ts:1:49 comment useNew", "src/a.ts:2:4 string new-pay",
		"src/d.ts:1:15 string src/old", "src/d.ts:2:8 string src/old", "src/d.ts:2:26 string src/old", "src/old:0:0 path src/old",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestAliases(t *testing.T) {
	const target = "src/app/admin/legacy"
	for text, want := range map[string]bool{
		"@/app/admin/legacy/Table": true, "~/admin/legacy": true, "src/app/admin/legacy": true, "example.com/m/src/app/admin/legacy": true,
		"../legacy/x": true, "./x": false, "@/app/admin/legacyish": false, "@/legacy": false, "": false, "../../../../..": false,
	} {
		if got := leads("src/app/admin/new", text, target, false); got != want {
			t.Errorf("%q leads into %s: %v, want %v", text, target, got, want)
		}
	}
}

func TestIgnore(t *testing.T) {
	for _, tt := range []struct {
		line, name string
		dir, want  bool
	}{
		{"out", "a/out", true, true}, {"/out", "a/out", true, false}, {"out/", "out", false, false}, {"*.gen.ts", "a/b.gen.ts", false, true},
		{"a/**/c", "a/b/b/c", false, true}, {"a/**/c", "a/c", false, true}, {"a/*", "a/b/c", false, false}, {"a/**", "a/b/c", false, true}, {"a/**", "a", true, false},
	} {
		p, ok := parsePattern(".", tt.line)
		if got := p.match(tt.name, tt.dir); !ok || got != tt.want {
			t.Errorf("%q matches %s: %v, want %v", tt.line, tt.name, got, tt.want)
		}
	}
	var patterns []pattern
	for _, line := range []string{"*.ts", "!keep.ts"} {
		p, _ := parsePattern("sub", line)
		patterns = append(patterns, p)
	}
	if !ignored(patterns, "sub/x.ts", false) || ignored(patterns, "sub/keep.ts", false) || ignored(patterns, "x.ts", false) {
		t.Error("a .gitignore holds for its own folder, and ! takes back")
	}
}

const cleanUp = `serin: 1
plan: bench
timezone: UTC
flag: { key: newBench, env: PUBLIC_FLAGS }
preflight:
  - { id: legacy, do: Keep the old code, verify: path exists src/old/ }
stages:
  - { stage: full, traffic: 100%, bake: 1h }
cleanup:
  tasks:
    - { id: old, do: Delete, verify: path gone src/old/, irreversible: true }
    - { id: hook, do: Unwrap, verify: refs gone useNewBench }
`

func TestFacts(t *testing.T) {
	p, err := plan.Parse([]byte(cleanUp))
	if err != nil {
		t.Fatal(err)
	}
	before := fstest.MapFS{"src/old/a.ts": {Data: []byte("useNewBench()")}}
	after := fstest.MapFS{"src/a.ts": {Data: []byte("// useNewBench went")}}
	for name, tt := range map[string]struct {
		tree fstest.MapFS
		want map[string]bool
	}{
		"before": {before, map[string]bool{"path exists src/old/": true, "path gone src/old/": false, "refs gone useNewBench": false, "refs gone newBench": true}},
		"after":  {after, map[string]bool{"path exists src/old/": false, "path gone src/old/": true, "refs gone useNewBench": true, "refs gone newBench": true}},
	} {
		got, err := Facts(p, tt.tree)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
	}
	if got, err := Facts(p, fstest.MapFS{"readme.md": {}}); !errors.Is(err, ErrNoSources) {
		t.Errorf("a folder without sources says %v, %v: nothing is gone there", got, err)
	}
	named := fstest.MapFS{"src/a.ts": {Data: []byte("if (flags.getBooleanValue('newBench', false)) {}")}}
	if got, err := Facts(p, named); err != nil || got["refs gone newBench"] {
		t.Errorf("the flag's key is a string of the code, and is not gone: %v, %v", got, err)
	}
	want := []Needle{{"newBench", Key}, {"newBench_canary", Key}, {"PUBLIC_FLAGS", Key}, {"src/old/", LegacyPath}, {"useNewBench", Symbol}}
	if d := cmp.Diff(want, Needles(p)); d != "" {
		t.Errorf("needles (-want +got)\n%s", d)
	}
}

func TestOutsideIsRefused(t *testing.T) {
	for _, name := range []string{"../x", "/x", ".", ""} {
		if _, err := Tree(fstest.MapFS{"a.go": {}}, Options{Needles: []Needle{{name, LegacyPath}}}); err == nil {
			t.Errorf("path %q is taken", name)
		}
	}
}

func FuzzScanners(f *testing.F) {
	for _, s := range []string{"`${`${", "<a b={'</a>", "f'{{{'", "<<~A\n#{\nA\n", "%w[a", "{{ } }}", "<script>", "/[/", "\"\\", "=begin\n=end", "<style>/*", "<a b=\"{\"", "r'\\", "'''", "<<~A+<<~A\nA\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		for ext, lang := range languages {
			at := 0
			for _, s := range lang([]byte(src)) {
				if s.start != at || s.end <= at {
					t.Fatalf("%s: a segment %d-%d follows %d", ext, s.start, s.end, at)
				}
				at = s.end
			}
			if at != len(src) {
				t.Fatalf("%s: %d of %d bytes are covered", ext, at, len(src))
			}
		}
		_, _ = Tree(fstest.MapFS{"a.rb": {Data: []byte(src)}, "a.py": {Data: []byte(src)}}, Options{Needles: []Needle{{"a", Key}, {"a/b", LegacyPath}}})
	})
}

func BenchmarkTypeScript(b *testing.B) {
	src := []byte(strings.Repeat("export const a = (x: number) => { return `a ${x / 2} b` + 'c' } // d\n<div a=\"b\">it's {x}</div>\n", 2000))
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		javascript(src)
	}
}
