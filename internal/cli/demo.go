package cli

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"serin/examples"
	"serin/internal/clock"
	"serin/internal/demo"
	"serin/internal/server"
)

// demoOptions are the demo command's flags.
type demoOptions struct {
	listen, log string
	speed       float64
	effect      float64
	healthy     bool
	seed        uint64
	stay        bool
}

func (a *app) demo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the main job in two minutes: a bad canary is taken back by itself",
		Long: `Start a server on a fast clock, let 208 admins of a shop use it as honest clients, carry a new
dashboard to 25 % by the plan in examples/demo.yaml, break it at a random moment, and watch serin
find that and take it back. Nothing is sent anywhere but to this machine.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDemo(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", server.DefaultListen, "address of the demo's server; a taken port gives way to a free one")
	f.Float64Var(&o.speed, "speed", 2400, "server seconds in a real one")
	f.Float64Var(&o.effect, "effect", 40, "strength of the regression: errors of the new dashboard are multiplied by it; 1 = none")
	f.BoolVar(&o.healthy, "healthy", false, "no regression: run to the clean-up")
	f.Uint64Var(&o.seed, "seed", 0, "repeat a run (0: a new one)")
	f.BoolVar(&o.stay, "stay", false, "keep the dashboard up at the end, until Ctrl-C")
	f.StringVar(&o.log, "log", "error", "least level to log")
	return cmd
}

func (a *app) runDemo(ctx context.Context, o demoOptions) error {
	if o.speed < 1 || o.speed > 20_000 || o.effect < 1 {
		return usageError{errors.New("--speed is 1 to 20000 and --effect is at least 1")}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.log)); err != nil {
		return usageError{fmt.Errorf("--log %q: write debug, info, warn or error", o.log)}
	}
	log := slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: level}))
	dir := a.data
	if dir == "" {
		tmp, err := os.MkdirTemp("", "serin-demo-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(tmp) }()
		dir = tmp
	}
	if o.seed == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand
		o.seed = binary.LittleEndian.Uint64(b[:]) >> 16
	}
	d, err := a.demoServer(ctx, dir, o, log)
	if err != nil {
		return err
	}
	res, runErr := demo.Run(ctx, d.options(a, o, log))
	if runErr == nil && o.stay && ctx.Err() == nil {
		fmt.Fprintf(a.Err, "The dashboard stays at %s until Ctrl-C.\n", d.srv.URL())
		<-ctx.Done()
	}
	if err := d.stop(); err != nil {
		return errors.Join(runErr, err)
	}
	if runErr != nil {
		return runErr
	}
	if res.EventsAcknowledged != res.EventsCounted {
		fmt.Fprintf(a.Err, "serin: clients counted %d acknowledged events and the evidence holds %d\n", res.EventsAcknowledged, res.EventsCounted)
		return errFailed
	}
	return nil
}

// demoRun is the demo's server.
type demoRun struct {
	srv   *server.Server
	boot  server.Bootstrap
	clock clock.Clock
	begin time.Time // real time at which the clock read start
	start time.Time
	speed float64
	file  string
	done  chan error
	end   context.CancelFunc
}

// demoFile remembers where the fast clock was, so that a demo can be taken up
// in the same data directory after a kill.
type demoFile struct {
	Clock time.Time        `json:"clock"`
	Boot  server.Bootstrap `json:"bootstrap"`
}

// demoServer starts the server that the demo drives.
func (a *app) demoServer(ctx context.Context, dir string, o demoOptions, log *slog.Logger) (*demoRun, error) {
	d := &demoRun{speed: o.speed, file: filepath.Join(dir, "demo.json"), done: make(chan error, 1)}
	var last demoFile
	if data, err := os.ReadFile(d.file); err == nil {
		if err := json.Unmarshal(data, &last); err != nil {
			return nil, fmt.Errorf("%s: %w", d.file, err)
		}
	}
	d.begin = time.Now()
	d.start = d.begin.UTC()
	if last.Clock.After(d.start) {
		d.start = last.Clock
	}
	d.clock = clock.Fast(d.start, o.speed)
	opt := server.Options{Data: dir, Listen: o.listen, Clock: d.clock, Logger: log, Version: version()}
	var err error
	if d.srv, err = server.New(ctx, opt); err != nil && isTaken(err) {
		opt.Listen = "127.0.0.1:0"
		d.srv, err = server.New(ctx, opt)
	}
	if err != nil {
		return nil, err
	}
	d.boot = last.Boot
	if b := d.srv.Bootstrap(); b != nil {
		d.boot = *b
	}
	if !a.json {
		fmt.Fprintf(a.Out, "dashboard  %s\nsign in    %s\n", d.srv.URL(), d.boot.SignIn)
	} else {
		_ = json.NewEncoder(a.Out).Encode(map[string]string{"type": "dashboard", "url": d.srv.URL(), "sign_in": d.boot.SignIn})
	}
	run, end := context.WithCancel(context.WithoutCancel(ctx))
	d.end = end
	go func() { d.done <- d.srv.Run(run) }()
	go d.remember(run, log)
	return d, nil
}

// rememberEvery is how often the clock is written down.
const rememberEvery = 500 * time.Millisecond

func (d *demoRun) remember(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(rememberEvery)
	defer tick.Stop()
	for {
		data, err := json.Marshal(demoFile{Clock: d.clock.Now(), Boot: d.boot})
		if err == nil {
			err = os.WriteFile(d.file+".new", data, 0o600)
		}
		if err == nil {
			err = os.Rename(d.file+".new", d.file)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			log.Warn("remember the demo's clock", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (d *demoRun) stop() error {
	d.end()
	return <-d.done
}

// options are the demo's, for this server. The address may differ from an
// earlier start's; the keys do not.
func (d *demoRun) options(a *app, o demoOptions, log *slog.Logger) demo.Options {
	u := d.srv.URL()
	return demo.Options{
		URL: u, DSN: server.DSN(u, d.boot.PublicKey, d.boot.Project), FlagKey: d.boot.FlagKey, Admin: d.boot.AdminToken,
		API: func(token string) demo.API {
			return &client{url: u, token: token, http: &http.Client{Timeout: callLimit}}
		},
		Plan:   examples.Demo,
		Wall:   func(t time.Time) time.Time { return d.begin.Add(time.Duration(float64(t.Sub(d.start)) / d.speed)) },
		Effect: o.effect, Healthy: o.healthy, Seed: o.seed, Out: a.Out, JSON: a.json, Logger: log,
	}
}

// isTaken reports whether err says that the port is in use.
func isTaken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE)
}
