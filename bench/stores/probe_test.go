//go:build long && linux

package stores

import (
	"cmp"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"agent/bench/platform"
)

// TestLongStoresTable proves that each store that is here does what the page
// says of it. With UPDATE set it writes the page instead.
//
// With STORES=all none may be missing that can be had, and the end of tokens is
// waited for that live long.
func TestLongStoresTable(t *testing.T) {
	root, err := platform.Root()
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := platform.Build(t.Context(), root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]*probed{}
	t.Run("probe", func(t *testing.T) {
		for _, m := range Makers {
			t.Run(m.Name, func(t *testing.T) {
				t.Parallel()
				got := probe(t, m, sandbox)
				mu.Lock()
				defer mu.Unlock()
				seen[m.Name] = got
			})
		}
	})
	path, text := page(t)
	table, err := ReadTable(text)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") == "" {
		compare(t, table, seen)
		return
	}
	for _, m := range Makers {
		if got := seen[m.Name]; got != nil {
			table.Versions[m.Column] = got.version
			maps.Copy(table.Cells[m.Column], got.cells)
		}
	}
	if text, err = WriteTable(text, table); err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	compare(t, table, seen) // two stores of one column may differ
}

// probed is what was found out of one store.
type probed struct {
	version string
	cells   map[string]string
}

// probeLife is of tokens that can be had for so short a time.
const probeLife = 10 * time.Second

func probe(t *testing.T, m Maker, sandbox string) *probed {
	t.Helper()
	s := m.For(t, Options{Sandbox: sandbox, Life: probeLife})
	wait := probeLife
	if os.Getenv("STORES") == "all" {
		wait = time.Hour
	}
	cells, err := Probe(t.Context(), s, wait)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s %s: %d cells", m.Name, s.Version, len(cells))
	return &probed{s.Version, cells}
}

// compare holds a table against what was seen.
func compare(t *testing.T, table Table, seen map[string]*probed) {
	t.Helper()
	for _, m := range Makers {
		got := seen[m.Name]
		if got == nil {
			continue
		}
		if want := table.Versions[m.Column]; got.version != want {
			t.Errorf("%s is %s, the page is about %s: see 'make test-stores UPDATE=1'", m.Name, got.version, want)
		}
		for _, r := range Rows() {
			if cell, ok := got.cells[r.Name]; ok && cell != table.Cells[m.Column][r.Name] {
				t.Errorf("%s: %s: %s; the page says %s", m.Name, r.Name, cell, cmp.Or(table.Cells[m.Column][r.Name], "nothing"))
			}
		}
	}
}
