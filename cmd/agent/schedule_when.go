package main

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"agent/cmd/internal/dest"
)

// when is the time of a schedule, as cron writes it and as systemd does.
type when struct {
	cron  string        // five fields
	sets  [5][]bool     // the fields' values
	stars [5]bool       // fields that begin with a star: cron takes days of month and week together only then
	delay time.Duration // at most so much later, at random: many machines have the same schedule
}

var cronNames = map[string]string{"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *"}

// cronFields are the least and the greatest values, and the names, of each field.
var cronFields = [5]struct {
	what     string
	min, max int
	names    []string // of the values from min on
}{
	{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day of month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// parseCron reads the five fields of cron, and its @names but @reboot.
func parseCron(text string) (*when, error) {
	if full, ok := cronNames[strings.ToLower(strings.TrimSpace(text))]; ok {
		text = full
	}
	fields := strings.Fields(text)
	if len(fields) != len(cronFields) {
		return nil, &dest.Mistake{Msg: fmt.Sprintf("--cron %q has not five fields", text), Hint: "write minute, hour, day of month, month and day of week: --cron '0 2 * * *'"}
	}
	w := &when{cron: strings.Join(fields, " "), delay: time.Minute}
	for i, f := range fields {
		w.stars[i] = f[0] == '*'
		w.sets[i] = make([]bool, cronFields[i].max+1)
		for item := range strings.SplitSeq(strings.ToLower(f), ",") {
			if !w.add(i, item) {
				return nil, &dest.Mistake{Msg: fmt.Sprintf("--cron: %q is no %s", item, cronFields[i].what),
					Hint: fmt.Sprintf("write *, %d-%d, a list (1,2), a range (1-5) or steps (*/2)", cronFields[i].min, cronFields[i].max)}
			}
		}
	}
	if w.sets[4][7] { // both 0 and 7 are Sunday
		w.sets[4][0] = true
	}
	w.sets[4] = w.sets[4][:7]
	return w, nil
}

// add adds "*", "5", "1-5", "*/2", "1-9/2" or a name to field i.
func (w *when) add(i int, item string) bool {
	f := cronFields[i]
	number := func(s string) (int, bool) {
		for n, name := range f.names {
			if s == name {
				return f.min + n, true
			}
		}
		n, err := strconv.Atoi(s)
		return n, err == nil && n >= f.min && n <= f.max && s[0] != '+'
	}
	span, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		var err error
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
			return false
		}
	}
	lo, hi := f.min, f.max
	if span == "*" {
		if i == 4 {
			hi = 6
		}
	} else {
		from, to, ranged := strings.Cut(span, "-")
		var ok bool
		if lo, ok = number(from); !ok {
			return false
		}
		if hi = lo; ranged {
			if hi, ok = number(to); !ok || hi < lo {
				return false
			}
		} else if stepped {
			return false
		}
	}
	for n := lo; n <= hi; n += step {
		w.sets[i][n] = true
	}
	return true
}

// calendar is the time as systemd's OnCalendar. Where cron's days of month and
// of week are both given, either will do: that takes two.
func (w *when) calendar() []string {
	clock := list(w.sets[1], 0) + ":" + list(w.sets[0], 0) + ":00"
	day := func(dow, dom bool) string {
		text := "*-" + list(w.sets[3], 1) + "-*"
		if dom {
			text = "*-" + list(w.sets[3], 1) + "-" + list(w.sets[2], 1)
		}
		if names := weekdays(w.sets[4]); dow && names != "" {
			text = names + " " + text
		}
		return text + " " + clock
	}
	if w.stars[2] || w.stars[4] {
		return []string{day(true, true)}
	}
	return []string{day(false, true), day(true, false)}
}

// list writes a field's values, "*" for all.
func list(set []bool, from int) string {
	var values []string
	for n := from; n < len(set); n++ {
		if set[n] {
			values = append(values, fmt.Sprintf("%02d", n))
		}
	}
	if len(values) == len(set)-from {
		return "*"
	}
	return strings.Join(values, ",")
}

func weekdays(set []bool) string {
	var names []string
	for n, on := range set {
		if on {
			names = append(names, []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}[n])
		}
	}
	if len(names) == len(set) {
		return ""
	}
	return strings.Join(names, ",")
}

// maxDelay bounds the random delay.
const maxDelay = 5 * time.Minute

// parseEvery is a time every so often. Which minute it is depends on the
// schedule's name, so that not all the world begins at the full hour.
func parseEvery(every span, name string) (*when, error) {
	d, hash := time.Duration(every), int(crc32.ChecksumIEEE([]byte(name))%(24*60))
	minute, hour := hash%60, hash/60
	var cron string
	minutes := int(d / time.Minute)
	switch {
	case d%time.Minute != 0:
	case minutes == 1:
		cron = "* * * * *"
	case minutes < 60 && 60%minutes == 0:
		cron = fmt.Sprintf("%d-59/%d * * * *", minute%minutes, minutes)
	case minutes == 60:
		cron = fmt.Sprintf("%d * * * *", minute)
	case minutes%60 == 0 && minutes < 24*60 && 24%(minutes/60) == 0:
		cron = fmt.Sprintf("%d %d-23/%d * * *", minute, hour%(minutes/60), minutes/60)
	case minutes == 24*60:
		cron = fmt.Sprintf("%d %d * * *", minute, hour)
	case minutes == 7*24*60:
		cron = fmt.Sprintf("%d %d * * %d", minute, hour, hash%7)
	}
	if cron == "" {
		return nil, &dest.Mistake{Msg: "--every " + every.String() + " does not divide an hour or a day", Hint: "write for example 15m, 1h, 6h, 1d or 1w; or --cron"}
	}
	w, err := parseCron(cron)
	if err == nil {
		w.delay = min(d/10, maxDelay)
	}
	return w, err
}

// parseAt is a time each day.
func parseAt(text string) (*when, error) {
	at, err := time.Parse("15:04", text)
	if err != nil {
		return nil, &dest.Mistake{Msg: fmt.Sprintf("--at %q is no time of day", text), Hint: "write for example --at 02:30"}
	}
	w, err := parseCron(fmt.Sprintf("%d %d * * *", at.Minute(), at.Hour()))
	if err == nil {
		w.delay = maxDelay
	}
	return w, err
}
