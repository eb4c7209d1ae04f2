package stores

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"agent/bench/platform"
)

// page is where the table is written down.
func page(t *testing.T) (path, text string) {
	t.Helper()
	root, err := platform.Root()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(root, "docs", "stores.md")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(b)
}

// TestPageIsWhole proves that the page has a cell for all that the probe asks of
// every store, and none for what it does not ask.
func TestPageIsWhole(t *testing.T) {
	_, text := page(t)
	table, err := ReadTable(text)
	if err != nil {
		t.Fatal(err)
	}
	again, err := WriteTable(text, table)
	if err != nil || again != text {
		t.Errorf("the table is not what the probe writes (%v):\n%s", err, table)
	}
	for _, c := range table.Columns {
		if table.Versions[c] == "" {
			t.Errorf("%s has no version", c)
		}
		for _, r := range Rows() {
			if table.Cells[c][r.Name] == "" {
				t.Errorf("%s: nothing about %q", c, r.Name)
			}
		}
	}
}

// TestTable proves that a table is read as it is written, and that a page without
// one is refused.
func TestTable(t *testing.T) {
	table := NewTable()
	for i, c := range table.Columns {
		table.Versions[c] = "v" + string(rune('1'+i))
		for _, r := range Rows() {
			table.Cells[c][r.Name] = c + ": " + r.Name
		}
	}
	text, err := WriteTable("before\n"+tableBegin+"what was there\n"+tableEnd+"after\n", table)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadTable(text)
	if err != nil || got.String() != table.String() || !slices.Equal(got.Columns, table.Columns) {
		t.Errorf("%v: read\n%s, written\n%s", err, got, table)
	}
	for _, page := range []string{"", tableBegin, tableEnd} {
		if _, err := ReadTable(page); err == nil {
			t.Errorf("a table in %q", page)
		}
		if _, err := WriteTable(page, table); err == nil {
			t.Errorf("written into %q", page)
		}
	}
}

// TestRowsHaveNames proves that no two rows are taken for one.
func TestRowsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rows() {
		if r.Name == "" || seen[r.Name] || r.probe == nil {
			t.Errorf("row %q", r.Name)
		}
		seen[r.Name] = true
	}
	if len(seen) < 40 {
		t.Errorf("only %d rows", len(seen))
	}
}
