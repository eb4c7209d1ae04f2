package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/show"
	"agent/transfer"
	"agent/transfer/s3store"
)

// doctorOptions are the flags of doctor.
type doctorOptions struct {
	connection  connectionOptions
	probe, json bool

	bundle           string
	yes, redactNames bool
}

func (o *doctorOptions) addFlags(cmd *cobra.Command) {
	o.connection.addFlags(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.probe, "probe", false, "try on a scratch key under DEST what the credentials may do, and remove it again")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	f.StringVar(&o.bundle, "bundle", "", "pack findings, settings and a job's log, without secrets, into `FILE` (.tar.gz) for support")
	f.BoolVar(&o.redactNames, "redact-names", false, "put hashes in place of the names of files and folders in the bundle")
	f.BoolVarP(&o.yes, "yes", "y", false, "make the bundle without asking")
}

func doctorCommand(name string, s std) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor [DEST]",
		Short: "Look for what could go wrong, and say what to do about it",
		Long: `Looks at settings, state directory, credentials, the way to the store and what
the credentials may do there, and gives advice. It changes nothing; --probe
writes a scratch object under DEST and removes it.

With --bundle FILE [JOB] it packs what a support desk needs: findings, settings,
and the log and open uploads of JOB, all without secrets. It shows what goes in
and asks first.

Ends with 0 when all is well, with 1 when something was found.`,
		Example: fmt.Sprintf(`  %[1]s doctor my-workspace
  %[1]s doctor --probe my-workspace/scratch
  %[1]s doctor --bundle support.tar.gz --redact-names 6kuwv2vfyc`, name),
		Annotations: map[string]string{settlesItself: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.bundle != "" {
				return runBundle(cmd, &doctor{name: name, o: o}, s, args)
			}
			if err := atMostOne("destination")(cmd, args); err != nil {
				return err
			}
			if o.probe && len(args) == 0 {
				return &dest.Mistake{Msg: "--probe writes, and no destination is named", Hint: "name one: workspace/path"}
			}
			return runDoctor(cmd, name, o, s, args)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// finding is what one check came to.
type finding struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Text   string `json:"text"`
	Advice string `json:"advice,omitempty"`
}

// doctor makes the checks.
type doctor struct {
	name  string // of the program
	o     doctorOptions
	found []finding
}

func (d *doctor) good(check, format string, args ...any) {
	d.found = append(d.found, finding{Check: check, OK: true, Text: fmt.Sprintf(format, args...)})
}

func (d *doctor) bad(check, advice, format string, args ...any) {
	d.found = append(d.found, finding{Check: check, Text: fmt.Sprintf(format, args...), Advice: advice})
}

// fault is bad for an error, with the advice that other commands would give.
func (d *doctor) fault(check string, err error) {
	what, hint := explain(err)
	d.bad(check, hint, "%s", what)
}

func (d *doctor) findings() int {
	n := 0
	for _, f := range d.found {
		if !f.OK {
			n++
		}
	}
	return n
}

func runDoctor(cmd *cobra.Command, name string, o doctorOptions, s std, args []string) error {
	d := &doctor{name: name, o: o}
	d.examine(cmd, args)
	if err := d.print(s.out); err != nil {
		return err
	}
	if d.findings() > 0 {
		return &shownError{exitFailures}
	}
	return nil
}

func (d *doctor) print(w io.Writer) error {
	if d.o.json {
		return encodeLine(w, d.report())
	}
	width := 12
	for _, f := range d.found {
		width = max(width, len(f.Check))
	}
	for _, f := range d.found {
		mark := "ok"
		if !f.OK {
			mark = "!!"
		}
		if _, err := fmt.Fprintf(w, "%s  %-*s  %s\n", mark, width, f.Check, show.Clean(f.Text)); err != nil {
			return err
		}
		if f.Advice != "" {
			fmt.Fprintf(w, "    %-*s  → %s\n", width, "", show.Clean(f.Advice))
		}
	}
	return nil
}

// doctorReport is all that was found, as it is printed and packed.
type doctorReport struct {
	Version  string    `json:"version"`
	OK       bool      `json:"ok"`
	Findings []finding `json:"findings"`
}

func (d *doctor) report() doctorReport {
	return doctorReport{Version: thisEdition().String(), OK: d.findings() == 0, Findings: d.found}
}

// examine makes all checks, those of this machine first. Flags are settled
// here: a configuration that can't be read is a finding.
func (d *doctor) examine(cmd *cobra.Command, args []string) {
	d.checkProgram()
	d.checkConfig(cmd, args)
	d.o.connection = connectionOf(cmd)
	d.checkState(cmd.Context())
	switch n := openFiles(); {
	case n == math.MaxInt32: // there is no limit
	case lanesFor(n) >= s3store.MaxLanes:
		d.good("open files", "%d at once", n)
	default:
		d.bad("open files", "raise the limit: ulimit -n 1024", "only %d at once", n)
	}
	d.checkStore(cmd.Context(), args)
}

func (d *doctor) checkStore(ctx context.Context, args []string) {
	c, err := connectTo(ctx, d.name, d.o.connection, args)
	switch {
	case err != nil && len(args) == 0:
		d.good("store", "not looked at: no destination is named (%s doctor my-workspace)", d.name)
		return
	case err != nil:
		d.fault("destination", err)
		return
	}
	defer c.Close()
	d.good("destination", "%s, region %s", c.dest, c.region)
	d.checkProxy(c)
	reached := d.checkEndpoint(ctx, c)
	got, ok := d.checkCredentials(ctx, c)
	if !ok || !reached {
		return
	}
	store := s3store.New(s3store.Options{Bucket: c.dest.Bucket, Region: c.region, Endpoint: c.endpoint, Credentials: &oneSet{c: got},
		HTTP: c.http, Parallel: 1, Prefix: c.dest.Prefix, Patience: doctorPatience, FirstPatience: doctorPatience, KeyPatience: 1})
	if _, err := store.Children(ctx, c.dest.Prefix); err != nil {
		if errors.Is(err, transfer.ErrDenied) {
			err = &unlistable{err: err, c: c, name: d.name}
		} else {
			err = withoutKey(err)
		}
		d.fault("list", err)
	} else {
		d.good("list", "allowed")
	}
	if d.o.probe {
		d.checkRights(ctx, c, store)
	}
}

// withoutKey is an error of a request without the words around it.
func withoutKey(err error) error {
	var f *s3store.Fault
	if errors.As(err, &f) && f.Code != "" {
		return f
	}
	return err
}
