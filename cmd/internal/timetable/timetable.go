// Package timetable reads what figure holds at which time of the week, such as
// "08:00-18:00=10MiB/s,18:00-08:00=off", and answers for any point in time.
//
// It does not know what the figures limit, and keeps no clock.
package timetable

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const day = 24 * 60 // minutes, by the clock on the wall

// Table holds for every minute of a week the figure that is right then. The
// zero value is 0 at all times.
type Table struct {
	rest    int64 // where no window says anything
	windows []window
}

// window is a time of the day on some days of the week. One that ends before it
// begins belongs to the day on which it begins.
type window struct {
	text     string  // as it was written
	days     [7]bool // by time.Weekday
	from, to int     // minutes of the day; to > from, beyond midnight more than day
	value    int64
}

// Parse reads a list, separated by commas, of figures for windows: one has
// hours (08:00-18:00), days (mon-fri, sat) or both (mon-fri 08:00-18:00). A
// figure without a window holds whenever no window does; without one that is
// 0. Windows that overlap are refused, because one could not tell which holds.
// The hours are those of the clock on the wall, whatever daylight saving does
// to it.
func Parse(text string, figure func(string) (int64, error)) (Table, error) {
	var t Table
	rest := ""
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			return Table{}, fmt.Errorf("there is an empty entry in %q", text)
		}
		when, amount, windowed := strings.Cut(entry, "=")
		if !windowed {
			amount = entry
		}
		v, err := figure(strings.TrimSpace(amount))
		if err != nil {
			return Table{}, err
		}
		if !windowed {
			if rest != "" {
				return Table{}, fmt.Errorf("both %s and %s are for the rest of the time", rest, entry)
			}
			rest, t.rest = entry, v
			continue
		}
		w, err := parseWindow(strings.TrimSpace(when))
		if err != nil {
			return Table{}, err
		}
		w.value = v
		t.windows = append(t.windows, w)
	}
	return t, t.overlap()
}

// overlap tells which two windows say different things of one minute.
func (t *Table) overlap() error {
	for i, w := range t.windows {
		for _, other := range t.windows[:i] {
			if w.meets(&other) {
				return fmt.Errorf("%s and %s overlap", other.text, w.text)
			}
		}
	}
	return nil
}

// meets reports whether some minute of the week is in both. It is enough to
// look at the first minutes: where two overlap, one of them begins in the other.
func (w *window) meets(other *window) bool {
	begins := func(a, b *window) bool {
		for d, on := range a.days {
			if on && b.holds(d*day+a.from) {
				return true
			}
		}
		return false
	}
	return begins(w, other) || begins(other, w)
}

// holds reports whether a minute of the week, from Sunday's midnight, is in w.
func (w *window) holds(minute int) bool {
	d, m := minute/day, minute%day
	return w.days[d] && m >= w.from && m < w.to || w.days[(d+6)%7] && m+day < w.to
}

// At is the figure for a point in time, by the clock of t's location.
func (t *Table) At(at time.Time) int64 {
	minute := int(at.Weekday())*day + at.Hour()*60 + at.Minute()
	for i := range t.windows {
		if t.windows[i].holds(minute) {
			return t.windows[i].value
		}
	}
	return t.rest
}

// Constant reports whether there is nothing but one figure, and which.
func (t *Table) Constant() (int64, bool) { return t.rest, len(t.windows) == 0 }

func parseWindow(text string) (window, error) {
	w := window{text: text, to: day}
	fields := strings.Fields(text)
	switch {
	case len(fields) == 2:
		if err := w.setDays(fields[0]); err != nil {
			return w, err
		}
		return w, w.setHours(fields[1])
	case len(fields) == 1 && strings.Contains(text, ":"):
		w.days = [7]bool{true, true, true, true, true, true, true}
		return w, w.setHours(text)
	case len(fields) == 1:
		return w, w.setDays(text)
	}
	return w, fmt.Errorf("%q is no time: write for example 08:00-18:00, mon-fri or mon-fri 08:00-18:00", text)
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// setDays reads mon, or mon-fri; fri-mon goes over the weekend.
func (w *window) setDays(text string) error {
	from, to, isRange := strings.Cut(strings.ToLower(text), "-")
	first := dayOf(from)
	last := first
	if isRange {
		last = dayOf(to)
	}
	if first < 0 || last < 0 {
		return fmt.Errorf("%q are no days: write mon tue wed thu fri sat or sun, or two of them like mon-fri", text)
	}
	for d := first; ; d = (d + 1) % 7 {
		w.days[d] = true
		if d == last {
			return nil
		}
	}
}

// dayOf takes whole names, too: monday.
func dayOf(name string) int {
	return slices.IndexFunc(dayNames, func(short string) bool {
		full := strings.ToLower(time.Weekday(slices.Index(dayNames, short)).String())
		return name == full || strings.HasPrefix(name, short) && strings.HasPrefix(full, name)
	})
}

func (w *window) setHours(text string) error {
	from, to, ok := strings.Cut(text, "-")
	var err error
	if !ok {
		return fmt.Errorf("%q has no end: write for example 08:00-18:00", text)
	}
	if w.from, err = clock(from); err != nil {
		return err
	}
	if w.to, err = clock(to); err != nil {
		return err
	}
	switch {
	case w.from == w.to, w.from == day:
		return fmt.Errorf("%q ends when it begins: the whole day is 00:00-24:00", text)
	case w.to < w.from:
		w.to += day
	}
	return nil
}

// clock reads 08:00, in minutes; 24:00 is a day's end.
func clock(text string) (int, error) {
	h, m, ok := strings.Cut(text, ":")
	hour, err1 := strconv.ParseUint(h, 10, 8)
	minute, err2 := strconv.ParseUint(m, 10, 8)
	if n := int(hour*60 + minute); ok && err1 == nil && err2 == nil && len(m) == 2 && minute < 60 && n <= day {
		return n, nil
	}
	return 0, fmt.Errorf("%q is no time of the day: write for example 08:00", text)
}
