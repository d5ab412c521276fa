# Everyday targets: demo build test lint fuzz bench docs. Slow or rare work has its own.
.PHONY: demo build test test-go test-browser lint fuzz bench docs setup bench-stats walk demo-runs screenshots

GO ?= go
FUZZTIME ?= 60s

demo: ## the main job in two minutes
	$(GO) run ./cmd/serin demo

build:
	$(GO) build -trimpath -o bin/serin ./cmd/serin

# The whole suite, with the race detector, after its own set-up. Where node and
# Chromium cannot be had, the browser tests say so and are skipped.
test: setup
	gofmt -l $$(git ls-files '*.go') | (! grep .) || (echo "run gofmt -w on the files above" && false)
	$(GO) vet ./...
	$(GO) test -race -timeout 20m ./...

# What the browser tests need: Chromium from the system's packages, and the
# unmodified SDKs of the browser test from npm.
setup:
	@scripts/setup

lint:
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	$(GO) mod tidy -diff

fuzz: ## every fuzz target for FUZZTIME
	@scripts/fuzz $(FUZZTIME)

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./internal/... ./openfeature/...

docs: ## rewrite the generated parts of the reference
	$(GO) test ./internal/plan ./internal/cli ./internal/api -run 'Reference|OpenAPI' -update

bench-stats: ## the long Monte Carlo runs of the statistics
	SERIN_MONTE_CARLO=2000 $(GO) test -timeout 60m -run 'MonteCarlo|FalseRollback' -v ./internal/judge ./internal/stats

walk: ## the long random walk of the state machine: more than a million steps
	SERIN_WALK_SEEDS=4000 $(GO) test -timeout 60m -run Walk -v ./internal/rollout

demo-runs: ## ten demos with a regression and ten without, ten seeds
	@scripts/demo-runs
