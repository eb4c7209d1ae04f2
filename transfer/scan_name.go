package transfer

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"
)

// scanZarrNames are the files that make a directory a Zarr group or array, of
// format 2 and 3.
var scanZarrNames = []string{".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json"}

func scanIsZarrMeta(name string) bool {
	return len(name) >= len(".zarray") && (name[0] == '.' || name[0] == 'z') && slices.Contains(scanZarrNames, name)
}

// scanKey checks that a directory entry can be a key: prefix is, but for its
// length. The key is returned with the error too.
func scanKey(prefix, name string) (string, error) {
	key := prefix + name
	switch {
	case !utf8.ValidString(name):
		return key, fmt.Errorf("%w: %q is not UTF-8", ErrName, name)
	case len(key) > MaxKey:
		return key, fmt.Errorf("%w: its %d bytes are more than %d", ErrName, len(key), MaxKey)
	}
	return key, nil
}

// scanLeftOut says why an entry of this name is not taken, or "".
func scanLeftOut(name string, dir bool) string {
	switch {
	case dir && name == ".ipynb_checkpoints":
		return "Jupyter checkpoints"
	case dir || name == "" || name[0] != '.' && name[0] != 'T':
		return ""
	case name == ".DS_Store":
		return "macOS folder view"
	case strings.HasPrefix(name, "._"):
		return "macOS extended attributes"
	case name == "Thumbs.db":
		return "Windows thumbnails"
	case strings.HasPrefix(name, ".nfs"):
		return "deleted, still open over NFS"
	}
	return ""
}

// scanSpecial names what has no contents to send, or "".
func scanSpecial(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeNamedPipe != 0:
		return "fifo"
	case mode&(fs.ModeDevice|fs.ModeCharDevice) != 0:
		return "device"
	}
	return ""
}
