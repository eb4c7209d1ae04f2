package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// shutdownGrace is what requests in progress get when the sandbox is told to
// stop; after that their connections are cut.
const shutdownGrace = 2 * time.Second

// runServe is the serving command: it wires the parts and waits.
func runServe(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	dir, cleanUp, err := stateDir(o.dir)
	if err != nil {
		return err
	}
	defer cleanUp()
	requests, err := openRequestLog(o.logFile, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, requests.close()) }()
	keys, err := loadSeed(o.secret, dir)
	if err != nil {
		return err
	}
	if o.apiKey == "" {
		o.apiKey = keys.apiKey()
	}
	ids := iam{
		issuer: issuer{seed: keys, clock: clock{o.clockOffset}, life: o.tokenLife},
		role:   role{bucket: o.bucket, full: o.role == roleFull},
	}
	env := environment{options: o, rootSecret: keys.rootSecret()}
	s3Listener, apiListener, err := env.listen(ctx, dir)
	if err != nil {
		return err
	}
	gw, err := startGateway(ctx, o, dir, ids, keys.rootSecret())
	if err != nil {
		return err
	}
	defer gw.stop()

	limit := newLimiter(o.rate)
	platform := &platformAPI{
		apiKey: o.apiKey, workspace: o.workspace, bucket: o.bucket, region: o.region,
		issuer: ids.issuer, log: requests,
	}
	s3 := &front{handler: gw.handler, clock: ids.issuer.clock, limit: limit, log: requests}
	servers := newServers(stderr)
	servers.start(limit.listener(s3Listener), s3, env.certificate)
	servers.start(apiListener, platform.handler(), nil)
	defer servers.stop(ctx)

	if err := env.announce(stdout, ids.issuer.mint(o.workspace)); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-servers.failed:
		return err
	case <-gw.stopped:
		return fmt.Errorf("s3 server stopped: %w", gw.err)
	}
}

// stateDir makes the named directory, or a temporary one that cleanUp removes.
func stateDir(dir string) (path string, cleanUp func(), err error) {
	if dir == "" {
		dir, err = os.MkdirTemp("", "sandbox-")
		return dir, func() { _ = os.RemoveAll(dir) }, err
	}
	return dir, func() {}, os.MkdirAll(dir, 0o700)
}

// listen opens both listeners before anything is started, so that a port in
// use is the first thing to be told, and fills in their addresses.
func (e *environment) listen(ctx context.Context, dir string) (s3, api net.Listener, err error) {
	if e.options.tls {
		cert, ca, err := loadCertificate(dir)
		if err != nil {
			return nil, nil, err
		}
		e.certificate, e.caFile = &cert, ca
	}
	var lc net.ListenConfig
	s3, err = lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(e.options.port)))
	if err != nil {
		return nil, nil, err
	}
	api, err = lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(e.options.apiPort)))
	if err != nil {
		return nil, nil, errors.Join(err, s3.Close())
	}
	e.s3Addr, e.apiAddr = s3.Addr().String(), api.Addr().String()
	return s3, api, nil
}

// servers are the HTTP servers of one sandbox.
type servers struct {
	running []*http.Server
	failed  chan error
	stderr  io.Writer
}

func newServers(stderr io.Writer) *servers {
	return &servers{failed: make(chan error, 2), stderr: stderr}
}

// start serves on a listener, over TLS with a certificate. Only HTTP/1.1 is
// offered, as by S3.
func (s *servers) start(l net.Listener, h http.Handler, cert *tls.Certificate) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler:           h,
		Protocols:         &protocols,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(quiet{s.stderr}, "sandbox: ", 0),
	}
	if cert != nil {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
	}
	s.running = append(s.running, server)
	go func() {
		var err error
		if cert != nil {
			err = server.ServeTLS(l, "", "")
		} else {
			err = server.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
}

// stop lets requests in progress end for a while, then cuts them.
func (s *servers) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	for _, server := range s.running {
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	}
}
