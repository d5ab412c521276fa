package controller

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/plan"
	"serin/internal/rollout"
)

// TestWhomANoticeIsFor: a page names the role of judge.no_data.page, else the
// stage's owner; what everybody hears names nobody.
func TestWhomANoticeIsFor(t *testing.T) {
	const source = `serin: 1
plan: p
timezone: UTC
flag: { key: f }
roles: { lead: { who: "@ann", may: [start, accept, resume, restart, approve] }, on-call: { who: "@bob" } }
judge: { no_data: { page: PAGE } }
stages: [{ stage: a, traffic: 10%, bake: 1h, owner: lead }]
`
	for page, want := range map[string]string{"on-call": "on-call (@bob)", "owner": "lead (@ann)"} {
		p, err := plan.Parse([]byte(strings.Replace(source, "PAGE", page, 1)))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			e    rollout.Event
			want []string
		}{
			{rollout.Event{Type: rollout.NoData, Paged: true}, []string{want}},
			{rollout.Event{Type: rollout.Checked}, []string{"lead (@ann)"}},
			{rollout.Event{Type: rollout.Advanced}, nil},
		} {
			if d := cmp.Diff(tt.want, meant(p, tt.e)); d != "" {
				t.Errorf("page %s, %s (-want +got)\n%s", page, tt.e.Type, d)
			}
		}
	}
}
