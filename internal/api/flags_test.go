package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/auth"
	"serin/internal/store"
)

const banner = `{"state":"ENABLED","variants":{"none":"","spring":"Frühling"},"defaultVariant":"none","targeting":{"if":[{"==":[{"var":"country"},"de"]},"spring"]}}`

func TestFlags(t *testing.T) {
	r := newRig(t)
	type flag struct {
		Key        string
		Definition json.RawMessage
		Revision   int64
		Owner      string
		UpdatedBy  string `json:"updated_by"`
	}
	if a := r.as(auth.Read, 200, http.MethodGet, "/flags", nil); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("no flags are %s, want []", a.body)
	}
	r.refused(auth.Operate, 422, "flagd's format", http.MethodPut, "/flags/banner", `{"state":"SOMETIMES"}`)
	r.refused(auth.Operate, 422, "", http.MethodPut, "/flags/banner", `{"state":"ENABLED","variants":{"a":1},"defaultVariant":"b"}`)
	r.refused(auth.Operate, 422, "", http.MethodPut, "/flags/banner", `{`)
	r.refused(auth.Operate, 422, "revision", http.MethodPut, "/flags/banner?revision=-2", banner)
	r.as(auth.Operate, 200, http.MethodPut, "/flags/banner?revision=0&reason=sale", banner)

	// Who was second reads again.
	r.refused(auth.Operate, 409, "read it again", http.MethodPut, "/flags/banner?revision=0", banner)
	got := decode[flag](t, r.as(auth.Read, 200, http.MethodGet, "/flags/banner", nil))
	if got.Key != "banner" || got.Revision != 1 || got.UpdatedBy != "operate" || got.Owner != "" {
		t.Errorf("got %+v", got)
	}
	r.as(auth.Operate, 200, http.MethodPut, "/flags/banner?revision=1", strings.Replace(banner, "Frühling", "Lenz", 1))
	r.refused(auth.Operate, 409, "read it again", http.MethodPut, "/flags/banner?revision=1", banner)
	if history := decode[[]flag](t, r.as(auth.Read, 200, http.MethodGet, "/flags/banner/history", nil)); len(history) != 2 || history[0].Revision != 2 {
		t.Errorf("history: %+v", history)
	}

	// What a user gets.
	type evaluation struct{ Key, Variant, Reason string }
	for country, want := range map[string]evaluation{"de": {"banner", "spring", "TARGETING_MATCH"}, "fr": {"banner", "none", "DEFAULT"}} {
		e := decode[evaluation](t, r.as(auth.Read, 200, http.MethodPost, "/flags/banner/evaluate",
			map[string]any{"context": map[string]any{"targetingKey": "u1", "country": country}}))
		if d := cmp.Diff(want, e); d != "" {
			t.Errorf("%s (-want +got)\n%s", country, d)
		}
	}
	r.refused(auth.Read, 404, "no flag nothing", http.MethodPost, "/flags/nothing/evaluate", map[string]any{"context": map[string]any{}})
	r.refused(auth.Read, 422, "context", http.MethodPost, "/flags/banner/evaluate", map[string]any{})
	r.refused(auth.Read, 404, "not found", http.MethodGet, "/flags/nothing", nil)

	r.as(auth.Operate, 204, http.MethodDelete, "/flags/banner?reason=sale+is+over", nil)
	r.refused(auth.Operate, 404, "not found", http.MethodDelete, "/flags/banner", nil)
	audit := decode[[]store.AuditEntry](t, r.as(auth.Read, 200, http.MethodGet, "/audit?target=flag+banner", nil))
	if len(audit) != 3 || audit[0].Verb != "delete flag" || audit[0].Reason != "sale is over" || audit[2].Reason != "sale" {
		t.Errorf("audit: %+v", audit)
	}
}

// TestOwnedFlag: a rollout's flag changes by its rollout only; who may read it
// stays a matter of the flag.
func TestOwnedFlag(t *testing.T) {
	r := started(t)
	r.refused(auth.Admin, 409, "owned by rollout checkout-1", http.MethodPut, "/flags/newCheckout", banner)
	r.refused(auth.Admin, 409, "owned by rollout checkout-1", http.MethodDelete, "/flags/newCheckout", nil)
	var flag struct{ Definition map[string]any }
	if err := json.Unmarshal(r.as(auth.Read, 200, http.MethodGet, "/flags/newCheckout", nil).body, &flag); err != nil {
		t.Fatal(err)
	}
	flag.Definition["metadata"] = map[string]any{"client": true}
	r.as(auth.Operate, 200, http.MethodPut, "/flags/newCheckout", flag.Definition)
}
