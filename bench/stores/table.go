package stores

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Table is what is written down of all stores: columns of rows.
type Table struct {
	Columns  []string                     // in the order of Makers
	Versions map[string]string            // by column
	Cells    map[string]map[string]string // by column and row
}

// NewTable has all columns, and nothing in them.
func NewTable() Table {
	t := Table{Versions: map[string]string{}, Cells: map[string]map[string]string{}}
	for _, m := range Makers {
		if !slices.Contains(t.Columns, m.Column) {
			t.Columns = append(t.Columns, m.Column)
			t.Cells[m.Column] = map[string]string{}
		}
	}
	return t
}

// The lines of a page between which its table is.
const (
	tableBegin = "<!-- what the probe saw: written by 'make test-stores UPDATE=1' -->\n"
	tableEnd   = "<!-- as far as that -->\n"
)

var errNoTable = errors.New("the page has no table that the probe could write")

// cut takes a page apart.
func cut(page string) (before, table, after string, err error) {
	before, rest, ok := strings.Cut(page, tableBegin)
	if !ok {
		return "", "", "", errNoTable
	}
	table, after, ok = strings.Cut(rest, tableEnd)
	if !ok {
		return "", "", "", errNoTable
	}
	return before, table, after, nil
}

// ReadTable reads the table of a page. It is one without cells where the page has
// none yet.
func ReadTable(page string) (Table, error) {
	t := NewTable()
	_, text, _, err := cut(page)
	if err != nil {
		return t, err
	}
	var columns []string
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case len(cells) < 2 || strings.HasPrefix(cells[1], "--"):
		case columns == nil:
			for _, head := range cells[1:] {
				column, version, _ := strings.Cut(head, " `")
				columns = append(columns, column)
				t.Versions[column] = strings.Trim(version, "`")
			}
		default:
			for i, cell := range cells[1:] {
				if i < len(columns) && cell != "" && t.Cells[columns[i]] != nil {
					t.Cells[columns[i]][cells[0]] = cell
				}
			}
		}
	}
	return t, nil
}

// WriteTable puts a table into a page, in the place of the one that is there.
func WriteTable(page string, t Table) (string, error) {
	before, _, after, err := cut(page)
	if err != nil {
		return page, err
	}
	return before + tableBegin + t.String() + tableEnd + after, nil
}

// String is the table in Markdown.
func (t Table) String() string {
	var b strings.Builder
	b.WriteString("| |")
	for _, c := range t.Columns {
		b.WriteString(" " + c)
		if v := t.Versions[c]; v != "" {
			b.WriteString(" `" + v + "`")
		}
		b.WriteString(" |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(t.Columns)) + "\n")
	for _, r := range Rows() {
		if r.Group != "" {
			fmt.Fprintf(&b, "| **%s** |%s\n", r.Group, strings.Repeat(" |", len(t.Columns)))
		}
		fmt.Fprintf(&b, "| %s |", r.Name)
		for _, c := range t.Columns {
			fmt.Fprintf(&b, " %s |", t.Cells[c][r.Name])
		}
		b.WriteString("\n")
	}
	return b.String()
}
