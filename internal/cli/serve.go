package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"serin/internal/config"
	"serin/internal/server"
)

// configVariable names the configuration file where --config does not.
const configVariable = "SERIN_CONFIG"

// gcPercent is by how much the heap may grow between collections. At 20,000
// web vitals a second it takes a fifth of the memory off for a twelfth more
// processor time; see docs/benchmarks.md.
const gcPercent = 50

// spareMemory sets gcPercent, unless GOGC says something.
func (a *app) spareMemory() {
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

func (a *app) serve() *cobra.Command {
	var file string
	var given config.Config
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server on the embedded store in a data directory.

The first start prints a link that signs the first person in and the DSN for Sentry SDKs,
and writes both with an admin token to DIR/bootstrap.json (mode 0600) for the command line.

Settings come from a file, environment variables and these options, the last one going first:
see docs/reference/configuration.md, and check them with "serin config check". On SIGHUP they
are read again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.configure(file, given)
			if err != nil {
				return usageError{err}
			}
			a.spareMemory()
			log, least := a.logger(cfg.Log)
			s, err := a.open(cmd.Context(), server.Options{Data: a.data, Logger: log, Config: cfg, Version: version()})
			if err != nil {
				return err
			}
			a.greet(s)
			stop := a.reloadOnHangup(cmd.Context(), s, log, least, func() (config.Config, error) { return a.configure(file, given) })
			defer stop()
			if err := s.Run(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintln(a.Out, "serin has stopped; nothing acknowledged was lost")
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&given.Listen, "listen", "", "address to listen on (default: the configuration's, else "+server.DefaultListen+")")
	f.StringVar(&given.PublicURL, "public-url", "", "how clients and people reach the server, for links and DSNs")
	f.StringVar(&file, "config", "", "configuration file (default: "+configVariable+")")
	f.StringVar(&given.Log.Level, "log", "", "least level to log: debug, info, warn, error (default info)")
	return cmd
}

// configure reads file and environment, and overlays what the options give.
func (a *app) configure(file string, given config.Config) (config.Config, error) {
	cfg, err := config.Load(cmp.Or(file, a.getenv(configVariable)), a.getenv)
	if err != nil {
		return cfg, err
	}
	cfg.Listen = cmp.Or(given.Listen, cfg.Listen)
	cfg.PublicURL = cmp.Or(given.PublicURL, cfg.PublicURL)
	cfg.Log.Level = cmp.Or(given.Log.Level, cfg.Log.Level)
	return cfg, cfg.Check()
}

// logger writes to standard error; its least level can be changed later.
func (a *app) logger(c config.Log) (*slog.Logger, *slog.LevelVar) {
	least := new(slog.LevelVar)
	if level, err := c.Least(); err == nil { // checked with the configuration
		least.Set(level)
	}
	o := &slog.HandlerOptions{Level: least}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.Err, o)), least
	}
	return slog.New(slog.NewTextHandler(a.Err, o)), least
}

// reloadOnHangup takes the configuration over again at every SIGHUP until stop is called.
func (a *app) reloadOnHangup(ctx context.Context, s *server.Server, log *slog.Logger, least *slog.LevelVar, read func() (config.Config, error)) (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
			}
			cfg, err := read()
			if err == nil {
				err = s.Reload(cfg)
			}
			if err != nil {
				log.Error("configuration not taken over, the one of before stays", "err", err)
				continue
			}
			if level, err := cfg.Log.Least(); err == nil {
				least.Set(level)
			}
		}
	}()
	return func() { signal.Stop(hangup); cancel() }
}

// greet says where the server is, and at the first start how to get in.
func (a *app) greet(s *server.Server) {
	fmt.Fprintf(a.Out, "dashboard  %s\n", s.DashboardURL())
	if b := s.Bootstrap(); b != nil {
		fmt.Fprintf(a.Out, "sign in    %s\n", b.SignIn)
		fmt.Fprintf(a.Out, "DSN        %s\n", b.DSN)
		fmt.Fprintf(a.Out, "flag key   %s\n", b.FlagKey)
	}
}
