package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3err"
)

// Limits of the S3 server, all well above what a test throws at it.
const (
	maxConnections = 4096
	maxRequests    = 4096
	// Concurrent file operations; more only adds threads.
	posixConcurrency = 256
	// AWS's own limits.
	maxParts      = 10_000
	maxCopySource = 5 << 30
)

// gateway is the running S3 server. Only one can run in a process, and it
// moves the working directory of the process to its data.
//
// Its own listener is a Unix socket used once, to get hold of its handler: the
// sandbox serves that handler itself (see front), because the server's HTTP
// layer answers "Expect: 100-continue" before it looks at the credentials, and
// offers no hook for the Date header.
type gateway struct {
	handler fasthttp.RequestHandler
	cancel  context.CancelFunc
	stopped chan struct{} // closed at the server's end
	err     error         // why it ended; set before stopped is closed
}

// startGateway opens the store under dir and starts the server on it.
func startGateway(ctx context.Context, o options, dir string, ids iam, rootSecret string) (*gateway, error) {
	be, err := openStore(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	socketDir, err := os.MkdirTemp("", "sandbox-gw-") // short: socket paths are limited to about 100 bytes
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(socketDir) }()
	socket := filepath.Join(socketDir, "s3")

	handlers := make(chan fasthttp.RequestHandler, 1)
	listening := make(chan struct{})
	s3Options := []s3api.Option{
		s3api.WithOnListen(func() { close(listening) }),
		s3api.WithMiddleware("/", afterBody),
		s3api.WithMiddleware("/", captureHandler(handlers)),
	}
	if o.clockOffset != 0 {
		root := auth.Account{Access: rootAccessKey, Secret: rootSecret, Role: auth.RoleAdmin}
		s3Options = append(s3Options, s3api.WithMiddleware("/", shiftedAuth{ids: ids, root: root, region: o.region}.middleware()))
	}

	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g := &gateway{stopped: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(g.stopped)
		g.err = embedgw.RunVersityGW(ctx, be, &embedgw.Config{
			RootUserAccess:    rootAccessKey,
			RootUserSecret:    rootSecret,
			Region:            o.region,
			Ports:             []string{socket},
			SocketPerm:        "0600",
			MaxConnections:    maxConnections,
			MaxRequests:       maxRequests,
			MultipartMaxParts: maxParts,
			Quiet:             true,
			KeepAlive:         true,
			DisableACLs:       true,
			IAMService:        ids,
			S3Options:         s3Options,
		})
	}()
	select {
	case <-g.stopped:
		cancel()
		return nil, fmt.Errorf("s3 server: %w", g.err)
	case <-listening:
	}
	if err := knock(ctx, socket); err != nil {
		g.stop()
		return nil, fmt.Errorf("s3 server: %w", err)
	}
	g.handler = <-handlers
	return g, nil
}

// stop ends the server and waits for it.
func (g *gateway) stop() {
	g.cancel()
	<-g.stopped
}

// captureHandler passes on the server's own request handler, once.
func captureHandler(to chan<- fasthttp.RequestHandler) fiber.Handler {
	return func(c fiber.Ctx) error {
		if _, socket := c.RequestCtx().LocalAddr().(*net.UnixAddr); socket {
			select {
			case to <- c.App().Handler():
			default:
			}
			return c.SendStatus(http.StatusNoContent)
		}
		return c.Next()
	}
}

// knock sends one request to the socket and drops the connection.
func knock(ctx context.Context, socket string) error {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://sandbox/", nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// openStore opens (and the first time makes) the bucket under dir.
func openStore(ctx context.Context, o options, dir string) (backend.Backend, error) {
	data, sidecar := filepath.Join(dir, "data"), filepath.Join(dir, "meta")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	po := posix.PosixOpts{
		Concurrency:         posixConcurrency,
		CopyObjectThreshold: maxCopySource,
		ForceNoObjLockFile:  true, // one process owns the data
	}
	var storer meta.MetadataStorer = meta.XattrMeta{}
	if err := (meta.XattrMeta{}).Test(data); err != nil {
		// The file system has no extended attributes.
		if err := os.MkdirAll(sidecar, 0o700); err != nil {
			return nil, err
		}
		if storer, err = meta.NewSideCar(sidecar); err != nil {
			return nil, err
		}
	}
	be, err := posix.New(data, storer, po)
	if err != nil {
		return nil, err
	}
	hide := o.role == rolePlatform && o.missing == http.StatusForbidden
	return store{Backend: be, hideMissing: hide}, createBucket(ctx, be, o.bucket)
}

func createBucket(ctx context.Context, be backend.Backend, bucket string) error {
	acl, err := json.Marshal(auth.ACL{Owner: rootAccessKey})
	if err != nil {
		return err
	}
	// The storage backend reads the new owner from the context.
	//nolint:staticcheck // the plain string key is the backend's interface
	ctx = context.WithValue(ctx, "bucket-owner", auth.Account{Access: rootAccessKey, Role: auth.RoleAdmin})
	err = be.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket:                    &bucket,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{},
		ObjectOwnership:           types.ObjectOwnershipBucketOwnerEnforced,
	}, acl)
	if hasCode(err, "BucketAlreadyOwnedByYou") {
		return nil
	}
	return err
}

// hasCode reports whether err is an S3 error with this code.
func hasCode(err error, code string) bool {
	var apiErr s3err.S3Error
	return errors.As(err, &apiErr) && apiErr.BaseError().Code == code
}
