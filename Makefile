# Everyday targets: demo build test lint fuzz bench docs. Slow or rare work has its own.
.PHONY: demo build test test-go test-browser lint sec fuzz bench docs setup bench-intake bench-stats walk demo-runs screenshots scenarios crash e2e-install release

GO ?= go
FUZZTIME ?= 60s

demo: ## the main job in two minutes
	$(GO) run ./cmd/serin demo

build:
	$(GO) build -trimpath -o bin/serin ./cmd/serin

# The whole suite, with the race detector, after its own set-up; then, without
# it, what needs numbers: a million steps of the state machine, every scenario
# and every crash point of the built binary, and an installation of the released
# archive. Where node and Chromium cannot be had, the browser tests say so and
# are skipped.
test: setup
	gofmt -l $$(git ls-files '*.go') | (! grep .) || (echo "run gofmt -w on the files above" && false)
	$(GO) vet ./...
	$(GO) vet -tags rig ./...
	$(GO) test -race -timeout 20m ./...
	$(MAKE) walk scenarios crash e2e-install

# What the browser tests need: Chromium from the system's packages, and the
# unmodified SDKs of the browser test from npm.
setup:
	@scripts/setup

lint:
	$(GO) vet ./...
	$(GO) vet -tags rig ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	$(GO) mod tidy -diff

sec: ## gosec's rules and known vulnerabilities; half a minute, and the network for govulncheck
	@GO="$(GO)" scripts/sec

fuzz: ## every fuzz target for FUZZTIME
	@scripts/fuzz $(FUZZTIME)

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./internal/... ./openfeature/...

bench-intake: ## the built program under telemetry, a minute each load, beside the least that could be done; under 10 minutes
	SERIN_LOAD_SECONDS=60 $(GO) test -timeout 40m -count 1 -run 'TestIntakeBench$$' -v ./internal/server

docs: ## rewrite the generated parts of the reference
	$(GO) test ./internal/plan ./internal/cli ./internal/api -run 'Reference|OpenAPI' -update

bench-stats: ## the gate of the statistics with 2,000 plans a row, beside other judges; UPDATE=-update writes its tables into docs/statistics.md
	SERIN_MONTE_CARLO=2000 $(GO) test -timeout 120m -count 1 -run 'TestFalseRollbacks|TestGuardAtHalf|FalseAlarms' -v ./internal/judge ./internal/stats
	SERIN_MONTE_CARLO=2000 $(GO) test -timeout 120m -count 1 -v ./internal/statbench $(UPDATE)

walk: ## the long random walk of the state machine: more than a million steps
	SERIN_WALK_SEEDS=4000 $(GO) test -timeout 60m -count 1 -run 'TestWalk$$' -v ./internal/rollout

demo-runs: ## ten demos with a regression and ten without, ten seeds
	@scripts/demo-runs

scenarios: ## every transcript of the controller, and every acceptance scenario that concerns clients over HTTP against the built binary
	$(GO) test -count 1 -run 'TestScripts$$' ./internal/controller
	SERIN_SCENARIOS=all $(GO) test -timeout 20m -count 1 -run 'TestDriven/scenarios|TestAlertStorm' -v ./internal/server

crash: ## SIGKILL at every crash point of every decision, fifty under telemetry, and power cuts
	SERIN_POWER_CUT_COMMITS=60 $(GO) test -count 1 -run TestPowerCut -v ./internal/store/sqlite
	SERIN_KILLS=50 $(GO) test -timeout 20m -count 1 -run TestKilledUnderLoad -v ./internal/server
	SERIN_CRASH=all $(GO) test -timeout 20m -count 1 -run 'TestDriven/(crashes|pages)' -v ./internal/server

e2e-install: ## the released archive, from an empty directory to an upgrade, in about two minutes
	@scripts/e2e-install

release: ## static binaries for four platforms with what is needed to install them, in dist/
	@scripts/release
