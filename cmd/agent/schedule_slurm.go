package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// slurm keeps schedules as batch scripts that submit themselves again.
type slurm struct{ dir string }

const slurmMark = "# " + program + " schedule: "

func (k slurm) path(name string) string { return filepath.Join(k.dir, name+".sbatch") }

// slurmBody is the script behind its options and settings. Slurm's signal goes
// to the shell, which passes it on; a wait that a trap interrupts tells nothing
// of the child, so it waits again. Progress is what the status file says, if the
// run has written one. A script that was removed is not submitted again.
const slurmBody = `
seen=$(cksum 2>/dev/null <"$status")
stopping=
trap 'stopping=1; kill -TERM "$pid" 2>/dev/null' TERM
"${command[@]}" &
pid=$!
wait "$pid"
code=$?
if [ -n "$stopping" ]; then
    wait "$pid"
    last=$?
    [ "$last" -eq 127 ] || code=$last
fi

begin=now
case $code in
6 | 129 | 130 | 143) ;;
4 | 5 | 75) begin=now+10minutes ;; # what is lacking now may be there then
*)
    rm -f "$stalled"
    exit "$code"
    ;;
esac
runs=$(cat "$stalled" 2>/dev/null || echo 0)
runs=$((runs + 1))
if [ "$(cksum 2>/dev/null <"$status")" != "$seen" ] && grep -q '"progress": true' "$status"; then
    runs=0
fi
if [ "$runs" -ge 5 ]; then
    echo "five runs without progress: not submitted again" >&2
    rm -f "$stalled"
    exit "$code"
fi
echo "$runs" >"$stalled"
[ -e "$script" ] || exit "$code"
sbatch --begin="$begin" "$script"
exit "$code"
`

func (k slurm) script(s *schedule) string {
	var b strings.Builder
	base := filepath.Join(k.dir, s.name)
	fmt.Fprintf(&b, "#!/bin/bash\n#SBATCH --job-name=%s%s\n#SBATCH --time=%s\n#SBATCH --ntasks=1\n#SBATCH --cpus-per-task=2\n#SBATCH --mem=1G\n", unitPrefix, s.name, s.o.limit)
	fmt.Fprintf(&b, "#SBATCH --signal=B:TERM@300\n#SBATCH --output=%s\n#SBATCH --open-mode=append\n", shellWord(base+".log"))
	for _, o := range s.o.sbatch {
		fmt.Fprintf(&b, "#SBATCH %s\n", o)
	}
	fmt.Fprintf(&b, "%s%s\n\n", slurmMark, s.name)
	fmt.Fprintf(&b, "script=%s\nstatus=%s\nstalled=%s\n", shellWord(k.path(s.name)), shellWord(s.status), shellWord(base+".stalled"))
	fmt.Fprintf(&b, "command=(%s)\n", s.line())
	for _, p := range s.settings() {
		fmt.Fprintf(&b, "export %s=%s\n", p[0], shellWord(p[1]))
	}
	fmt.Fprintf(&b, "cd %s 2>/dev/null\n", shellWord(s.dir))
	b.WriteString(slurmBody)
	return b.String()
}

func (k slurm) show(w io.Writer, s *schedule) error {
	_, err := fmt.Fprintf(w, "%s:\n\n%s\n", k.path(s.name), indent(k.script(s)))
	return err
}

func (k slurm) install(_ context.Context, s *schedule) error {
	return replaceFile(k.path(s.name), k.script(s), 0o700)
}

func (k slurm) notes(_ context.Context, s *schedule) []string {
	notes := []string{"submit it with: sbatch " + shellWord(k.path(s.name)),
		fmt.Sprintf("to end it, remove it (%s schedule remove %s) and then cancel the job: else it submits itself again", program, s.name)}
	if _, err := exec.LookPath("sbatch"); err != nil {
		notes = append(notes, "sbatch is not installed here: submit it on a login node that sees this file")
	}
	return notes
}

func (k slurm) list(context.Context) ([]scheduled, error) {
	if _, err := os.ReadDir(k.dir); err != nil && !os.IsNotExist(err) {
		return nil, err // Glob would be silent about it
	}
	found, err := filepath.Glob(k.path("*"))
	if err != nil {
		return nil, err
	}
	var all []scheduled
	for _, path := range found {
		text, err := os.ReadFile(path)
		name := strings.TrimSuffix(filepath.Base(path), ".sbatch")
		if err != nil || !strings.Contains(string(text), slurmMark+name+"\n") {
			continue
		}
		sc := scheduled{name: name, kind: "slurm", when: "until done"}
		for _, v := range unitValues(string(text), "command") {
			sc.command = strings.Trim(v, "()")
		}
		all = append(all, sc)
	}
	return all, nil
}

func (k slurm) remove(_ context.Context, name string) (bool, error) {
	err := os.Remove(k.path(name))
	if os.IsNotExist(err) {
		return false, nil
	}
	_ = os.Remove(filepath.Join(k.dir, name+".stalled"))
	return true, err
}
