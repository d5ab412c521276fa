package server

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"serin/internal/config"
	"serin/internal/notify/deployhook"
)

// hooksOf reads the deploy hooks of a configuration, by variable. Its error
// says everything that is wrong with them.
func hooksOf(c config.Config) (map[string]deployhook.Hook, error) {
	out := make(map[string]deployhook.Hook, len(c.DeployHooks))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.DeployHooks)) {
		h := c.DeployHooks[name]
		timeout, err := h.Length()
		hook := deployhook.Hook{Variable: name, Command: h.Command, Dir: h.Dir, Env: h.Env, Timeout: timeout, Retries: h.Retries}
		if err = errors.Join(err, hook.Check()); err != nil {
			errs = append(errs, fmt.Errorf("deploy_hooks.%s: %w", name, err))
		}
		out[name] = hook
	}
	return out, errors.Join(errs...)
}

// CheckDeployHooks says what is wrong with the deploy hooks of a configuration:
// their settings, directories that are not there, programs that are not found.
func CheckDeployHooks(c config.Config) error {
	hooks, err := hooksOf(c)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(hooks)) {
		if err := runnable(hooks[name]); err != nil {
			errs = append(errs, fmt.Errorf("deploy_hooks.%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// runnable looks for a hook's directory and program.
func runnable(h deployhook.Hook) error {
	if h.Dir != "" {
		if info, err := os.Stat(h.Dir); err != nil {
			return fmt.Errorf("dir: %w", err)
		} else if !info.IsDir() {
			return fmt.Errorf("dir: %s is no directory", h.Dir)
		}
	}
	program := h.Command[0]
	if strings.Contains(program, "/") && !filepath.IsAbs(program) {
		program = filepath.Join(cmp.Or(h.Dir, "."), program)
	}
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("command: %w", err)
	}
	return nil
}

// hooks makes the runners of a configuration's deploy hooks. A hook that could
// not run now is no fault: the server must start all the same, to lower traffic.
func (s *Server) hooks(c config.Config) (map[string]*deployhook.Runner, error) {
	found, err := hooksOf(c)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*deployhook.Runner, len(found))
	for name, h := range found {
		if err := runnable(h); err != nil {
			s.o.Logger.Warn("a deploy hook cannot run: what it should deploy will not be", "variable", name, "err", err)
		}
		out[name], err = deployhook.New(deployhook.Options{Hook: h, Object: s.control.BuildObject, Record: s.control.Record, Getenv: os.Getenv, Logger: s.o.Logger})
		if err != nil {
			return nil, fmt.Errorf("deploy_hooks.%s: %w", name, err)
		}
	}
	return out, nil
}

// useHooks puts hooks in force and takes away those of before that are gone.
func (s *Server) useHooks(hooks map[string]*deployhook.Runner, before config.Config) {
	courier := s.control.Courier()
	for name := range before.DeployHooks {
		if hooks[name] == nil {
			courier.UseHook(name, nil)
		}
	}
	for name, r := range hooks {
		courier.UseHook(name, r)
	}
}
