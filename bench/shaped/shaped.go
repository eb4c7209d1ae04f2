// Package shaped makes a network link of a given rate and delay between two
// network namespaces of this machine: Linux, root, and the programs ip and tc.
//
// Client and server are each alone in a namespace. Between them lies a router:
//
//	client ── tun ══ this process ══ tun ── router ── veth with tbf ── server
//
// This process hands packets from one tun device to the other, each after half
// the round trip; tbf on both ends of the veth pair keeps to the rate, with a
// queue that drops what is too much. It knows nothing of what goes over it.
package shaped

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a link.
type Options struct {
	Mbit  float64       // each way, in 10⁶ bits a second of packets with their Ethernet headers
	RTT   time.Duration // without queues
	MTU   int           // bytes; 1500 when 0
	Queue time.Duration // how long a packet waits at the most before it is dropped; RTT or 50 ms when 0

	// Control is the congestion control of both ends, one of those that
	// net.ipv4.tcp_allowed_congestion_control has; that of this machine when "".
	Control string
}

// Addresses of both ends. Nothing but the other end can reach them.
const (
	ClientIP = "10.99.1.2"
	ServerIP = "10.99.2.2"
)

// ErrUnable says that this machine can't make a link.
var ErrUnable = errors.New("a shaped link needs Linux, root, /dev/net/tun, ip and tc")

// Able reports, as ErrUnable with a reason, what is missing.
func Able() error { return able() }

// Link is a link that exists.
type Link struct {
	names [3]string // of the namespaces of client, router and server
	way   string    // the device of the router that keeps to the rate
	sent  atomic.Int64

	tuns  []*os.File
	relay sync.WaitGroup
}

// Sent is how many bytes of IP packets the client has sent so far, those included
// that the link drops.
func (l *Link) Sent() int64 { return l.sent.Load() }

var passed = regexp.MustCompile(`(?m)^ Sent (\d+) bytes`)

// Passed is how many bytes the link has taken from client to server, as it
// counts them: packets with their Ethernet headers.
func (l *Link) Passed(ctx context.Context) (int64, error) {
	out, err := within(ctx, l.names[1], "tc", "-s", "qdisc", "show", "dev", l.way).Output()
	m := passed.FindSubmatch(out)
	if err != nil || m == nil {
		return 0, fmt.Errorf("tc -s qdisc: %w: %q", err, out)
	}
	return strconv.ParseInt(string(m[1]), 10, 64)
}

// Client is a command that runs at the client's end.
func (l *Link) Client(ctx context.Context, name string, args ...string) *exec.Cmd {
	return within(ctx, l.names[0], name, args...)
}

// Server is one that runs at the server's.
func (l *Link) Server(ctx context.Context, name string, args ...string) *exec.Cmd {
	return within(ctx, l.names[2], name, args...)
}

func within(ctx context.Context, ns, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns, name}, args...)...) //nolint:gosec // what the caller asks for
}
