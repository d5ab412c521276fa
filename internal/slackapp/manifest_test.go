package slackapp

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// documented are the names of docs.slack.dev/reference/app-manifest that the
// manifest has, with the limits of what stands there.
var documented = []string{
	"display_information", "display_information.background_color", "display_information.description", "display_information.name",
	"features", "features.bot_user", "features.bot_user.always_online", "features.bot_user.display_name",
	"features.slash_commands", "features.slash_commands.command", "features.slash_commands.description", "features.slash_commands.should_escape", "features.slash_commands.usage_hint",
	"oauth_config", "oauth_config.scopes", "oauth_config.scopes.bot",
	"settings", "settings.interactivity", "settings.interactivity.is_enabled", "settings.org_deploy_enabled", "settings.socket_mode_enabled", "settings.token_rotation_enabled",
}

// names collects the names of a document.
func names(at string, v any, out map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			path := strings.TrimPrefix(at+"."+name, ".")
			out[path] = inner
			names(path, inner, out)
		}
	case []any:
		for _, inner := range v {
			names(at, inner, out)
		}
	}
}

func manifestOf(t *testing.T, public string) map[string]any {
	t.Helper()
	data, err := Manifest(public)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	names("", doc, out)
	return out
}

func TestManifest(t *testing.T) {
	socket := manifestOf(t, "")
	if diff := cmp.Diff(documented, slices.Sorted(maps.Keys(socket))); diff != "" {
		t.Errorf("names differ from the documented ones (-want +got):\n%s", diff)
	}
	if socket["settings.socket_mode_enabled"] != true || socket["settings.interactivity.is_enabled"] != true {
		t.Errorf("manifest %v, want Socket Mode and interactivity", socket)
	}
	for name, most := range map[string]int{"display_information.name": 35, "display_information.description": 140, "features.bot_user.display_name": 80,
		"features.slash_commands.command": 32, "features.slash_commands.description": 2000, "features.slash_commands.usage_hint": 1000} {
		if text, _ := socket[name].(string); text == "" || len(text) > most {
			t.Errorf("%s is %q, want 1 to %d characters", name, text, most)
		}
	}
	posted := manifestOf(t, "https://serin.example/")
	for _, name := range []string{"settings.interactivity.request_url", "features.slash_commands.url"} {
		if posted[name] != "https://serin.example/hooks/slack" {
			t.Errorf("%s = %v", name, posted[name])
		}
	}
	if posted["settings.socket_mode_enabled"] != false {
		t.Error("an app with an address uses Socket Mode too")
	}
	if _, err := Manifest("http://serin.example"); err == nil {
		t.Error("an address without TLS is accepted")
	}
}
