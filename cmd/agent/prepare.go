package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"agent/cmd/internal/dest"
	"agent/journal"
	"agent/transfer"
)

// cleanEndpoint gives the one spelling of an endpoint by which jobs are known.
// It repeats nothing of what it refuses: there may be a password in it.
func cleanEndpoint(endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", &dest.Mistake{Msg: "the endpoint is no URL", Hint: "write https://host or http://host:port (--endpoint, AWS_ENDPOINT_URL)"}
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", &dest.Mistake{Msg: "the endpoint has more in it than an address",
			Hint: "write https://host or http://host:port; keys belong into the AWS files"}
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	return u.Scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/"), nil
}

// prepare brings the journal into the state the run begins from, and says how
// far it can be trusted without asking the store.
func (s *session) prepare(ctx context.Context) (transfer.Mark, error) {
	s.tellDamage("compared with the store")
	if s.o.restart && !s.db.New() {
		if err := s.restart(ctx); err != nil {
			return transfer.Mark{}, err
		}
	}
	mark, err := s.db.Mark()
	if err != nil {
		return mark, err
	}
	if mark == (transfer.Mark{}) && !s.o.restart {
		// New, or cut short before it got anywhere.
		if err := s.takeOver(ctx); err != nil {
			return mark, err
		}
	}
	if !mark.Finished && s.sync == nil {
		return mark, nil
	}
	// A finished job that is run again, and every sync, is held against the
	// store from the start: somebody may have removed or replaced what it stored.
	mark = transfer.Mark{}
	if err := s.db.SetMark(mark); err != nil {
		return mark, err
	}
	return mark, s.db.Flush(ctx)
}

// tellDamage says what was wrong with the journal, and what becomes of what it
// knows no more.
func (s *session) tellDamage(rest string) {
	if d := s.db.Damage(); d != nil && d.SetAside != "" {
		s.notice(fmt.Sprintf("the journal was damaged and is set aside as %s; %d entries were saved, the rest is %s",
			filepath.Base(d.SetAside), d.Kept, rest))
	}
}

// takeOver learns what idle journals of other jobs know of this destination:
// the same files under a longer list of sources, or after a move.
func (s *session) takeOver(ctx context.Context) error {
	took, err := journal.TakeOver(ctx, s.db, filepath.Join(s.state, "jobs"))
	if err != nil {
		return err
	}
	if took.Records+took.Uploads > 0 {
		s.notice(fmt.Sprintf("took over what earlier jobs know of this destination: %d stored files, %d begun uploads", took.Records, took.Uploads))
	}
	return nil
}

func (s *session) notice(text string) {
	s.event(transfer.Event{Kind: transfer.Notice, Text: text})
}

// restart ends the uploads the journal knows, or names them, and forgets it.
func (s *session) restart(ctx context.Context) error {
	for _, key := range s.db.Uploads() {
		up, open, err := s.db.Upload(key)
		if err != nil {
			return err
		}
		if !open {
			continue
		}
		if err := s.store.Discard(ctx, s.db, up); err != nil {
			return err
		}
	}
	return s.reopen(ctx)
}

// reopen begins the journal anew.
func (s *session) reopen(ctx context.Context) error {
	if err := s.db.Close(); err != nil {
		return err
	}
	if err := journal.Remove(s.dir); err != nil {
		return err
	}
	var err error
	s.db, err = journal.Open(ctx, s.dir, s.job, s.std.profiles.journal())
	return err
}

// holderEvery is how often others are told how far this run is.
const holderEvery = 2 * time.Second

// holder is this run as others see it, before it has come anywhere.
func (s *session) holder() journal.Holder {
	host, _ := os.Hostname()
	return journal.Holder{
		PID: os.Getpid(), Host: host, Started: time.Now(), Version: thisEdition().version,
		Place: journal.Place{Endpoint: s.endpoint, Region: s.region, Bucket: s.dest.Bucket, Prefix: s.prefix, Scope: s.scope},
	}
}

// tellHolder keeps run.json, by which others see who holds the job.
func (s *session) tellHolder(ctx context.Context) {
	h := s.holder()
	t := time.NewTicker(holderEvery)
	defer t.Stop()
	for {
		c := s.sink.Counts()
		h.Updated = time.Now()
		h.Progress = journal.Progress{
			FilesDone: int64(c.FilesDone + c.FilesThere), FilesFound: int64(c.FilesFound),
			BytesDone: c.BytesDone, BytesFound: c.BytesFound, Waiting: s.redact.String(c.Waiting),
			Credentials: s.waiter.isWaiting(),
		}
		if err := s.db.WriteHolder(h); err != nil {
			s.log.Warn("run.json can't be written", "error", err.Error())
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
