# Everything a person or CI runs. `make` alone lists the targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.3.0

SEEDS ?= 20
REAL ?= 2
ROUNDS ?= 50
FUZZTIME ?= 30s

# The race detector needs cgo, and that a C compiler. CI always has one.
RACE := $(shell command -v gcc >/dev/null 2>&1 && echo -race)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 22

deps: ## download Go modules and the embedded engine's library (into .cache/)
	go mod download
	deploy/fetch-engine.sh

build: ## bin/deskhouse (static) and bin/deskhouse-engine
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

demo: deps build ## simulator, embedded engine and a real pipeline, compared at the end
	bin/deskhouse demo

test: deps build ## all tests against the real engine, with the race detector where gcc is
	@if [ -z "$(RACE)" ]; then echo "no gcc: tests run WITHOUT the race detector"; fi
	CGO_ENABLED=$(if $(RACE),1,0) go test $(RACE) -timeout 15m ./...

lint: ## gofmt, go vet, staticcheck, govulncheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "gofmt these files"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	@out=$$(go run $(GOVULNCHECK) ./... 2>&1) || { \
	  if grep -qE 'no such host|connection refused|dial tcp|Forbidden|fetching vulnerabilities' <<<"$$out"; then echo "govulncheck: its data cannot be reached from here, skipped"; \
	  else echo "$$out"; exit 1; fi; }

sim: deps ## simulation test over SEEDS seeds in virtual time, and REAL seeds on the real engine and log
	go test -count=1 -timeout 60m -run '^TestSimulation' ./pipeline -sim.seeds=$(SEEDS) -sim.real=$(REAL)

crash: deps ## crash service and engine ROUNDS times; full disks; a paused service
	go test -count=1 -v -timeout 90m -run '^Test(Crash|DiskFull|OldLeader)$$' ./cmd/deskhouse -crash.rounds=$(ROUNDS)

bench: deps build ## all benchmarks; the views against plain tables, a million rows
	go test -run '^$$' -bench . -benchmem ./source/... ./sink/... ./state/... ./pipeline/...
	go test -count=1 -v -timeout 30m -run '^TestViewAgainstPlainTable$$' ./sink/clickhouse -view.rows=1000000 -view.rounds=9 -view.warm=60 -view.pace=1s

bench-quick: deps build ## sink against JSONEachRow, whole pipeline at zero latency, under a minute
	go test -run '^$$' -bench Smoke -benchtime 3x ./sink/... ./pipeline/...

fuzz: ## every fuzz target for FUZZTIME each
	@go list ./... | while read -r pkg; do \
	  for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; done; done

ci: lint test sim ## what .ci/run calls

.PHONY: help deps build demo test lint sim crash bench bench-quick fuzz ci
