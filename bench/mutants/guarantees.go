package main

import (
	"fmt"
	"regexp"
	"strings"
)

// row is one promise of docs/guarantees.md.
type row struct {
	name    string
	promise string
	tests   []string // TestX, or TestScripts/x for a script
}

var (
	rowForm  = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (.*) \\| (.*) \\|$")
	quoted   = regexp.MustCompile("(scripts? )?`([^`]+)`")
	testName = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*…?$`)
)

// rows reads the tables of docs/guarantees.md.
func rows(page string) ([]row, error) {
	var all []row
	for _, m := range rowForm.FindAllStringSubmatch(page, -1) {
		r := row{name: m[1], promise: m[2]}
		script := false // the names that follow are scripts'
		for _, q := range quoted.FindAllStringSubmatch(m[3], -1) {
			script = q[1] != "" || script && !testName.MatchString(q[2])
			switch {
			case script:
				r.tests = append(r.tests, "TestScripts/"+q[2])
			case testName.MatchString(q[2]):
				r.tests = append(r.tests, q[2])
			case strings.HasPrefix(q[2], "make "), strings.HasPrefix(q[2], "bench"):
			default:
				return nil, fmt.Errorf("%s: %q is no test", r.name, q[2])
			}
		}
		if len(r.tests) == 0 {
			return nil, fmt.Errorf("%s names no test", r.name)
		}
		all = append(all, r)
	}
	if n := strings.Count(page, "\n| `"); n != len(all) {
		return nil, fmt.Errorf("%d of %d rows could be read", len(all), n)
	}
	return all, nil
}
