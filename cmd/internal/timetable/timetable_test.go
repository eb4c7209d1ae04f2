package timetable

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func number(s string) (int64, error) {
	if s == "off" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errors.New("no number: " + s)
	}
	return n, nil
}

func TestAt(t *testing.T) {
	for _, c := range []struct{ table, at, want string }{ // 2026-11-23 is a Monday
		{"7", "2026-11-23 12:00", "7"},
		{"off", "2026-11-23 12:00", "0"},
		{"08:00-18:00=1,18:00-08:00=off", "2026-11-23 07:59", "0"},
		{"08:00-18:00=1,18:00-08:00=off", "2026-11-23 08:00", "1"},
		{"08:00-18:00=1,18:00-08:00=off", "2026-11-23 17:59", "1"},
		{"08:00-18:00=1,18:00-08:00=off", "2026-11-23 18:00", "0"},
		{"18:00-08:00=3", "2026-11-23 00:00", "3"},
		{"18:00-08:00=3", "2026-11-23 12:00", "0"},
		{"9, mon-fri 08:00-18:00=1", "2026-11-23 08:00", "1"},
		{"9, mon-fri 08:00-18:00=1", "2026-11-22 08:00", "9"},
		{"Mon-Fri=1,sat-sunday=2", "2026-11-27 23:59", "1"},
		{"Mon-Fri=1,sat-sunday=2", "2026-11-28 00:00", "2"},
		{"fri-mon=4", "2026-11-22 12:00", "4"},
		{"fri-mon=4", "2026-11-24 12:00", "0"},
		{"fri 22:00-06:00=5", "2026-11-28 05:59", "5"},
		{"fri 22:00-06:00=5", "2026-11-27 05:59", "0"},
		{"sat 22:00-06:00=5", "2026-11-29 05:59", "5"}, // over the week's end
		{"0:00-24:00=6", "2026-11-29 23:59", "6"},
	} {
		table, err := Parse(c.table, number)
		if err != nil {
			t.Errorf("%s: %v", c.table, err)
			continue
		}
		at, err := time.Parse("2006-01-02 15:04", c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := strconv.FormatInt(table.At(at), 10); got != c.want {
			t.Errorf("%s at %s: %s, want %s", c.table, c.at, got, c.want)
		}
	}
}

// On the days on which the clock is changed the hours are still the wall's: an
// hour that comes twice is limited twice, one that is left out never.
func TestDaylightSaving(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	table, err := Parse("01:00-02:00=1,02:00-03:00=2", number)
	if err != nil {
		t.Fatal(err)
	}
	minutes := func(date string) (one, two int) {
		at, err := time.ParseInLocation(time.DateOnly, date, london)
		if err != nil {
			t.Fatal(err)
		}
		for range 25 * 60 {
			if at.Format(time.DateOnly) == date {
				switch table.At(at) {
				case 1:
					one++
				case 2:
					two++
				}
			}
			at = at.Add(time.Minute)
		}
		return one, two
	}
	for date, want := range map[string][2]int{"2026-03-29": {0, 60}, "2026-10-25": {120, 60}, "2026-06-01": {60, 60}} {
		if one, two := minutes(date); one != want[0] || two != want[1] {
			t.Errorf("%s: %d and %d minutes, want %v", date, one, two, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "an empty entry",
		"1,":                               "an empty entry",
		"1,2":                              "both 1 and 2 are for the rest of the time",
		"08:00-18:00=x":                    "no number: x",
		"08:00=1":                          `"08:00" has no end`,
		"8-18=1":                           `"8-18" are no days`,
		"8:00-25:00=1":                     `"25:00" is no time of the day`,
		"8:00-18:60=1":                     `"18:60" is no time of the day`,
		"8:00-18:5=1":                      `"18:5" is no time of the day`,
		"08:00-08:00=1":                    "ends when it begins",
		"24:00-08:00=1":                    "ends when it begins",
		"mon-fry=1":                        `"mon-fry" are no days`,
		"m=1":                              `"m" are no days`,
		"mon fri 08:00-18:00=1":            "is no time: write for example",
		"=1":                               "is no time: write for example",
		"08:00-18:00=1,12:00-13:00=2":      "08:00-18:00 and 12:00-13:00 overlap",
		"12:00-13:00=2,08:00-18:00=1":      "12:00-13:00 and 08:00-18:00 overlap",
		"18:00-08:00=1,mon 07:00-09:00=2":  "overlap",
		"sat 22:00-06:00=1,sun=2":          "overlap",
		"mon-fri=1,fri-sat 10:00-11:00=2":  "overlap",
		"mon 08:00-09:00=1,mon 8:00-9:00=": "no number",
	} {
		if _, err := Parse(text, number); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1", "08:00-18:00=10,18:00-08:00=off", "mon-fri 08:00-18:00=1,2", "sat 22:00-06:00=5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		table, err := Parse(text, number)
		if err != nil {
			return
		}
		// No two windows hold at once, in any minute of a week.
		for minute := range 7 * day {
			n := 0
			for i := range table.windows {
				if table.windows[i].holds(minute) {
					n++
				}
			}
			if n > 1 {
				t.Fatalf("%q: %d windows hold in minute %d", text, n, minute)
			}
		}
	})
}
