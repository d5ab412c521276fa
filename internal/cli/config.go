package cli

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"serin/internal/config"
	"serin/internal/server"
)

// configCommand is about the server's configuration, not about a running server.
func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "The server's configuration"}
	cmd.AddCommand(a.configCheck())
	return cmd
}

// checkedConfig is what config check prints with --json.
type checkedConfig struct {
	File     string           `json:"file,omitempty"`
	Settings []config.Setting `json:"settings"`
	Unknown  []string         `json:"unknown,omitempty"`
}

func (a *app) configCheck() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read the configuration as the server would, and say what is wrong",
		Long: `Read the configuration file and the environment as "serin serve" would, and print what is set.
Secrets are not printed. Certificate files are opened, and the
programs of deploy hooks looked for. Variables that begin with SERIN_ and set
nothing are named: they are most likely misspelt.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.configure(file, config.Config{})
			if err != nil {
				return err
			}
			if cfg.TLS.Cert != "" {
				if _, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key); err != nil {
					return fmt.Errorf("tls: %w", err)
				}
			}
			if err := server.CheckDeployHooks(cfg); err != nil {
				return err
			}
			if err := server.CheckSources(cfg); err != nil {
				return err
			}
			if err := server.CheckForward(cfg); err != nil {
				return err
			}
			found := checkedConfig{File: cmp.Or(file, a.getenv(configVariable)), Settings: cfg.Settings(), Unknown: cfg.Unknown(os.Environ())}
			if err := a.print(found, func(w io.Writer) { printConfig(w, found) }); err != nil {
				return err
			}
			if len(found.Unknown) > 0 {
				return errFailed
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file (default: "+configVariable+")")
	return cmd
}

func printConfig(w io.Writer, c checkedConfig) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range c.Settings {
		fmt.Fprintf(t, "%s\t%s\n", s.Key, s.Value)
	}
	_ = t.Flush()
	for _, name := range c.Unknown {
		fmt.Fprintf(w, "%s sets nothing: no key has this variable, see docs/reference/configuration.md\n", name)
	}
	if len(c.Unknown) == 0 {
		fmt.Fprintln(w, "the configuration is fine")
	}
}
