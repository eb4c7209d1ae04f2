package shaped

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func able() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: not root", ErrUnable)
	}
	for _, program := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: %w", ErrUnable, err)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return fmt.Errorf("%w: %w", ErrUnable, err)
	}
	return nil
}

// New makes a link. Close removes it.
func New(ctx context.Context, o Options) (_ *Link, err error) {
	if err := able(); err != nil {
		return nil, err
	}
	if o.MTU <= 0 {
		o.MTU = 1500
	}
	if o.Queue <= 0 {
		o.Queue = max(o.RTT, 50*time.Millisecond)
	}
	tag := strconv.Itoa(os.Getpid()) + "x" + strconv.FormatInt(time.Now().UnixNano()%1000, 10)
	l := &Link{names: [3]string{"agent-c" + tag, "agent-r" + tag, "agent-s" + tag}, way: "vr" + tag}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	for _, ns := range l.names {
		if err := run(ctx, "ip", "netns", "add", ns); err != nil {
			return nil, err
		}
	}
	for i, end := range []string{"tc" + tag, "tr" + tag} {
		f, err := tun(end)
		if err != nil {
			return nil, err
		}
		l.tuns = append(l.tuns, f)
		if err := run(ctx, "ip", "link", "set", end, "netns", l.names[i]); err != nil {
			return nil, err
		}
	}
	if err := l.configure(ctx, o, tag); err != nil {
		return nil, err
	}
	l.relay.Go(func() { carry(l.tuns[0], l.tuns[1], o, func(n int) { l.sent.Add(int64(n)) }) })
	l.relay.Go(func() { carry(l.tuns[1], l.tuns[0], o, func(int) {}) })
	return l, nil
}

// configure gives both ends their addresses, routes and rates.
func (l *Link) configure(ctx context.Context, o Options, tag string) error {
	c, r, s := l.names[0], l.names[1], l.names[2]
	mtu := strconv.Itoa(o.MTU)
	bits := int64(o.Mbit * 1e6)
	// A bucket of 2 ms, and room for a packet.
	shape := fmt.Sprintf("root tbf rate %dbit burst %d latency %dms", bits, max(bits/8/500, 3*int64(o.MTU)), o.Queue.Milliseconds())
	for _, line := range []string{
		"ip -n " + r + " link add vr" + tag + " mtu " + mtu + " type veth peer name vs" + tag + " netns " + s + " mtu " + mtu,
		"ip -n " + c + " addr add " + ClientIP + "/30 dev tc" + tag,
		"ip -n " + r + " addr add 10.99.1.1/30 dev tr" + tag,
		"ip -n " + r + " addr add 10.99.2.1/30 dev vr" + tag,
		"ip -n " + s + " addr add " + ServerIP + "/30 dev vs" + tag,
		"ip -n " + c + " link set tc" + tag + " mtu " + mtu + " txqueuelen 10000 up",
		"ip -n " + r + " link set tr" + tag + " mtu " + mtu + " txqueuelen 10000 up",
		"ip -n " + r + " link set vr" + tag + " up",
		"ip -n " + s + " link set vs" + tag + " up",
		"ip -n " + c + " link set lo up",
		"ip -n " + s + " link set lo up",
		"ip -n " + c + " route add default via 10.99.1.1",
		"ip -n " + s + " route add default via 10.99.2.1",
		"tc -n " + r + " qdisc add dev vr" + tag + " " + shape,
		"tc -n " + s + " qdisc add dev vs" + tag + " " + shape,
	} {
		words := strings.Fields(line)
		if err := run(ctx, words[0], words[1:]...); err != nil {
			return err
		}
	}
	// What Linux has where nobody has changed it.
	defaults := map[string]string{"tcp_rmem": "4096 131072 6291456", "tcp_wmem": "4096 16384 4194304"}
	if o.Control != "" {
		defaults["tcp_congestion_control"] = o.Control
	}
	for _, ns := range []string{c, s} {
		for name, value := range defaults {
			if err := set(ctx, ns, name, value); err != nil {
				return err
			}
		}
	}
	return set(ctx, r, "ip_forward", "1")
}

func set(ctx context.Context, ns, name, value string) error {
	return run(ctx, "ip", "netns", "exec", ns, "sh", "-c", "echo '"+value+"' >/proc/sys/net/ipv4/"+name)
}

func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput() //nolint:gosec // of our own making
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// tun makes a device whose packets the file reads and writes. It is gone when the
// file is closed.
func tun(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("tun device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// packet is one on its way.
type packet struct {
	data []byte
	due  time.Time
}

// carry hands packets on, each after half a round trip, until from is closed.
func carry(from, to *os.File, o Options, count func(int)) {
	way := make(chan packet, 1<<15) // more than fit the way at any rate that is of use
	free := make(chan []byte, cap(way))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p := range way {
			if d := time.Until(p.due); d > 0 {
				time.Sleep(d)
			}
			_, _ = to.Write(p.data) // an interface that is down loses packets
			count(len(p.data))
			select {
			case free <- p.data[:cap(p.data)]:
			default:
			}
		}
	}()
	for {
		var b []byte
		select {
		case b = <-free:
		default:
			b = make([]byte, o.MTU)
		}
		n, err := from.Read(b)
		if err != nil {
			break
		}
		way <- packet{b[:n], time.Now().Add(o.RTT / 2)}
	}
	close(way)
	<-done
}

// Close removes all of the link. What still runs at its ends loses it.
func (l *Link) Close() error {
	var errs []error
	for _, f := range l.tuns {
		errs = append(errs, f.Close())
	}
	l.relay.Wait()
	for _, ns := range l.names {
		if _, err := os.Stat("/run/netns/" + ns); err == nil {
			errs = append(errs, run(context.Background(), "ip", "netns", "del", ns))
		}
	}
	return errors.Join(errs...)
}
