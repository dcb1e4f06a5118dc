# Everything a developer or CI runs. `make help` lists the targets.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help

GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PKG         ?= ./...
TESTTIMEOUT ?= 15m
BENCHTIME   ?= 1x
FUZZTIME    ?= 20s
GOLANGCI    := v2.15.0

# The binary needs no C library of its own: libchdb is opened at run time, so
# one build runs wherever libchdb does.
export CGO_ENABLED ?= 0
export LAPSE_LIBCHDB := $(CURDIR)/bin/libchdb.so
# Tests run in their package's folder, so a relative path would miss.
ifdef LAPSE_REALDATA
override LAPSE_REALDATA := $(abspath $(LAPSE_REALDATA))
export LAPSE_REALDATA
endif

# The engine comes as one npm package a platform. The lock file pins the one for
# linux-x64; elsewhere its sister is installed in the same version.
OS       := $(patsubst Linux,linux,$(patsubst Darwin,darwin,$(shell uname -s)))
ARCH     := $(patsubst x86_64,x64,$(patsubst aarch64,arm64,$(shell uname -m)))
PLATFORM ?= $(OS)-$(ARCH)$(if $(filter linux,$(OS)),-gnu)
LOCKED   := linux-x64-gnu
ENGINE   := $(if $(filter-out $(LOCKED),$(PLATFORM)),node_modules/.sister/)node_modules/@chdb/lib-$(PLATFORM)/libchdb.so

# The folders of the tests that hold a line like $(1).
folders = { grep -rlE '$(1)' --include='*_test.go' --exclude-dir=node_modules . || true; } | xargs -rn1 dirname | sort -u

.PHONY: demo build test lint bench golden fuzz release release-check help vet FORCE

demo: build ## Scan a made-up company and write its report
	bin/lapse demo

build: bin/lapse bin/libchdb.so ## Build bin/lapse, with the engine beside it

test: build vet ## Run all tests, or those of RUN=pattern; RACE=1 runs the short ones under the race detector
	$(if $(RACE),CGO_ENABLED=1 )$(GO) test $(if $(RACE),-race -short )-timeout $(TESTTIMEOUT) $(if $(RUN),-run "$(RUN)" )$(PKG)

# The first run compiles the linters, which takes two minutes. `go tool` would
# put their two hundred modules into go.mod.
lint: ## Check formatting and run the linters
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI) run $(PKG)

# The whole road is gone for a million accounts, which takes minutes.
bench: export LAPSE_BENCH_ACCOUNTS ?= 1000000
bench: build ## Run every benchmark, one package after the other; BENCH=pattern picks some
	@dirs=$$($(call folders,^func Benchmark)); [ -n "$$dirs" ] || { echo "no benchmarks"; exit 0; }; \
	  $(GO) test -p 1 -run '^$$' -bench '$(or $(BENCH),.)' -benchtime $(BENCHTIME) -benchmem -timeout 60m $$dirs

golden: build ## Rewrite what the tests expect from what they get now; then read the diff
	@for dir in $$($(call folders,flag.Bool."update")); do \
	    $(GO) test -timeout $(TESTTIMEOUT) $$dir -update; \
	  done; \
	  bin/lapse demo >demo.out; .ci/readme-shows -u demo.out; \
	  git status --short

fuzz: build ## Run each fuzz target for FUZZTIME (20s), and all comparisons of the two lanes
	@for dir in $$($(call folders,^func Fuzz)); do \
	    for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$dir/*_test.go); do \
	      echo "$$dir $$name"; $(GO) test $$dir -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME); \
	    done; \
	  done
	$(GO) test ./internal/policy -run '^$$' -bench PrefilterAgrees -benchtime 1x
	$(GO) test ./internal/policy -run '^TestConformance$$' -whole -v -timeout 60m

release: node_modules/@chdb/lib-$(LOCKED)/libchdb.so ## Pack a tarball and a .deb for linux/amd64 into dist/
	deploy/release $(VERSION)

# It takes root and debootstrap, and minutes.
release-check: release ## Install the .deb into an empty Debian, and run the demo there without a network
	.ci/release-check dist/lapse_*_amd64.deb

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

vet:
	$(GO) vet $(PKG)

# Go decides what has to be rebuilt.
bin/lapse: FORCE
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $@ ./cmd/lapse

bin/libchdb.so: $(ENGINE)
	@mkdir -p $(@D)
	ln -f $< $@ 2>/dev/null || cp -f $< $@

node_modules/@chdb/lib-$(LOCKED)/libchdb.so: package-lock.json
	@command -v npm >/dev/null || { echo "libchdb comes from npm: install Node.js first"; exit 1; }
	npm ci
	@test -s $@ && touch $@

node_modules/.sister/node_modules/@chdb/lib-%/libchdb.so: package.json
	@command -v npm >/dev/null || { echo "libchdb comes from npm: install Node.js first"; exit 1; }
	npm install --no-save --prefix node_modules/.sister "@chdb/lib-$*@$$(sed -n 's|.*"@chdb/lib-$(LOCKED)": "\(.*\)".*|\1|p' package.json)"
	@test -s $@ && touch $@
