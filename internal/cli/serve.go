package cli

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"serin/internal/config"
	"serin/internal/server"
)

func (a *app) serve() *cobra.Command {
	var listen, file, level string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server on the embedded store in a data directory.

The first start prints a link that signs the first person in and the DSN for Sentry SDKs,
and writes both with an admin token to DIR/bootstrap.json (mode 0600) for the command line.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, a.getenv)
			if err != nil {
				return usageError{err}
			}
			var min slog.Level
			if err := min.UnmarshalText([]byte(level)); err != nil {
				return usageError{fmt.Errorf("--log %q: write debug, info, warn or error", level)}
			}
			log := slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: min}))
			s, err := server.New(cmd.Context(), server.Options{Data: a.data, Listen: listen, Logger: log, Config: cfg, Version: version()})
			if err != nil {
				return err
			}
			a.greet(s)
			if err := s.Run(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintln(a.Out, "serin has stopped; nothing acknowledged was lost")
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", server.DefaultListen, "address to listen on")
	cmd.Flags().StringVar(&file, "config", "", "configuration file")
	cmd.Flags().StringVar(&level, "log", "info", "least level to log: debug, info, warn, error")
	return cmd
}

// greet says where the server is, and at the first start how to get in.
func (a *app) greet(s *server.Server) {
	fmt.Fprintf(a.Out, "dashboard  %s\n", s.URL())
	if b := s.Bootstrap(); b != nil {
		fmt.Fprintf(a.Out, "sign in    %s\n", b.SignIn)
		fmt.Fprintf(a.Out, "DSN        %s\n", b.DSN)
		fmt.Fprintf(a.Out, "flag key   %s\n", b.FlagKey)
	}
}
