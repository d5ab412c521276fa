package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// buildVariable is a build variable as the API shows it.
type buildVariable struct {
	Name   string          `json:"name"`
	Flags  json.RawMessage `json:"flags"`
	Object json.RawMessage `json:"object"`
}

func (a *app) flagEnv() *cobra.Command {
	var name, read string
	var create bool
	cmd := &cobra.Command{
		Use: "env", Short: "Print flags as a build-time variable holds them, or read such a variable in", Args: cobra.NoArgs,
		Long: `Print the JSON object that a build environment's variable holds, for the flags of all plans that
name it in flag.env: KEY is true while any user is on new, KEY_canary while only some are.

  export NEXT_PUBLIC_FEATURE_FLAGS=$(serin flag env --name NEXT_PUBLIC_FEATURE_FLAGS)

The server deploys such a variable by itself where its configuration has deploy_hooks for it.

--read FILE ("-" is standard input) takes such an object and says what serin knows of each key;
with --create it makes the flags that are missing, switched as they are in the object.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if create && read == "" {
				return usageError{errors.New("--create goes with --read FILE")}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if read != "" {
				return a.readEnv(cmd, c, read, create)
			}
			var found []buildVariable
			if err := c.Call(cmd.Context(), http.MethodGet, "/flags/env?"+url.Values{"name": {name}}.Encode(), nil, &found); err != nil {
				return err
			}
			switch {
			case a.json:
				return a.print(found, nil)
			case name != "" && len(found) == 0:
				return fmt.Errorf("no rollout's plan has flag.env: %s: write it into the plan of the flag", name)
			case name != "":
				_, err := fmt.Fprintf(a.Out, "%s\n", found[0].Object)
				return err
			}
			for _, v := range found {
				fmt.Fprintf(a.Out, "%s=%s\n", v.Name, v.Object)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "the variable, such as NEXT_PUBLIC_FEATURE_FLAGS; without it all are printed")
	f.StringVar(&read, "read", "", "file with a variable's JSON object")
	f.BoolVar(&create, "create", false, "make the flags that are missing")
	return cmd
}

// readFlag is what became of one key of a variable that was read in.
type readFlag struct {
	Key  string `json:"key"`
	On   bool   `json:"on"`
	Says string `json:"says"`
}

func (a *app) readEnv(cmd *cobra.Command, c *client, file string, create bool) error {
	object, err := a.envObject(file)
	if err != nil {
		return err
	}
	var flags []flagAnswer
	if err := c.Call(cmd.Context(), http.MethodGet, "/flags", nil, &flags); err != nil {
		return err
	}
	known := map[string]string{}
	for _, f := range flags {
		known[f.Key] = f.Owner
	}
	var out []readFlag
	for _, key := range slices.Sorted(maps.Keys(object)) {
		r := readFlag{Key: key, On: object[key]}
		owner, exists := known[key]
		base, canary := strings.CutSuffix(key, "_canary")
		_, pair := object[base]
		switch {
		case canary && pair:
			r.Says = "second key of " + base + ": a plan's stages say who is in the canary"
		case exists && owner != "":
			r.Says = "exists, owned by rollout " + owner + ": left alone"
		case exists:
			r.Says = "exists: left alone"
		case !create:
			r.Says = "missing: --create makes it"
		default:
			if err := c.Call(cmd.Context(), http.MethodPut, flagPath(key)+"?revision=0&reason="+url.QueryEscape("read from a build variable"), booleanFlag(object[key]), nil); err != nil {
				return fmt.Errorf("create flag %s: %w", key, err)
			}
			r.Says = "created"
		}
		out = append(out, r)
	}
	return a.print(out, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		for _, r := range out {
			fmt.Fprintf(t, "%s\t%v\t%s\n", oneLine(r.Key), r.On, r.Says)
		}
		_ = t.Flush()
	})
}

// maxEnv bounds a variable's size; operating systems allow less.
const maxEnv = 1 << 20

func (a *app) envObject(file string) (map[string]bool, error) {
	in := a.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxEnv))
	if err != nil {
		return nil, err
	}
	var object map[string]bool
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&object); err != nil || object == nil {
		return nil, fmt.Errorf(`%s: write one JSON object of true and false, such as {"newCheckout":true}: %w`, file, errors.Join(err))
	}
	return object, nil
}

// booleanFlag is a flag that gives everybody on.
func booleanFlag(on bool) map[string]any {
	variant := map[bool]string{true: "new", false: "old"}[on]
	return map[string]any{"state": "ENABLED", "variants": map[string]bool{"new": true, "old": false}, "defaultVariant": variant}
}
