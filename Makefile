# Two commands matter on a fresh machine with Go: `make demo` and `make test`.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)
GOBUILD  = CGO_ENABLED=0 go build -trimpath
SANDBOX  = cd bench/sandbox &&

.PHONY: build install man demo test test-long test-cron mutants minio peers lint vet bench clean

build: bin/agent bin/sandbox

.PHONY: bin/agent bin/sandbox
bin/agent:
	$(GOBUILD) -ldflags "$(LDFLAGS)" -o $@ ./cmd/agent

bin/sandbox:
	$(SANDBOX) $(GOBUILD) -ldflags "-s -w" -o ../../$@ .

# A binary for this user, without root.
PREFIX ?= $(HOME)/.local
install: bin/agent
	install -d "$(PREFIX)/bin"
	install -m 755 bin/agent "$(PREFIX)/bin/agent"

# A manual page for every command: man -l man/agent-upload.1
man:
	go run -tags man -ldflags "$(LDFLAGS)" ./cmd/agent man man

# Uploads a small dataset to a local platform whose tokens live seconds, is
# killed on the way, goes on, and checks every byte.
demo: build
	go run ./bench/demo -agent bin/agent -sandbox bin/sandbox

# Go only, both modules, race detector on.
test:
	go test -race -timeout 20m ./...
	$(SANDBOX) go test -race -timeout 5m ./...

# Kills of the plain binary, long runs, other clients (awscli, s3cmd, boto3) and
# another store (Ceph) as witnesses, and what takes memory or time to measure. One package at a time:
# the kills count what was not yet on disk, and 100,000 new files beside them
# make every sync slow.
test-long:
	go test -tags long -p 1 -timeout 40m -count=1 -parallel 8 -run 'Long' ./cmd/... ./transfer/... ./bench/...

# A crontab line every minute for ten minutes, by cron itself: as root, with
# Debian's package cron. It is idle most of the time and touches no crontab of
# this machine.
test-cron:
	go test -tags cron -timeout 20m -count=1 -v -run TestCronDaemon ./cmd/agent

# Breaks each promise of docs/guarantees.md on purpose and sees that its test fails;
# the working tree stays as it is. It writes docs/mutants.md. About 25 minutes.
mutants:
	go run ./bench/mutants -write docs/mutants.md

# Another store for the tests, built from Go's module proxy.
MINIO = v0.0.0-20250907161309-07c3a429bfed
minio:
	GOBIN=$(CURDIR)/bin/stores go install github.com/minio/minio@$(MINIO)

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

vet:
	go vet -tags long,cron,man ./...
	GOOS=windows go vet ./...
	GOOS=darwin go vet ./...
	$(SANDBOX) go vet ./...

lint:
	golangci-lint run
	$(SANDBOX) golangci-lint run -c ../../.golangci.yml

clean:
	rm -rf bin man bench/out
