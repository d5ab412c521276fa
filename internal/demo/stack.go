package demo

import "github.com/getsentry/sentry-go"

// sources are the lines around the crash in the shop's two functions, and the
// line itself.
var sources = map[string]struct {
	before []string
	line   string
	after  []string
}{
	"WidgetGrid": {
		[]string{"export function WidgetGrid({ tenant }: Props) {", "  const { data } = useWidgets(tenant)", "", "  // one row of cards for each shelf the admin may see"},
		"  const cards = data.shelf.rows.map((row) => (",
		[]string{"    <WidgetRow key={row.id} row={row} />", "  ))", "  return <Grid columns={3}>{cards}</Grid>"},
	},
	"loadAvatars": {
		[]string{"export async function loadAvatars(users: User[]) {"},
		"  const answer = await fetch('/api/avatars', { signal: AbortSignal.timeout(5000) })",
		[]string{"  return answer.json()", "}"},
	},
}

// stackOf is the stack of a crash in function, as a bundler that keeps names
// and sources lets an SDK report it: caller first, crash last.
func stackOf(function string) []sentry.Frame {
	s := sources[function]
	return []sentry.Frame{
		{Function: "renderWithHooks", Module: "react-dom", Filename: "app:///node_modules/react-dom/index.js", Lineno: 15486},
		{Function: "AdminUsersPage", Module: "admin/page", Filename: "app:///admin/page.tsx", Lineno: 21, Colno: 10, InApp: true},
		{Function: function, Module: "admin/" + function, Filename: "app:///admin/" + function + ".tsx", Lineno: 42, Colno: 31, InApp: true,
			PreContext: s.before, ContextLine: s.line, PostContext: s.after},
	}
}
