package web

import "html/template"

// icons are the bodies of the 16 by 16 line icons. A verdict always has a
// shape of its own beside its word and colour.
var icons = map[string]template.HTML{
	"rollouts": `<path d="M3 12.5h3.2a3 3 0 0 0 2.7-1.7l.7-1.6A3 3 0 0 1 12.3 7.5H14"/><path d="m11.8 5.2 2.4 2.3-2.4 2.3"/><path d="M2 3.5h4"/>`,
	"bug":      `<rect x="5" y="5.2" width="6" height="8" rx="3"/><path d="M6 5.2a2 2 0 0 1 4 0M2.5 6.5 5 7.6M13.5 6.5 11 7.6M2.2 10H5M13.8 10H11M3 13.6l2.3-1.4M13 13.6l-2.3-1.4"/>`,
	"link":     `<path d="M6.8 9.2a2.7 2.7 0 0 0 3.9 0l2-2a2.7 2.7 0 0 0-3.9-3.9l-.8.8M9.2 6.8a2.7 2.7 0 0 0-3.9 0l-2 2a2.7 2.7 0 0 0 3.9 3.9l.8-.8"/>`,
	"list":     `<path d="M6 4h7.5M6 8h7.5M6 12h7.5M2.7 4h.01M2.7 8h.01M2.7 12h.01"/>`,
	"print":    `<path d="M4.5 6V2.5h7V6M4.5 11.5h-2V6h11v5.5h-2"/><path d="M4.5 9.5h7v4h-7z"/>`,
	"bell":     `<path d="M3.5 11.5c.9-1 1.2-2 1.2-4.2a3.3 3.3 0 0 1 6.6 0c0 2.2.3 3.2 1.2 4.2z"/><path d="M6.8 13.5h2.4"/>`,
	"search":   `<circle cx="7" cy="7" r="4.3"/><path d="m10.2 10.2 3.3 3.3"/>`,
	"moon":     `<path d="M13.4 9.6A5.8 5.8 0 0 1 6.4 2.6a5.8 5.8 0 1 0 7 7z"/>`,
	"sun":      `<circle cx="8" cy="8" r="3"/><path d="M8 1.5v1.4M8 13.1v1.4M1.5 8h1.4M13.1 8h1.4M3.4 3.4l1 1M11.6 11.6l1 1M3.4 12.6l1-1M11.6 4.4l1-1"/>`,
	"help":     `<circle cx="8" cy="8" r="6.2"/><path d="M6.3 6.3a1.8 1.8 0 0 1 3.5.5c0 1.2-1.8 1.5-1.8 2.6M8 11.3v.1"/>`,
	"leave":    `<path d="M6.5 2.8H3.6v10.4h2.9M10.2 5.2 13 8l-2.8 2.8M13 8H6.4"/>`,
	"pass":     `<circle cx="8" cy="8" r="6.2"/><path d="m5.2 8.2 2 2 3.6-4"/>`,
	"warn":     `<path d="M8 2.2 14.3 13H1.7z"/><path d="M8 6.4v3.2M8 11.4v.1"/>`,
	"hold":     `<circle cx="8" cy="8" r="6.2"/><path d="M6.4 5.8v4.4M9.6 5.8v4.4"/>`,
	"wait":     `<circle cx="8" cy="8" r="6.2" stroke-dasharray="2.4 2.2"/><path d="M8 5v3.2l2 1.4"/>`,
	"fail":     `<path d="M5.4 1.8h5.2l3.6 3.6v5.2l-3.6 3.6H5.4l-3.6-3.6V5.4z"/><path d="m6 6 4 4M10 6l-4 4"/>`,
	"person":   `<circle cx="8" cy="5.4" r="2.6"/><path d="M3 13.7c.5-2.7 2.5-4 5-4s4.5 1.3 5 4"/>`,
	"hand":     `<path d="M5.5 8.5V4a1.1 1.1 0 0 1 2.2 0v3.5V3a1.1 1.1 0 0 1 2.2 0v4.5V4.2a1.1 1.1 0 0 1 2.2 0v5.3c0 2.8-1.7 4.7-4.2 4.7-2 0-3-1-3.9-2.5L2.6 9.4a1 1 0 0 1 1.7-1.1l1.2 1.5"/>`,
	"pause":    `<path d="M5.5 3.5v9M10.5 3.5v9"/>`,
	"play":     `<path d="M4.5 3v10l8-5z"/>`,
	"down":     `<path d="M8 3v9.5M4 8.8l4 4 4-4"/>`,
	"up":       `<path d="M8 13V3.5M4 7.2l4-4 4 4"/>`,
	"back":     `<path d="M3 6.5h6.2a3.6 3.6 0 0 1 0 7.2H6.5"/><path d="M5.8 3.4 2.7 6.5l3.1 3.1"/>`,
	"check":    `<path d="m3.2 8.6 3 3 6.6-7"/>`,
	"cross":    `<path d="m4 4 8 8M12 4l-8 8"/>`,
	"broom":    `<path d="M9.5 6.5 13 2M5 8.2c1.2-1.4 3-2 4.6-1.6l.6.6c.4 1.7-.2 3.4-1.6 4.7L6.2 14 2.2 10z"/>`,
	"next":     `<path d="m6 4 4 4-4 4"/>`,
	"prev":     `<path d="m10 4-4 4 4 4"/>`,
	"lock":     `<rect x="3.5" y="7" width="9" height="6.5" rx="1.6"/><path d="M5.5 7V5a2.5 2.5 0 0 1 5 0v2"/>`,
	"copy":     `<rect x="5.5" y="5.5" width="8" height="8" rx="1.6"/><path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5"/>`,
	"chat":     `<path d="M2.5 3.5h11v7.6H7l-3 2.4v-2.4H2.5z"/>`,
	"plan":     `<path d="M4 2h5.2L12.5 5.4V14H4z"/><path d="M9 2v3.6h3.5M6 8.4h4.5M6 11h4.5"/>`,
	"flag":     `<path d="M3.5 14V2.6M3.5 3h8.6l-1.9 3 1.9 3H3.5"/>`,
	"sliders":  `<path d="M2 4.5h7M12.5 4.5H14M2 11.5h1.5M7 11.5h7"/><circle cx="10.7" cy="4.5" r="1.7"/><circle cx="5.2" cy="11.5" r="1.7"/>`,
	"dot":      `<circle cx="8" cy="8" r="1.6"/>`,
	"box":      `<rect x="2.4" y="2.4" width="11.2" height="11.2" rx="3"/>`,
}

// icon draws a line icon; an unknown name is a dot. Extra classes are ours,
// never data.
func icon(name string, class ...string) template.HTML {
	body, ok := icons[name]
	if !ok {
		body = icons["dot"]
	}
	c := "i"
	for _, extra := range class {
		c += " " + extra
	}
	return `<svg class="` + template.HTML(template.HTMLEscapeString(c)) + `" viewBox="0 0 16 16" aria-hidden="true">` + body + `</svg>`
}
