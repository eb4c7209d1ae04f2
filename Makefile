# Two commands matter on a fresh machine with Go: `make demo` and `make test`.

# What --version says. The date is the commit's, so that the same commit gives the
# same program.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
DATE     = $(shell e=$(SOURCE_DATE_EPOCH); [ -z "$$e" ] || date -u -d @$$e +%FT%TZ 2>/dev/null || date -u -r $$e +%FT%TZ)
LDFLAGS  = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)
GOBUILD  = CGO_ENABLED=0 go build -trimpath
GOTEST  ?= go test
SANDBOX  = cd bench/sandbox &&

.PHONY: build agent edition install man release release-test demo test test-long test-load test-stores test-cron test-secrets crash faults soak fuzz mutants ceph minio toxiproxy peers tools gate cover lint vet vuln bench clean

build: agent bin/sandbox

AGENT ?= bin/agent
agent:
	$(GOBUILD) -ldflags "$(LDFLAGS)" -o "$(AGENT)" ./cmd/agent

edition:
	@printf 'version %s\ncommit %s\ndate %s\n' '$(VERSION)' '$(COMMIT)' '$(DATE)'

.PHONY: bin/agent bin/sandbox
bin/agent: agent

bin/sandbox:
	$(SANDBOX) $(GOBUILD) -ldflags "-s -w" -o ../../$@ .

# A binary for this user, without root. It takes the place of an older one in one
# step: runs of that go on, and whoever starts one meanwhile gets the old or the new.
PREFIX ?= $(HOME)/.local
install: agent
	install -d "$(PREFIX)/bin"
	new="$(PREFIX)/bin/.agent.$$$$" && install -m 755 "$(AGENT)" "$$new" && mv -f "$$new" "$(PREFIX)/bin/agent"

# A manual page for every command: man -l man/agent-upload.1
man:
	go run -tags man -ldflags "$(LDFLAGS)" ./cmd/agent man man

# Everything that is published, into dist: archives for six systems, .deb and .rpm,
# SBOMs, recipes, checksums. See docs/releasing.md. The tools come once, from Go's
# module proxy.
RELEASE_URL ?= https://example.org/agent/$(VERSION)
NFPM      = v2.45.2
CYCLONEDX = v1.10.0
tools: bin/tools/nfpm-$(NFPM) bin/tools/cyclonedx-gomod-$(CYCLONEDX)
bin/tools/nfpm-$(NFPM):
	GOBIN=$(CURDIR)/bin/tools go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM)
	mv bin/tools/nfpm $@
bin/tools/cyclonedx-gomod-$(CYCLONEDX):
	GOBIN=$(CURDIR)/bin/tools go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX)
	mv bin/tools/cyclonedx-gomod $@
DIST ?= dist
release: tools
	go run ./release -out "$(DIST)" -version '$(VERSION)' -commit '$(COMMIT)' -epoch '$(SOURCE_DATE_EPOCH)' \
		-url '$(RELEASE_URL)' -nfpm bin/tools/nfpm-$(NFPM) -cyclonedx bin/tools/cyclonedx-gomod-$(CYCLONEDX)

# Makes the release twice, in two places, compares the two byte for byte, and looks
# into what was made: some minutes. Needs dpkg and rpm.
release-test: tools
	NFPM=$(CURDIR)/bin/tools/nfpm-$(NFPM) CYCLONEDX=$(CURDIR)/bin/tools/cyclonedx-gomod-$(CYCLONEDX) \
		$(GOTEST) -tags release -timeout 60m -count=1 -v -run TestRelease ./release

# Starts an upload with the agent of an older commit, kills it, and lets today's
# finish it: make upgrade FROM=483f5bd
FROM ?= 483f5bd
.PHONY: upgrade
upgrade:
	FROM=$(FROM) $(GOTEST) -tags upgrade -timeout 20m -count=1 -v -run TestUpgrade ./cmd/agent

# Uploads a small dataset to a local platform whose tokens live seconds, is
# killed on the way, goes on, and checks every byte.
demo: build
	go run ./bench/demo -agent bin/agent -sandbox bin/sandbox

# Go only, both modules, race detector on.
test:
	$(GOTEST) -race -timeout 40m ./...
	$(SANDBOX) $(GOTEST) -race -timeout 10m ./...

# Kills of the plain binary, long runs, other clients (awscli, s3cmd, boto3) and
# another store (Ceph) as witnesses, and what takes memory or time to measure. One package at a time:
# the kills count what was not yet on disk, and 100,000 new files beside them
# make every sync slow.
test-long:
	$(GOTEST) -tags long -p 1 -timeout 40m -count=1 -parallel 8 -run 'Long' ./cmd/... ./transfer/... ./bench/...

# Uploads, downloads and syncs killed KILLS times at random instants: some minutes.
# The platform and all files lie below TMPDIR. SEED=N does the same again.
KILLS ?= 2000
SEED  ?= 0
crash:
	go test -tags long -timeout 60m -count=1 -parallel 8 -v -run 'TestLongCrash$$' ./cmd/agent -kills $(KILLS) -seed $(SEED)

# A million files to the last one, through two kills, and what follows: a quarter of
# an hour of an idle machine.
test-load:
	go test -tags load -timeout 90m -count=1 -v -run TestLoad ./bench

# A crontab line every minute for ten minutes, by cron itself: as root, with
# Debian's package cron. It is idle most of the time and touches no crontab of
# this machine.
test-cron:
	$(GOTEST) -tags cron -timeout 20m -count=1 -v -run TestCronDaemon ./cmd/agent

CEPH = radosgw ceph-mon ceph-osd
ceph:
	command -v $(CEPH) >/dev/null || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(CEPH) >/dev/null; }

# All stores that can be had, each by the contract, by what users do every day, and
# by the table of docs/stores.md: some minutes, and a quarter of an hour for the
# end of a token of MinIO's. UPDATE=1 writes that table. Ceph's packages are
# installed where they are missing, which needs root and Debian.
test-stores: ceph
	test -x bin/stores/minio || command -v minio >/dev/null || $(MAKE) minio
	command -v rclone >/dev/null || $(MAKE) bin/peers/rclone-$(RCLONE)
	PATH="$(CURDIR)/bin/stores:$(CURDIR)/bin/peers:$$PATH" STORES=all \
	  go test -tags long -p 2 -timeout 60m -count=1 -parallel 8 -v -run LongStores ./bench/stores ./transfer/s3store ./cmd/agent

# Breaks each promise of docs/guarantees.md on purpose and sees that its test fails;
# the working tree stays as it is. It writes docs/mutants.md. About half an hour. One
# of them is Ceph's: see test-stores.
mutants: ceph
	go run ./bench/mutants -write docs/mutants.md

# Every fuzz target of both modules, one after the other: hours, where nothing is
# given. make fuzz FUZZTIME=60s FUZZPROCS=1 FUZZ=s3store
FUZZTIME  ?= 10m
FUZZPROCS ?=
FUZZ      ?= .
fuzz:
	FUZZTIME=$(FUZZTIME) FUZZPROCS=$(FUZZPROCS) .ci/fuzz '$(FUZZ)'

# Another store for the tests, built from Go's module proxy.
MINIO = v0.0.0-20250907161309-07c3a429bfed
minio:
	GOBIN=$(CURDIR)/bin/stores go install github.com/minio/minio@$(MINIO)

# A proxy that breaks connections as it is told to, for the tests of the wire.
TOXIPROXY = v2.12.0
toxiproxy:
	GOBIN=$(CURDIR)/bin/stores go install github.com/Shopify/toxiproxy/v2/cmd/server@$(TOXIPROXY)
	mv bin/stores/server bin/stores/toxiproxy-server

# Every call with every fault, and every step of the journal with every end of it, where
# 'make test-long' plays half of the latter: ten minutes of an idle machine.
faults:
	go test -tags long -timeout 60m -count=1 -v -run '^TestLongFault' ./transfer/s3store -steps.every 1 -seed $(SEED)

# Faults of all kinds at once, and kills between, one random job after the other:
# docs/faults.md. A failure prints how to play it again.
SOAK = 1h
soak:
	go test -race -timeout 0 -count=1 -v -run '^TestSoak$$' ./transfer/s3store -soak $(SOAK) -seed $(SEED)

# Other people's clients for 'make bench', as far as Go's module proxy has them; some
# minutes, once. Others take part where they are on PATH: awscli, s3cmd and curl come
# from Debian, s5cmd and juicefs from their sources.
RCLONE = v1.76.0
MC     = v0.0.0-20250313080218-cf909e1063a9
peers: bin/peers/rclone-$(RCLONE) bin/peers/mc-$(MC)
bin/peers/rclone-$(RCLONE):
	GOBIN=$(CURDIR)/bin/peers go install github.com/rclone/rclone@$(RCLONE)
	touch $@
bin/peers/mc-$(MC):
	GOBIN=$(CURDIR)/bin/peers go install github.com/minio/mc@$(MC)
	touch $@

# CPU, time, memory and requests beside the limits and all peers that can be had:
# about half an hour on an idle machine, and 16 GB of disk. It writes
# bench/RESULTS.md and its chart.
bench: build
	-$(MAKE) peers
	go run ./bench

# Which code the tests of both modules run, counted over all packages, and also in
# the agents that they start. bench/out/cover has the list of error paths that none
# of them takes; docs/coverage.md judges it.
cover:
	go run ./ci/cover -out bench/out/cover

# Runs go test for .ci/run, which lists tests that may not be skipped.
gate:
	go build -o bin/gate ./ci/gate

vet:
	go vet -tags long,cron,load,man,golden,release,upgrade ./...
	GOOS=windows go vet ./...
	GOOS=darwin go vet ./...
	$(SANDBOX) go vet ./...

# Known vulnerabilities in what both modules call. Where their database can't be
# reached it says that nothing was checked.
vuln:
	.ci/vuln

# Runs of every kind with a secret of its own in each source of credentials, and
# then every other test of the program: after each, what its agents printed, wrote
# and left behind is searched for all that they were given, in every spelling.
test-secrets:
	go test -timeout 20m -count=1 -v -run 'Secret|NoCoreDumps|ChildrenGetNoMore' ./cmd/... ./creds ./transfer/s3store
	go test -timeout 20m -count=1 ./cmd/agent

lint:
	golangci-lint run
	$(SANDBOX) golangci-lint run -c ../../.golangci.yml

clean:
	rm -rf bin man dist bench/out
