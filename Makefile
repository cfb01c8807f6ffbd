# Weir's make targets; `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# What is built once lies here, keyed by version: the real parts that Weir runs and the tools of `make check`.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/weir

# The packages of each part of `make test`. Those that run real programs are tested one at a time: they measure.
PKG       := github.com/weirhq/weir
ALL        = $(shell go list ./...)
LIVE       = $(filter $(addprefix $(PKG)/,internal/applier% internal/devnomad% internal/parts% deployer/dev%),$(ALL))
UNIT       = $(filter-out $(LIVE) $(addprefix $(PKG)/,test/contract% test/e2e% test/multihost% test/chaos% test/latency% test/scale% test/browser%),$(ALL))
# The hosts of test/multihost and test/chaos are network namespaces, which take root.
AS_ROOT    = $(if $(filter 0,$(shell id -u)),multihost chaos-short,as-root-not-run)
# The race detector needs a C compiler.
RACE      := $(if $(shell command -v gcc || command -v clang),-race)
FUZZTIME  ?= 30s

# The container image: IMAGE names it, MODEL is a model file to bake in (without one, mount it at /models/model.pkl).
REVISION      := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
IMAGE         ?= weir/inference:$(or $(MODEL_VERSION),dev)
MODEL         ?=
MODEL_NAME    ?= iris
MODEL_VERSION ?= dev

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##### Programs

.PHONY: build
build: ## Build bin/inference and bin/deployer, and the test parts bin/faulty and bin/demo
	CGO_ENABLED=0 go build -trimpath -o bin/inference ./service
	CGO_ENABLED=0 go build -trimpath -o bin/deployer ./deployer
	CGO_ENABLED=0 go build -trimpath -o bin/ ./test/faulty ./test/demo

.PHONY: demo
demo: build ## Bring up the whole system, roll out a good model and a bad one, and leave it up
	bin/demo

.PHONY: demo-down
demo-down: ## Take down what `make demo` left up
	@if [ -x bin/deployer ]; then bin/deployer dev down; else echo "nothing is running: there is no bin/deployer"; fi

.PHONY: parts
parts: build ## Find Consul, consul-template and nginx, or build them once
	bin/deployer dev parts

##### Tests

.PHONY: test
test: unit contract e2e browser $(AS_ROOT) ## Run everything, with the real parts; multihost and chaos-short only as root

.PHONY: unit
unit: parts ## Run the tests of the packages, with the race detector where there is a C compiler
	go test $(RACE) -timeout 5m $(UNIT)
	go test $(RACE) -timeout 8m -p 1 $(LIVE)

# The clients of the Open Inference Protocol, from PyPI, that test/v2client drives. Without them it is skipped, but in CI.
.PHONY: v2client
v2client: $(CACHE)/v2client/requirements.txt ## Install the V2 clients of test/v2client from PyPI; takes python3

$(CACHE)/v2client/requirements.txt: test/v2client/requirements.txt
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	cp $< $@

.PHONY: contract
contract: parts ## Run the contract suite on the embedded agent, or on the Nomad at NOMAD_ADDR or from CONTRACT_NOMAD
	go test -count 1 -timeout 15m ./test/contract/...

.PHONY: e2e
e2e: parts ## Run rollouts under load through real nginx, Consul and consul-template
	go test -count 1 -p 1 -timeout 20m -parallel 2 ./test/e2e/... ./test/latency ./test/scale

.PHONY: browser
browser: parts ## Run rollouts through the dashboard in Chromium, where it is on PATH; WEIR_SCREENSHOTS=DIR keeps pictures
	go test -count 1 -timeout 10m ./test/browser

.PHONY: multihost
multihost: parts ## Run rollouts over several hosts in network namespaces, and cut hosts off; takes root and iproute2
	go test -count 1 -p 1 -timeout 10m ./test/hosts ./test/multihost

SCALE_MODELS ?= 1000

.PHONY: scale
scale: parts ## Measure one daemon with SCALE_MODELS (1000) rollouts and an ingress with as many models; see docs/scale.md
	SCALE_MODELS=$(SCALE_MODELS) SCALE_UPDATE=1 go test -count 1 -v -timeout 20m -run '^TestMany' ./test/scale

CHAOS_FOR ?= 5m

.PHONY: chaos
chaos: parts ## Break one part after the other in rollouts under load, for CHAOS_FOR (5m), as root; see docs/reliability.md
	CHAOS_FOR=$(CHAOS_FOR) go test -count 1 -v -timeout 0 ./test/chaos

.PHONY: chaos-short
chaos-short: parts ## Break some parts, in about 3 minutes, always the same; make chaos draws others
	CHAOS_FOR=75s CHAOS_SEED=$(or $(CHAOS_SEED),104) go test -count 1 -v -timeout 10m ./test/chaos

.PHONY: as-root-not-run
as-root-not-run:
	@echo "*** test/multihost and test/chaos were NOT RUN: they take root. Run: sudo -E make multihost chaos-short ***" >&2

.PHONY: bench
bench: build ## Measure Weir beside its peers and write bench/README.md; needs python3, wrk and, once, PyPI
	CGO_ENABLED=0 go build -trimpath -o bin/bench ./bench
	cd bench/leaves && CGO_ENABLED=0 go build -trimpath -o ../../bin/bench-leaves .
	bin/bench

.PHONY: bench-go
bench-go: ## Run the benchmarks of the Go packages
	go test -run '^$$' -bench . -benchmem $(UNIT)

.PHONY: fuzz
fuzz: ## Fuzz each reader of foreign bytes for FUZZTIME (30s)
	@grep -rlE --include='*_test.go' '^func Fuzz' . | xargs -r -n 1 dirname | sort -u | while read -r dir; do \
	  grep -ohE '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go | cut -d ' ' -f 2 | while read -r name; do \
	    echo "$$dir: $$name for $(FUZZTIME)"; \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x "$$dir" </dev/null; \
	  done; \
	done

##### Checks

# The version of module $(2) in tools/$(1)/go.mod.
pinned = $(shell awk '$$1 == "$(2)" && NF > 1 { print $$2 }' tools/$(1)/go.mod)

GOFUMPT     := $(CACHE)/gofumpt-$(call pinned,lint,mvdan.cc/gofumpt)
GOLANGCI    := $(CACHE)/golangci-lint-$(call pinned,lint,github.com/golangci/golangci-lint/v2)
GOVULNCHECK := $(CACHE)/govulncheck-$(call pinned,lint,golang.org/x/vuln)
ACTIONLINT  := $(CACHE)/actionlint-$(call pinned,actionlint,github.com/rhysd/actionlint)

# $(call tool,folder,package) builds a tool from its nested module into the cache.
define tool
@echo "$(@F): building once into $(@D)"
@mkdir -p $(@D)
@cd tools/$(1) && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $@.$$$$ $(2) && mv $@.$$$$ $@
endef

$(GOFUMPT):
	$(call tool,lint,mvdan.cc/gofumpt)

$(GOLANGCI):
	$(call tool,lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)

$(GOVULNCHECK):
	$(call tool,lint,golang.org/x/vuln/cmd/govulncheck)

$(ACTIONLINT):
	$(call tool,actionlint,github.com/rhysd/actionlint/cmd/actionlint)

.PHONY: check
check: fmt-check tidy-check lint actionlint nginx-check ## Check everything that CI checks beside the tests

.PHONY: fmt
fmt: $(GOFUMPT) ## Format the Go code
	$(GOFUMPT) -w .

.PHONY: fmt-check
fmt-check: $(GOFUMPT)
	@unformatted=$$($(GOFUMPT) -l .); \
	if [ -n "$$unformatted" ]; then echo "not in gofumpt's format, run make fmt:"; echo "$$unformatted"; exit 1; fi

.PHONY: tidy-check
tidy-check:
	go mod tidy -diff

.PHONY: lint
lint: $(GOLANGCI)
	$(GOLANGCI) run ./...
	go test ./test/imports

.PHONY: actionlint
actionlint: $(ACTIONLINT)
	$(ACTIONLINT) -color

.PHONY: nginx-check
nginx-check:
	go test ./nginx/...

.PHONY: vuln
vuln: $(GOVULNCHECK) ## Look for known vulnerabilities (needs the network)
	$(GOVULNCHECK) ./...

##### Image

# The values reach the shell through the environment, so that it never reads them as code.
image: export IMAGE := $(IMAGE)
image: export MODEL := $(MODEL)
image: export MODEL_NAME := $(MODEL_NAME)
image: export MODEL_VERSION := $(MODEL_VERSION)

.PHONY: image
image: ## Build the container image IMAGE, with MODEL in it if given; pulls nothing
	rm -rf bin/image
	install -d -m 0755 bin/image bin/image/models
	CGO_ENABLED=0 GOOS=linux go build -trimpath -ldflags '-s -w -buildid=' -o bin/image/inference ./service
	digest=; \
	if [ -n "$$MODEL" ]; then \
	  install -m 0644 "$$MODEL" bin/image/models/model.pkl; \
	  digest=sha256:$$(sha256sum bin/image/models/model.pkl | cut -d ' ' -f 1); \
	fi; \
	docker build --network none --tag "$$IMAGE" --build-arg MODEL_NAME="$$MODEL_NAME" \
	  --build-arg MODEL_VERSION="$$MODEL_VERSION" --build-arg MODEL_DIGEST="$$digest" --build-arg REVISION=$(REVISION) .
	docker image inspect --format '{{index .RepoTags 0}}: {{.Size}} bytes' "$$IMAGE"
