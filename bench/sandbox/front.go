package main

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
)

// front is the HTTP side of the S3 server: it passes each request to the
// server's handler and its answer back, and on the way throttles the body,
// sets the Date header and keeps the request log.
//
// Bodies are streamed. Because net/http sends "100 Continue" only when the
// body is first read, and the handler authenticates before it reads, a client
// that asked first is refused without having sent its body.
type front struct {
	handler fasthttp.RequestHandler
	clock   clock
	limit   *limiter // nil: unlimited
	log     *requestLog
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	entry := newS3Entry(r)
	body := &requestBody{src: f.limit.reader(r.Context(), r.Body)}
	var ctx fasthttp.RequestCtx
	toFastHTTP(&ctx, r, body)
	f.handler(&ctx)
	body.end()

	w.Header().Set("Date", f.clock.now().Format(http.TimeFormat))
	entry.Bytes = body.n
	entry.Status = ctx.Response.StatusCode()
	if entry.Status >= http.StatusBadRequest && ctx.Response.BodyStream() == nil {
		entry.Code = errorCode(ctx.Response.Body())
	}
	// From here on bytes may reach the client; those of a small answer leave
	// only when this function returns, after its line is in the log.
	entry.Time = time.Now()
	answer(w, r, &ctx.Response)
	f.log.write(entry)
}

// requestBody counts what the server reads of a body. Once the handler is
// done it is at its end: what is left unread is for net/http to deal with,
// which knows whether the client is waiting for a 100 Continue.
type requestBody struct {
	src   io.Reader
	n     int64
	ended bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.src.Read(p)
	b.n += int64(n)
	return n, err
}

func (b *requestBody) end() { b.ended = true }

// afterBody ends the body when the server's operation is done, before the
// server's own draining of unread bodies gets to it.
func afterBody(c fiber.Ctx) error {
	err := c.Next()
	if body, ok := c.Request().BodyStream().(*requestBody); ok {
		body.end()
	}
	return err
}

// toFastHTTP makes the server's form of a request.
func toFastHTTP(ctx *fasthttp.RequestCtx, r *http.Request, body io.Reader) {
	ctx.Init2(newPeer(r), nil, false)
	req := &ctx.Request
	readMetadata(req, r)
	req.Header.SetMethod(r.Method)
	req.SetRequestURI(r.RequestURI)
	req.Header.SetHost(r.Host)
	for name, values := range r.Header {
		if strings.HasPrefix(name, metaHeader) {
			continue
		}
		for _, value := range values {
			req.Header.Add(name, value)
		}
	}
	switch {
	case r.ContentLength > 0:
		req.SetBodyStream(body, int(r.ContentLength))
	case r.ContentLength < 0:
		req.SetBodyStream(body, -1)
	case r.Header.Get("Content-Length") != "" || r.Method == http.MethodPut || r.Method == http.MethodPost:
		req.Header.SetContentLength(0)
	}
}

// metaHeader begins the headers of user metadata.
const metaHeader = "X-Amz-Meta-"

// readMetadata gives req the user metadata. The server looks for them in the
// bytes that a header was read from, so headers that are only added are lost.
func readMetadata(req *fasthttp.Request, r *http.Request) {
	var raw bytes.Buffer
	for name, values := range r.Header {
		for _, value := range values {
			if strings.HasPrefix(name, metaHeader) {
				fmt.Fprintf(&raw, "%s: %s\r\n", name, value)
			}
		}
	}
	if raw.Len() == 0 {
		return
	}
	lines := "PUT / HTTP/1.1\r\nHost: " + r.Host + "\r\n" + raw.String() + "\r\n"
	// What net/http has read, fasthttp reads too; if not, there are no metadata.
	_ = req.Header.Read(bufio.NewReaderSize(strings.NewReader(lines), max(len(lines), 4<<10)))
}

// answer writes the server's response to the client.
func answer(w http.ResponseWriter, r *http.Request, resp *fasthttp.Response) {
	for name, value := range resp.Header.All() {
		switch string(name) {
		case "Content-Length", "Date", "Connection", "Transfer-Encoding":
		default:
			w.Header().Add(string(name), string(value))
		}
	}
	if resp.ConnectionClose() {
		w.Header().Set("Connection", "close")
	}
	status := resp.StatusCode()
	stream := resp.BodyStream()
	isHead := r.Method == http.MethodHead
	if n := resp.Header.ContentLength(); n >= 0 && (stream != nil || isHead && status < http.StatusBadRequest) {
		w.Header().Set("Content-Length", strconv.Itoa(n))
	}
	w.WriteHeader(status)
	switch {
	case isHead:
	case stream != nil:
		_, _ = io.CopyBuffer(struct{ io.Writer }{w}, stream, make([]byte, 128<<10)) // fails when the client is gone
	default:
		_, _ = w.Write(resp.Body())
	}
	_ = resp.CloseBodyStream()
}

// errorCode reads the code of an S3 error document; a HEAD request has one,
// too, though it is not sent.
func errorCode(document []byte) string {
	var e struct{ Code string }
	if xml.Unmarshal(document, &e) != nil {
		return ""
	}
	return e.Code
}

// peer stands for the client's connection where the server asks for it. Only
// addresses and deadlines are ever used; net/http keeps the connection.
type peer struct {
	net.Conn

	local, remote net.Addr
}

func newPeer(r *http.Request) net.Conn {
	p := peer{local: &net.TCPAddr{}, remote: &net.TCPAddr{}}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		p.local = addr
	}
	if addr, err := net.ResolveTCPAddr("tcp", r.RemoteAddr); err == nil {
		p.remote = addr
	}
	return p
}

func (p peer) LocalAddr() net.Addr              { return p.local }
func (p peer) RemoteAddr() net.Addr             { return p.remote }
func (peer) SetDeadline(time.Time) error        { return nil }
func (peer) SetReadDeadline(time.Time) error    { return nil }
func (peer) SetWriteDeadline(t time.Time) error { return nil }

// accessKeyOf reads the access key from a request's signature.
func accessKeyOf(r *http.Request) string {
	credential := r.URL.Query().Get("X-Amz-Credential")
	if _, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		credential = rest
	}
	access, _, _ := strings.Cut(credential, "/")
	return access
}
