package transfer

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"path"
	"runtime"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxName is the longest name of one file, on all systems that matter: in
// bytes, on Windows in UTF-16 units.
const maxName = 255

// partSuffix ends the names of files that are not complete.
const partSuffix = ".agent-part"

// checkName says why a '/'-separated name that came from a key can't be one
// below a directory; the error is ErrPath, or nil. A final slash is allowed.
//
// What is harmless and legal here is let through, such as a backslash or
// "C:" on Unix: files have such names there, and uploads keep them.
func checkName(name string, windows bool) error {
	for part := range strings.SplitSeq(strings.TrimSuffix(name, "/"), "/") {
		why := badPart(part)
		if why == "" && windows {
			why = badOnWindows(part)
		}
		if why != "" {
			return fmt.Errorf("%w: %s", ErrPath, why)
		}
	}
	return nil
}

func badPart(part string) string {
	switch {
	case part == "":
		return "it has an empty part (two slashes, or one at its beginning)"
	case part == "." || part == "..":
		return fmt.Sprintf("its part %q leads elsewhere", part)
	case strings.ContainsRune(part, 0):
		return "it has a NUL byte"
	case strings.HasSuffix(part, partSuffix):
		return partSuffix + " is for files that are not complete"
	case runtime.GOOS != "windows" && len(part) > maxName:
		return fmt.Sprintf("a part of it has %d bytes, of at most %d", len(part), maxName)
	}
	return ""
}

// badOnWindows knows what no file there can be called: Microsoft, "Naming
// Files, Paths, and Namespaces".
func badOnWindows(part string) string {
	stem, _, _ := strings.Cut(part, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch {
	case !utf8.ValidString(part):
		return "it is not UTF-8"
	case strings.ContainsAny(part, `<>:"\|?*`), strings.ContainsFunc(part, func(r rune) bool { return r < ' ' }):
		return fmt.Sprintf("%q has characters that Windows keeps for itself", part)
	case strings.HasSuffix(part, " "), strings.HasSuffix(part, "."):
		return fmt.Sprintf("%q ends in a space or a dot, which Windows drops", part)
	case windowsDevice(stem):
		return fmt.Sprintf("%q is a device on Windows", part)
	case len(utf16.Encode([]rune(part))) > maxName:
		return fmt.Sprintf("a part of it is longer than %d characters", maxName)
	}
	return ""
}

func windowsDevice(stem string) bool {
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	for _, port := range []string{"COM", "LPT"} {
		if n, ok := strings.CutPrefix(stem, port); ok && utf8.RuneCountInString(n) == 1 && strings.ContainsAny(n, "0123456789¹²³") {
			return true
		}
	}
	return false
}

// partName is where the file name is written until it is complete: beside it.
// tag tells jobs apart that write to the same place. The sum keeps names apart
// that the file system takes for one.
func partName(name, tag string) string {
	dir, base := path.Split(name)
	sum := sha256.Sum256([]byte(tag + "\x00" + name))
	end := "." + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:8]) + partSuffix
	if room := maxName - len(end) - 1; len(base) > room {
		base = strings.ToValidUTF8(base[:room], "")
	}
	return dir + "." + base + end
}

// nesting finds the names, among many in byte order, below one that is a file.
// It holds those that may still have names below them: each is a beginning of
// the next.
type nesting struct{ files []string }

// below returns the file that name would lie below, or "", and takes note of
// name.
func (n *nesting) below(name string) string {
	for len(n.files) > 0 {
		top := n.files[len(n.files)-1]
		rest, ok := strings.CutPrefix(name, top)
		if ok && rest != "" && rest[0] == '/' {
			return top
		}
		if ok && rest != "" && rest[0] < '/' {
			break
		}
		n.files = n.files[:len(n.files)-1]
	}
	if !strings.HasSuffix(name, "/") {
		n.files = append(n.files, name)
	}
	return ""
}
