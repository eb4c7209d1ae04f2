package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/prompt"
	"agent/cmd/internal/show"
)

func scheduleCommand(name string, s std) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Run a command again and again: systemd, cron or Slurm",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(scheduleInstallCommand(name, s), scheduleListCommand(name, s), scheduleRemoveCommand(name, s))
	return cmd
}

// scheduleOptions are the flags of 'schedule install'.
type scheduleOptions struct {
	jobsOptions
	every                  span
	at, cron               string
	system, crontab, slurm bool
	limit                  string   // of a Slurm job
	sbatch                 []string // lines for Slurm
	yes, dryRun            bool
}

func (o *scheduleOptions) addFlags(cmd *cobra.Command) {
	o.jobsOptions.addFlags(cmd)
	f := cmd.Flags()
	f.Var(&o.every, "every", "how often, e.g. 15m, 1h, 1d")
	f.StringVar(&o.at, "at", "", "each day at `HH:MM`")
	f.StringVar(&o.cron, "cron", "", "at the times of cron's five `fields`: '0 2 * * *'")
	f.BoolVar(&o.system, "system", false, "a unit of the system, not of this user; as root")
	f.BoolVar(&o.crontab, "crontab", false, "a line in this user's crontab instead of a systemd timer")
	f.BoolVar(&o.slurm, "slurm", false, "a batch script for Slurm that submits itself until all is done")
	f.StringVar(&o.limit, "time", "04:00:00", "with --slurm: the job's time `limit`")
	f.StringArrayVar(&o.sbatch, "sbatch", nil, "with --slurm: one more `option` of sbatch, e.g. --partition=transfer; may be repeated")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "print what would be written; write nothing")
}

func scheduleInstallCommand(name string, s std) *cobra.Command {
	var o scheduleOptions
	cmd := &cobra.Command{
		Use:   "install NAME --every 1h|--at 02:30|--cron '0 2 * * *' -- upload SOURCE... DEST [flags]",
		Short: "Write a systemd timer, a crontab line or a Slurm script",
		Long: `Prints what it would write, checks whether there would be credentials there, asks,
and installs it. A schedule of the same name is replaced.

The command is run with absolute paths and with this shell's settings (endpoint,
region and the like), but without its secrets: AWS keys that are exported here are
not there. 'login' is what works everywhere. --wait-credentials 10m, a status
file and a summary line are added, unless the command has its own.`,
		Example: fmt.Sprintf(`  %[1]s schedule install nightly --at 02:30 -- upload ./archive my-workspace/archive
  %[1]s schedule install hourly --every 1h --crontab -- upload ./data my-workspace/data
  %[1]s schedule install big --slurm --time 12:00:00 -- upload /lustre/run my-workspace/run`, name),
		RunE: func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			if dash != 1 || len(args) < 2 {
				return &dest.Mistake{Msg: "name and command are not to be told apart",
					Hint: fmt.Sprintf("write: %s schedule install NAME --every 1h -- upload SOURCE DEST", name)}
			}
			for _, flag := range []string{"time", "sbatch"} {
				if !o.slurm && cmd.Flags().Changed(flag) {
					return &dest.Mistake{Msg: "--" + flag + " is for --slurm, which is not there", Hint: "to bound a run elsewhere, put --max-duration behind the command"}
				}
			}
			return runScheduleInstall(cmd.Context(), name, args[0], args[1:], o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// schedule is one that is to be installed, with everything decided.
type schedule struct {
	name    string // the schedule's
	program string // this one's, absolute
	args    []string
	dir     string // where it was made
	env     map[string]string
	when    *when // nil for Slurm
	status  string
	o       scheduleOptions
}

var scheduleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$`)

func checkScheduleName(name string) error {
	if scheduleName.MatchString(name) {
		return nil
	}
	return &dest.Mistake{Msg: fmt.Sprintf("%q is no name for a schedule", name), Hint: "take up to 50 letters, digits, - and _"}
}

// keeper is one place where schedules are kept.
type keeper interface {
	// show writes for people what install would do.
	show(w io.Writer, s *schedule) error
	install(ctx context.Context, s *schedule) error
	// notes are what is to be known beside, once it is installed.
	notes(ctx context.Context, s *schedule) []string
	list(ctx context.Context) ([]scheduled, error)
	// remove reports whether there was one of that name.
	remove(ctx context.Context, name string) (bool, error)
}

// scheduled is one that is installed.
type scheduled struct{ name, kind, when, command string }

// schedules is where Slurm's scripts and the status files are.
func (s shelf) schedules() string { return filepath.Join(s.state, "schedules") }

func (o *scheduleOptions) keeper(sh shelf) (keeper, error) {
	n := 0
	for _, on := range []bool{o.system, o.crontab, o.slurm} {
		if on {
			n++
		}
	}
	switch {
	case n > 1:
		return nil, &dest.Mistake{Msg: "--system, --crontab and --slurm exclude each other", Hint: "choose one; without any it is a timer of this user"}
	case o.slurm:
		return slurm{dir: sh.schedules()}, nil
	case runtime.GOOS == "windows":
		return nil, &dest.Mistake{Msg: "neither systemd nor cron is on Windows", Hint: "make a task in the Task Scheduler that runs the same command"}
	case o.crontab:
		return crontab{}, nil
	case o.system && os.Geteuid() != 0:
		return nil, &dest.Mistake{Msg: "--system is for root", Hint: "use sudo, or leave --system out for a timer of your own"}
	}
	return newSystemd(o.system)
}

func (o *scheduleOptions) time(name string) (*when, error) {
	n := 0
	for _, on := range []bool{o.every > 0, o.at != "", o.cron != ""} {
		if on {
			n++
		}
	}
	switch {
	case o.slurm && n > 0:
		return nil, &dest.Mistake{Msg: "with --slurm there is no --every, --at or --cron", Hint: "the script submits itself until all is done; for more, see scrontab"}
	case o.slurm:
		return nil, nil
	case n != 1:
		return nil, &dest.Mistake{Msg: "when to run is not told, or twice", Hint: "write one of --every 1h, --at 02:30, --cron '0 2 * * *'"}
	case o.every > 0:
		return parseEvery(o.every, name)
	case o.at != "":
		return parseAt(o.at)
	}
	return parseCron(o.cron)
}

func runScheduleInstall(ctx context.Context, name, schedule string, args []string, o scheduleOptions, s std) error {
	if err := checkScheduleName(schedule); err != nil {
		return err
	}
	sh, err := o.shelf(name)
	if err != nil {
		return err
	}
	k, err := o.keeper(sh)
	if err != nil {
		return err
	}
	sc, err := plannedSchedule(sh, schedule, args, o, s)
	if err != nil {
		return err
	}
	if err := k.show(s.out, sc); err != nil {
		return err
	}
	for _, w := range sc.check(ctx, sh, s) {
		fmt.Fprintf(s.err, "warning: %s\n", show.Clean(w))
	}
	if o.dryRun {
		return nil
	}
	if err := agree(ctx, s, o.yes, "Install it? [y/N] "); err != nil {
		return err
	}
	if err := os.MkdirAll(sh.schedules(), 0o700); err != nil {
		return &stateError{what: "the schedule's files can't be kept in " + sh.schedules(), err: plainPath(err)}
	}
	if err := k.install(ctx, sc); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "installed %s\n", sc.name)
	for _, n := range k.notes(ctx, sc) {
		fmt.Fprintf(s.err, "note: %s\n", show.Clean(n))
	}
	return nil
}

var errNotAgreed = errors.New("nothing was written")

// agree asks on the terminal.
func agree(ctx context.Context, s std, yes bool, question string) error {
	if yes {
		return nil
	}
	in, _ := s.in.(*os.File)
	t, ok := prompt.New(in, s.err)
	if !ok {
		return &dest.Mistake{Msg: "there is no terminal to ask on, and nothing was written", Hint: "--yes agrees beforehand"}
	}
	answer, err := t.Line(ctx, question)
	if err != nil {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errNotAgreed
	}
	return nil
}

// plannedSchedule makes the command fit to be run from anywhere.
func plannedSchedule(sh shelf, name string, args []string, o scheduleOptions, s std) (sc *schedule, err error) {
	sc = &schedule{name: name, o: o}
	if sc.when, err = o.time(name); err != nil {
		return nil, err
	}
	if sc.program, err = lastingPath(os.Args[0]); err != nil {
		return nil, err
	}
	if sc.dir, err = os.Getwd(); err != nil {
		return nil, err
	}
	sc.env, _ = ambient()
	if o.stateDir != "" {
		sc.env[variable("STATE_DIR")] = sh.state
	}
	root := rootCommand(sh.name, s)
	cmd, rest, err := root.Find(args)
	if err != nil || cmd == root || cmd.HasSubCommands() || cmd.Name() == "install" {
		return nil, &dest.Mistake{Msg: fmt.Sprintf("%q is no command to schedule", args[0]), Hint: "write for example: -- upload ./data my-workspace/data"}
	}
	split := words(cmd, rest)
	if n := plainWords(split); n < 2 && slices.Contains([]string{"upload", "download", "sync"}, cmd.Name()) {
		return nil, &dest.Mistake{Msg: "source or destination is missing in the command to schedule", Hint: "write for example: -- upload ./data my-workspace/data"}
	}
	all, err := absolute(cmd, split)
	if err != nil {
		return nil, err
	}
	has := func(flag string) bool {
		return cmd.Flag(flag) == nil || slices.ContainsFunc(all, func(w word) bool { return w.flag == flag })
	}
	extra := strings.Fields(strings.TrimPrefix(cmd.CommandPath(), root.Name()))
	if !has("wait-credentials") {
		extra = append(extra, "--wait-credentials=10m")
	}
	if o.crontab && !has("quiet") && !has("json") && !has("verbose") {
		extra = append(extra, "--quiet") // cron sends by mail whatever is printed
	}
	if !has("summary") {
		extra = append(extra, o.summary(filepath.Join(sh.schedules(), name+".log"))...)
	}
	sc.status = filepath.Join(sh.schedules(), name+".json")
	for _, w := range all {
		if w.flag == "status-file" {
			sc.status = w.value
		}
	}
	if !has("status-file") {
		extra = append(extra, "--status-file="+sc.status)
	}
	sc.args = slices.Concat(extra, unwords(all))
	if slices.ContainsFunc(append(slices.Clone(sc.args), sc.dir), func(a string) bool { return strings.ContainsAny(a, "\n\r\x00") }) {
		return nil, &dest.Mistake{Msg: "there is a line end in the command", Hint: "neither cron nor systemd can keep it: rename what has it"}
	}
	// What is wrong with the command shows now, not at night.
	if err := cmd.ParseFlags(sc.args[len(strings.Fields(cmd.CommandPath()))-1:]); err != nil {
		return nil, &dest.Mistake{Msg: err.Error(), Hint: "see '" + cmd.CommandPath() + " --help'"}
	}
	return sc, nil
}

// summary is where the line of each run goes that is not told otherwise. What
// systemd runs writes to its journal by itself.
func (o *scheduleOptions) summary(file string) []string {
	switch {
	case o.slurm:
		return []string{"--summary=" + summaryStderr} // in the job's output
	case o.crontab && hasSyslog():
		return []string{"--summary=" + summarySyslog}
	case o.crontab:
		return []string{"--summary=" + file}
	}
	return nil
}

func plainWords(all []word) (n int) {
	for _, w := range all {
		if w.plain() {
			n++
		}
	}
	return n
}

// absolute makes sources, and files and folders that flags name, absolute.
func absolute(cmd *cobra.Command, all []word) ([]word, error) {
	last := -1
	for i, w := range all {
		if w.plain() {
			last = i
		}
	}
	for i, w := range all {
		switch {
		case w.takes == "FILE" || w.takes == "DIR":
			if w.value != "-" && (w.flag != "summary" || !isSummaryWord(w.value)) {
				path, err := filepath.Abs(w.value)
				if err != nil {
					return nil, err
				}
				all[i].value, all[i].raw = path, []string{"--" + w.flag + "=" + path}
			}
		case w.plain() && cmd.Name() == "download" && i != last: // a source, also where a directory here is called so
		case w.plain() && cmd.Name() != "sync" && (i != last || cmd.Name() != "upload"):
			_, err := os.Stat(w.value)
			if err != nil && cmd.Name() == "upload" {
				return nil, &dest.Mistake{Msg: fmt.Sprintf("source %s: %v", w.value, errors.Unwrap(err)), Hint: "sources come first, the destination last"}
			}
			if err != nil && (i != last || cmd.Name() != "download") { // its DIR may be made later
				continue // an id, or a destination
			}
			if err := all[i].makeAbsolute(); err != nil {
				return nil, err
			}
		}
	}
	if cmd.Name() == "sync" {
		return all, absoluteSides(all)
	}
	return all, nil
}

// makeAbsolute does so with an argument that is a path.
func (w *word) makeAbsolute() error {
	path, err := filepath.Abs(w.value)
	if err != nil {
		return err
	}
	if strings.HasSuffix(w.value, "/") && path != "/" {
		path += "/"
	}
	w.value, w.raw = path, []string{path}
	return nil
}

// line is the command for a shell.
func (s *schedule) line() string {
	quoted := []string{shellWord(s.program)}
	for _, a := range s.args {
		quoted = append(quoted, shellWord(a))
	}
	return strings.Join(quoted, " ")
}

// settings are the environment's variables, in their order.
func (s *schedule) settings() (pairs [][2]string) {
	for name, value := range s.env {
		pairs = append(pairs, [2]string{name, value})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return pairs
}
