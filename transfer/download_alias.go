package transfer

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// aliases finds what has, in a target, the name of a key but for how accents
// are written: macOS writes "é" as two characters (NFD), others as one (NFC),
// and both are the same name to people. It is used by the plan alone.
type aliases struct {
	seed    maphash.Seed
	claimed map[uint64]struct{} // names here that stand for a key written otherwise
	seen    map[uint64]struct{} // names of keys that are not written in NFC

	dir, local string                       // the last directory that was looked for, and what it is called here
	others     map[string]map[string]string // by directory and NFC, the entries that are no ASCII
}

// aliasDirs is of how many directories the entries are kept.
const aliasDirs = 64

// localName is what name is called here: itself, unless only another spelling of
// it is there. Where two keys would share a file, the second is ErrPath.
func (t *Target) localName(name string) (string, error) {
	if isASCII(name) || t.root == nil {
		return name, nil
	}
	a := &t.aliases
	if a.claimed == nil {
		a.seed, a.claimed, a.seen = maphash.MakeSeed(), map[uint64]struct{}{}, map[uint64]struct{}{}
	}
	bare := strings.TrimSuffix(name, "/")
	isKey := func(name string) bool { _, ok := a.seen[maphash.String(a.seed, name)]; return ok }
	if !norm.NFC.IsNormalString(bare) {
		defer func() { a.seen[maphash.String(a.seed, bare)] = struct{}{} }()
	}
	local := bare
	if _, err := t.root.Lstat(bare); err != nil && errors.Is(err, fs.ErrNotExist) || t.fold && !t.spelled(bare) {
		local = t.otherwise(bare)
	}
	_, taken := a.claimed[maphash.String(a.seed, local)]
	switch {
	case local == bare && !taken:
		return name, nil
	case taken, t.fold && isKey(local):
		return "", fmt.Errorf("%w: another key differs from it only in how accents are written, and there is one file for both", ErrPath)
	case isKey(local):
		return name, nil // that one has a key of its own
	}
	a.claimed[maphash.String(a.seed, local)] = struct{}{}
	return local + name[len(bare):], nil
}

// otherwise is name as it is written here, as far as something like it is there.
func (t *Target) otherwise(name string) string {
	a := &t.aliases
	dir, base := path.Split(name)
	local := strings.TrimSuffix(dir, "/")
	switch {
	case isASCII(dir):
	case dir == a.dir:
		local = a.local
	default:
		if _, err := t.root.Lstat(local); err != nil || t.fold && !t.spelled(local) {
			local = t.otherwise(local)
		}
		a.dir, a.local = dir, local
	}
	if other := t.other(local, base); other != "" {
		base = other
	}
	return path.Join(local, base)
}

// other is the entry of dir that is base written otherwise, or "".
func (t *Target) other(dir, base string) string {
	if isASCII(base) {
		return ""
	}
	a := &t.aliases
	if _, known := a.others[dir]; !known {
		if a.others == nil || len(a.others) == aliasDirs {
			a.others = map[string]map[string]string{}
		}
		a.others[dir] = t.accented(dir)
	}
	if other := a.others[dir][norm.NFC.String(base)]; other != base {
		return other
	}
	return ""
}

// accented are the entries of dir that are no ASCII, by their NFC. What can't be
// read counts as not there.
func (t *Target) accented(dir string) map[string]string {
	found := map[string]string{}
	f, err := t.root.Open(path.Join(".", dir))
	if err != nil {
		return found
	}
	defer f.Close()
	for err == nil {
		var names []string
		names, err = f.Readdirnames(scanBatch)
		for _, n := range names {
			if !isASCII(n) {
				found[norm.NFC.String(n)] = n
			}
		}
	}
	return found
}
