package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// crontab keeps schedules as lines of the user's crontab, each behind a comment
// by which it is known.
type crontab struct{}

const cronMark = "# " + program + " schedule: "

const noCron = "use a systemd timer (without --crontab), or --slurm"

// cronLine is the schedule's line. cron makes a line end of a bare %.
func cronLine(s *schedule) string {
	command := s.line()
	if pairs := s.settings(); len(pairs) > 0 {
		env := "env"
		for _, p := range pairs {
			env += " " + shellWord(p[0]+"="+p[1])
		}
		command = env + " " + command
	}
	return s.when.cron + " " + strings.ReplaceAll(command, "%", `\%`)
}

func (crontab) show(w io.Writer, s *schedule) error {
	_, err := fmt.Fprintf(w, "crontab:\n\n    %s%s\n    %s\n\n", cronMark, s.name, cronLine(s))
	return err
}

// read is the crontab as it is.
func (crontab) read(ctx context.Context) (string, error) {
	text, err := tool(ctx, "", noCron, "crontab", "-l")
	var e *toolError
	if errors.As(err, &e) && !e.missing && text == "" && strings.Contains(e.said, "no crontab") {
		return "", nil // the only way it has to say so
	}
	return text, err
}

// withoutSchedule is the crontab less the schedule's two lines.
func withoutSchedule(text, name string) (rest string, found bool) {
	var b strings.Builder
	skip := false
	for line := range strings.Lines(text) {
		switch {
		case skip:
			skip = false
		case strings.TrimRight(line, "\r\n") == cronMark+name:
			skip, found = true, true
		default:
			b.WriteString(line)
		}
	}
	return b.String(), found
}

func (k crontab) install(ctx context.Context, s *schedule) error {
	text, err := k.read(ctx)
	if err != nil {
		return err
	}
	text, _ = withoutSchedule(text, s.name)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	_, err = tool(ctx, text+cronMark+s.name+"\n"+cronLine(s)+"\n", noCron, "crontab", "-")
	return err
}

func (crontab) notes(context.Context, *schedule) []string {
	return []string{"cron sends errors by mail, if at all; how the last run ended: " + program + " schedule list"}
}

func (k crontab) list(ctx context.Context) ([]scheduled, error) {
	text, err := k.read(ctx)
	if err != nil {
		return nil, err
	}
	var all []scheduled
	name := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if name != "" {
			if f := strings.SplitN(line, " ", 6); len(f) == 6 {
				all = append(all, scheduled{name: name, kind: "crontab", when: strings.Join(f[:5], " "), command: f[5]})
			}
		}
		name, _ = strings.CutPrefix(line, cronMark)
		if name == line {
			name = ""
		}
	}
	return all, nil
}

func (k crontab) remove(ctx context.Context, name string) (bool, error) {
	text, err := k.read(ctx)
	if isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	rest, found := withoutSchedule(text, name)
	if !found {
		return false, nil
	}
	_, err = tool(ctx, rest, noCron, "crontab", "-")
	return true, err
}
