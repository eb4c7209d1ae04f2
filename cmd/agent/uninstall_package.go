package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
)

// packaged is the command by which the package manager that installed the program
// at path removes it, "" where none did: it would go on believing that it is there.
func packaged(ctx context.Context, path string) string {
	slashed := filepath.ToSlash(path)
	switch {
	case strings.Contains(slashed, "/Cellar/"+program+"/"):
		return "brew uninstall " + program
	case strings.Contains(strings.ToLower(slashed), "/scoop/apps/"+program+"/"):
		return "scoop uninstall " + program
	}
	// conda notes each package beside the folder that programs are in: bin, on
	// Windows Library/bin.
	for _, up := range []string{"..", filepath.Join("..", "..")} {
		if found, err := filepath.Glob(filepath.Join(filepath.Dir(path), up, "conda-meta", program+"-[0-9]*.json")); err == nil && len(found) > 0 {
			return "conda remove " + program
		}
	}
	if !slices.Contains([]string{"/usr/bin", "/bin"}, filepath.Dir(path)) {
		return "" // where no package of a distribution puts programs
	}
	for _, m := range []struct {
		ask    []string
		remove string
	}{
		{[]string{"dpkg-query", "--search"}, "apt remove"},
		{[]string{"rpm", "--query", "--queryformat", "%{NAME}: ", "--file"}, "dnf remove"},
	} {
		said, err := tool(ctx, "", "", m.ask[0], append(m.ask[1:], path)...)
		if name, _, ok := strings.Cut(said, ":"); err == nil && ok {
			return "sudo " + m.remove + " " + name
		}
	}
	return ""
}
