package scan

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestGrammar holds the harder corners of each language. In each source the
// marks say what every N is: «c» code, «s» string, «k» comment. They are taken
// out before the scan.
func TestGrammar(t *testing.T) {
	for _, tt := range []struct{ name, file, src string }{
		{"keys are strings of code", "a.ts", "const on = client.getBooleanValue('«s»N', false) // «k»N"},
		{"ts nested templates", "a.ts", "const a = `${x ? `«s»N ${`${«c»N}«s»N`}` : '«s»N'} «s»N`; «c»N()"},
		{"ts template with braces", "a.ts", "`${ { a: { b: «c»N } }.a } «s»N`; `\\${«s»N}`; `$N`; `{«s»N}`; «c»N"},
		{"ts tagged template", "a.ts", "sql`select «s»N from ${table(«c»N)} -- «s»N`"},
		{"ts regex after keyword and bracket", "a.ts", "return /«s»N/.test(a) || [/«s»N/, «c»N]; x = a ? /«s»N'/ : /[/]«s»N/g // «k»N"},
		{"ts division is no regex", "a.ts", "x = (a + b) / «c»N / c; y = a[0] / «c»N / 2; z = i++ / «c»N / 2; w = «c»N! / «c»N / 1"},
		{"ts property named as a keyword", "a.ts", "x = a.return / «c»N / 2; y = a?.in / «c»N / 3"},
		{"ts regex with a slash in a class", "a.ts", "s.split(/[/\"']/).map(«c»N) // «k»N"},
		{"ts decorators and types", "a.ts", "@«c»N({ a: '«s»N' }) class A<T extends «c»N> { #x: Map<'«s»N', «c»N> = new Map<string, «c»N>() }"},
		{"ts comments in odd places", "a.ts", "f(/* «k»N */ «c»N /* ' «k»N */, \"/* «s»N\", '// «s»N') /** «k»N */"},
		{"ts line continuation", "a.ts", "a = 'x\\\n«s»N'; «c»N"},
		{"ts shebang", "a.ts", "#!/usr/bin/env «k»N\n«c»N"},
		{"js private and optional", "a.js", "a?.«c»N?.['«s»N']; o = { '«s»N': 1, [`«s»N`]: 2, «c»N: 3, «c»N() {} }"},
		{"jsx text is no code", "a.tsx", "const a = <p>it's «s»N, isn't it? // «s»N /* «s»N */ {/* «k»N */} {`«s»N`} {\"«s»N\"} {«c»N}</p>; «c»N"},
		{"jsx conditional", "a.tsx", "return on ? <«c»N a={<b>«s»N</b>} /> : (<><i {...«c»N}>«s»N</i></>)"},
		{"jsx attributes", "a.tsx", "<Flag name=\"«s»N\" on={() => { «c»N('«s»N') }} data-x='\"«s»N' render={`${«c»N}`}>{cond && <X y='«s»N'/>}</Flag>"},
		{"jsx after and", "a.jsx", "x && <A/>; y = a <«c»N; z = «c»N > 2 // «k»N"},
		{"jsx children function", "a.tsx", "<Ctx>{(v) => { return v ? <a>don't «s»N</a> : '«s»N' }}</Ctx>"},
		{"jsx namespace and dashes", "a.tsx", "<svg:a x-«c»N='«s»N'><«c»N.Item>«s»N</«c»N.Item></svg:a>; «c»N"},
		{"tsx generic calls", "a.tsx", "const [a] = useState<«c»N>('«s»N'); const b = <T extends {}>(x: T) => <i>«s»N</i>"},
		{"go", "a.go", "//go:build «k»N\npackage a\nvar a = `raw \\` + \"«s»N\" + `«s»N\n// «s»N` + string('\\'') + string('\"') /* «k»N\n */ + «c»N"},
		{"go struct tags", "a.go", "type A struct { «c»N string `json:\"«s»N\"` } // «k»N"},
		{"go runes", "a.go", "x := '\\\\'; y := '`'; «c»N(\"`«s»N\") // «k»N"},
		{"java text block", "A.java", "String s = \"\"\"\n  «s»N \\\"\"\" «s»N // «s»N\n  \"\"\" + «c»N; char c = '\\''; /* \" «k»N */ @«c»N(\"«s»N\") // «k»N"},
		{"java empty string", "A.java", "f(\"\", «c»N, \"«s»N\"); // «k»N"},
		{"python docstrings", "a.py", "def f():\n  \"\"\"«s»N isn't\n  # «s»N\"\"\"\n  return «c»N # «k»N"},
		{"python prefixes", "a.py", "a = rb'«s»N\\'' + Rb\"«s»N\" + u'«s»N' + f''; «c»N"},
		{"python f-string", "a.py", "f\"{«c»N!r:>{«c»N}} «s»N {d['«s»N']} {{«s»N}}\"; f'''«s»N {\n«c»N # «k»N\n} «s»N'''; «c»N"},
		{"python 3.12 nested quotes", "a.py", "f\"{d[\"«s»N\"]} «s»N {f\"{f\"{«c»N}\"}\"} «s»N\"; «c»N"},
		{"python raw f-string", "a.py", "rf'\\{«c»N} «s»N'; fr\"{«c»N}\"; «c»N"},
		{"python named characters", "a.py", "f'\\«s»N{DASH} «s»N {«c»N}' + f'\\{«c»N}\\'«s»N'; «c»N"},
		{"python t-string", "a.py", "t'«s»N {«c»N}'"},
		{"python brace in a string", "a.py", "f\"{'}'} «s»N\" + \"{«s»N}\"; «c»N"},
		{"python names before a quote", "a.py", "if «c»N and x in'«s»N' or y in\"«s»N\" # «k»N"},
		{"ruby percent", "a.rb", "a = %w[«s»N b] + %i(«s»N) + %q{«s»N #{«s»N}} + %Q{«s»N #{«c»N} {«s»N}} + %(«s»N)\nb = 5 % «c»N\nc = %r{«s»N/'}i # «k»N"},
		{"ruby heredoc", "a.rb", "a = <<~SQL.squish, «c»N\n  «s»N -- it's #{«c»N('«s»N')} «s»N\nSQL\nb = «c»N"},
		{"ruby raw heredoc", "a.rb", "f(<<~'A', <<~\"B\")\n«s»N #{«s»N}\nA\n«s»N #{«c»N}\nB\n«c»N # «k»N"},
		{"ruby interpolation", "a.rb", "\"«s»N #{ {a: «c»N, \"«s»N\" => %w[«s»N]}.to_s } «s»N\"; `ls «s»N #{«c»N}`; /«s»N #{«c»N}\\/«s»N/x; «c»N"},
		{"ruby symbols", "a.rb", "Flipper.enabled?(:«c»N, user) || Flipper[:'«s»N'] || { «c»N: 1, '«s»N': 2 } # «k»N"},
		{"ruby special variables", "a.rb", "a = $' + «c»N; b = $\" + «c»N; c = $`; d = «c»N # «k»N"},
		{"ruby question marks", "a.rb", "x = a ?'«s»N':\"«s»N\"; y = ?\"; z = «c»N? # «k»N"},
		{"ruby block comment", "a.rb", "«c»N\n=begin\n«k»N\n=end\n«c»N =begin\n"},
		{"ruby division", "a.rb", "x = «c»N / 2 / «c»N; y = f / «c»N; z = a.gsub(/'«s»N/, '«s»N') # «k»N"},
		{"vue directives", "a.vue", "<template><div v-if=\"«c»N && '«s»N'\" :class=\"{ '«s»N': «c»N }\" @click=\"() => «c»N('«s»N')\" #item=\"{ «c»N }\" title=\"«s»N\">a &lt; «s»N {{ «c»N ? '«s»N' : `${«c»N}` }} { «s»N }<!-- «k»N --></div></template>"},
		{"vue script setup", "a.vue", "<script setup lang=\"ts\">\nimport { «c»N } from './«s»N' // «k»N\nconst a = `«s»N ${«c»N}`\n</script>\n<template>it's «s»N<«c»N /></template>\n<style scoped>/* «k»N */ .«s»N {}</style>"},
		{"vue tsx", "a.vue", "<script lang=\"tsx\">const a = <p>don't «s»N {«c»N}</p></script><template>{{ «c»N }}</template>"},
		{"vue braces in a string", "a.vue", "<template>{{ '}}«s»N' }} «s»N {{ { a: «c»N } }} «s»N</template>"},
		{"vue two sections", "a.vue", "<script>«c»N</script><script setup>'«s»N'</script><template><a :b=\"`«s»N`\"/></template>"},
		{"svelte blocks", "a.svelte", "{#if «c»N}it's «s»N{:else if x === '«s»N'}{@html «c»N}{/if}{#each «c»N as n (n.«c»N)}«s»N{/each}{#await «c»N}{:then v}{/await}{@const x = `«s»N ${«c»N}`}"},
		{"svelte attributes", "a.svelte", "<A b=\"«s»N {«c»N} «s»N\" c={() => { «c»N('«s»N') }} {«c»N} class:x={«c»N} bind:value={«c»N} on:click=\"{«c»N}\">«s»N</A><!-- «k»N {«k»N} -->"},
		{"svelte script", "a.svelte", "<script lang=\"ts\" context=\"module\">let a: «c»N = '«s»N' // «k»N\n</script>\n{«c»N}<style>a { /* «k»N */ }</style>"},
		{"svelte braces in a string", "a.svelte", "{'}«s»N'} «s»N {`}${«c»N}`} «s»N {/* «k»N } */ «c»N}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, want := unmark(tt.src)
			found, err := Tree(fstest.MapFS{tt.file: {Data: []byte(src)}}, Options{Needles: []Needle{{"N", Key}}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range found {
				got = append(got, fmt.Sprintf("%d:%d %s", r.Line, r.Column, r.Kind))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s\n(-want +got)\n%s", src, d)
			}
		})
	}
}

// unmark takes the marks out of a source and returns what they say.
func unmark(marked string) (src string, want []string) {
	var b strings.Builder
	line, column := 1, 1
	for marked != "" {
		if rest, ok := strings.CutPrefix(marked, "«"); ok {
			kind := map[byte]Kind{'c': Code, 's': String, 'k': Comment}[rest[0]]
			want = append(want, fmt.Sprintf("%d:%d %s", line, column, kind))
			_, marked, _ = strings.Cut(rest, "»")
			continue
		}
		if column++; marked[0] == '\n' {
			line, column = line+1, 1
		}
		b.WriteByte(marked[0])
		marked = marked[1:]
	}
	return b.String(), want
}
