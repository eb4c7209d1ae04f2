package main

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/spf13/cobra"

	"agent/journal"
)

// profiles are the hidden flags by which the program is looked at from inside,
// with 'go tool pprof', and by which a part of it is left out to see its cost.
type profiles struct {
	cpu, mem  string // files; "" for none
	noJournal bool
	out       *os.File
}

func (p *profiles) addFlags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	// A run makes the commands anew to tell how to go on: that must not forget them.
	f.StringVar(&p.cpu, "cpuprofile", p.cpu, "write where the CPU time went to `FILE`")
	f.StringVar(&p.mem, "memprofile", p.mem, "write what was allocated to `FILE`")
	f.BoolVar(&p.noJournal, "no-journal", p.noJournal, "for measuring only: remember nothing, so that the run can't be resumed")
	for _, name := range []string{"cpuprofile", "memprofile", "no-journal"} {
		_ = f.MarkHidden(name) // it was just added
	}
}

// journal is how journals are opened.
func (p *profiles) journal() journal.Options {
	return journal.Options{Off: p != nil && p.noJournal}
}

// start begins the profile of the CPU.
func (p *profiles) start() (err error) {
	if p.cpu == "" {
		return nil
	}
	if p.out, err = os.Create(p.cpu); err != nil {
		return err
	}
	return pprof.StartCPUProfile(p.out)
}

// stop writes what was asked for.
func (p *profiles) stop() error {
	var err error
	if p.out != nil {
		pprof.StopCPUProfile()
		err = p.out.Close()
	}
	if p.mem == "" {
		return err
	}
	f, cerr := os.Create(p.mem)
	if cerr != nil {
		return errors.Join(err, cerr)
	}
	runtime.GC() // what is still in use is as of the last collection
	return errors.Join(err, pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
