package web

import (
	"io/fs"
	"math"
	"regexp"
	"strings"
	"testing"
)

// colour finds a colour that is no token.
var colour = regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|\b(rgb|rgba|hsl|hsla|oklch|lab)\(`)

// TestRules holds the static rules over templates, styles and modules: no
// style attribute, no handler attribute, no inline script, no colour outside
// tokens.css, nothing loaded from elsewhere, no evaluation of text.
func TestRules(t *testing.T) {
	check := func(name, text string) {
		isCSS, isJS, isHTML := strings.HasSuffix(name, ".css"), strings.HasSuffix(name, ".js"), strings.HasSuffix(name, ".html")
		if strings.Contains(name, "/vendor/") || !isCSS && !isJS && !isHTML {
			return
		}
		if isCSS && !strings.HasSuffix(name, "tokens.css") || isJS {
			if m := colour.FindString(text); m != "" {
				t.Errorf("%s: colour %s is no token", name, m)
			}
		}
		if isHTML {
			if m := regexp.MustCompile(`\s(style|on[a-z]+)=|(fill|stroke)="#`).FindString(text); m != "" {
				t.Errorf("%s: %q", name, m)
			}
			if regexp.MustCompile(`<script(>|[^>]*[^>]>[^<])`).MatchString(text) {
				t.Errorf("%s: inline script", name)
			}
		}
		if m := regexp.MustCompile(`https?://|//cdn`).FindString(text); m != "" {
			t.Errorf("%s: loads from %q", name, m)
		}
		if isJS {
			for i, line := range strings.Split(text, "\n") {
				if strings.Count(line, "`")%2 != 0 {
					t.Errorf("%s:%d: a template literal goes over lines; thin would change it", name, i+1)
				}
			}
		}
		if isJS && regexp.MustCompile(`\beval\(|new Function|setAttribute\('style`).MatchString(text) {
			t.Errorf("%s: evaluates text or sets a style attribute", name)
		}
	}
	for _, dir := range []struct {
		fsys fs.FS
		root string
	}{{templateFS, "templates"}, {staticFS, "static"}} {
		err := fs.WalkDir(dir.fsys, dir.root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := fs.ReadFile(dir.fsys, name)
			check(name, string(b))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestTokens: every token that is used is defined.
func TestTokens(t *testing.T) {
	tokens, _ := staticFS.ReadFile("static/css/tokens.css")
	defined := map[string]bool{}
	for _, m := range regexp.MustCompile(`(--[a-z0-9-]+):`).FindAllStringSubmatch(string(tokens), -1) {
		defined[m[1]] = true
	}
	for _, name := range []string{"static/css/app.css", "static/css/record.css", "static/js/charts.js"} {
		text, err := staticFS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:var|token)\('?(--[a-z0-9-]+)`).FindAllStringSubmatch(string(text), -1) {
			if !defined[m[1]] {
				t.Errorf("%s uses %s, which tokens.css does not define", name, m[1])
			}
		}
	}
}

func TestFormat(t *testing.T) {
	for got, want := range map[string]string{
		percent(25): "25%", percent(24.94): "24.9%", percent(.25): "0.25%", count(143902): "143,902", count(-1234): "-1,234",
		duration(3*3600e9 + 12*60e9): "3h 12m", duration(48 * 3600e9): "48h", duration(90e9): "1m", duration(0): "0m",
		value(412, "ms"): "412 ms", value(2210, "ms"): "2.21 s", value(.00056, "%"): "0.056%", value(4.6, ""): "4.6", value(math.NaN(), "ms"): dash,
		relative(.018): "+1.8%", relative(-.2): "-20%", relative(.3): "+30%", relative(0): "0%", upper("über"): "Über", plural(1, "user"): "1 user",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
