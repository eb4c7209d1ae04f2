// Package config reads settings from a TOML file and lays them, with those of
// the environment, under the flags of a command.
//
// It knows flags by their names only: what they mean, and what is wrong with
// their values, the flags themselves say.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"agent/cmd/internal/suggest"
)

// Value is what the file says of one setting.
type Value struct {
	Texts []string // one, or those of a list
	Line  int      // in the file; 0 where that is not known
}

// Destination is a place with a name, and the settings that go with it.
type Destination struct {
	Dest     string // workspace/path or s3://bucket/key
	Line     int
	Settings map[string]Value
}

// File is what a file says. The zero value says nothing.
type File struct {
	Path         string // "" where there is none
	Settings     map[string]Value
	Destinations map[string]Destination
}

// Names are those of the destinations, sorted.
func (f *File) Names() []string {
	names := make([]string, 0, len(f.Destinations))
	for name := range f.Destinations {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Error is a setting that can't be used, with where it stands. Of what is no
// setting it quotes no value: people put secrets where none belong.
type Error struct {
	Path string
	Line int    // 0 where that is not known
	Msg  string // one line
	Hint string // one line, or ""
}

func (e *Error) Error() string { return At(e.Path, e.Line) + ": " + e.Msg }

// At is a place in a file, as editors and compilers write it.
func At(path string, line int) string {
	if line <= 0 {
		return path
	}
	return fmt.Sprintf("%s:%d", path, line)
}

// table is the key of the destinations; its own key dest says where one is.
const (
	table   = "destination"
	keyDest = "dest"
)

// Load reads the file at path. known are the names of the settings, in the file
// and in each destination. Errors are *Error, or of the file system.
func Load(path string, known []string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := parse(string(text), known)
	var e *Error
	if errors.As(err, &e) {
		e.Path = path
	}
	if err != nil {
		return nil, err
	}
	f.Path = path
	return f, nil
}

func parse(text string, known []string) (*File, error) {
	var all map[string]toml.Primitive
	meta, err := toml.Decode(text, &all)
	var syntax toml.ParseError
	switch {
	case errors.As(err, &syntax):
		// Its own words quote the text.
		return nil, &Error{Line: syntax.Position.Line, Msg: "is not TOML", Hint: `write key = "text", key = 8 or key = true; a text is in quotes`}
	case err != nil:
		return nil, &Error{Msg: "is not TOML"}
	}
	r := reader{meta: &meta, known: known}
	f := &File{Destinations: map[string]Destination{}}
	if p, ok := all[table]; ok {
		if err := r.destinations(p, f); err != nil {
			return nil, err
		}
		delete(all, table)
	}
	if f.Settings, err = r.section(all, table); err != nil {
		return nil, err
	}
	return f, nil
}

type reader struct {
	meta  *toml.MetaData
	known []string
}

// section reads settings; others are keys that the section has, too.
func (r *reader) section(all map[string]toml.Primitive, others ...string) (map[string]Value, error) {
	out := map[string]Value{}
	var first *Error // in the file's order, which maps don't keep; of tables like [a.b] the line of a is not known
	for _, name := range slices.Sorted(maps.Keys(all)) {
		v, err := r.setting(name, all[name], others)
		if err != nil && (first == nil || err.Line < first.Line) {
			first = err
		}
		out[name] = v
	}
	if first != nil {
		return nil, first
	}
	return out, nil
}

func (r *reader) setting(name string, p toml.Primitive, others []string) (Value, *Error) {
	raw, line := r.look(p)
	if !slices.Contains(r.known, name) {
		return Value{}, unknown(name, line, slices.Concat(r.known, others))
	}
	v := Value{Line: line}
	list, ok := raw.([]any)
	if !ok {
		list = []any{raw}
	}
	for _, one := range list {
		switch one.(type) {
		case string, int64, float64, bool:
			v.Texts = append(v.Texts, fmt.Sprint(one))
		default:
			return v, &Error{Line: line, Msg: name + " must be a text in quotes, a number, true or false, or a list of those"}
		}
	}
	return v, nil
}

// secretName is in the names of keys that people would give a secret.
var secretName = regexp.MustCompile(`(?i)token|passw|secret|auth|key|cred|bearer|cookie`)

func unknown(name string, line int, known []string) *Error {
	e := &Error{Line: line, Msg: fmt.Sprintf("there is no setting %q", name)}
	near := suggest.Nearest(strings.ReplaceAll(name, "_", "-"), known)
	switch {
	case near != "":
		e.Hint = fmt.Sprintf("did you mean %s?", near)
	case secretName.MatchString(name):
		e.Msg = fmt.Sprintf("%q: no secret is kept in this file", name)
		e.Hint = "log in, or name what holds it: profile, env-file, issuer or credential-process"
	default:
		e.Hint = "the settings are named like the flags of upload, without the dashes before them"
	}
	return e
}

// probe catches a value with the line on which it stands: the decoder tells
// lines in errors only.
type probe struct{ value any }

var errProbed = errors.New("probed")

// UnmarshalTOML is called by the decoder.
func (p *probe) UnmarshalTOML(value any) error {
	p.value = value
	return errProbed
}

func (r *reader) look(p toml.Primitive) (value any, line int) {
	var got probe
	err := r.meta.PrimitiveDecode(p, &got)
	var at toml.ParseError
	if errors.As(err, &at) {
		line = at.Position.Line
	}
	return got.value, line
}

func (r *reader) destinations(p toml.Primitive, f *File) error {
	all := map[string]toml.Primitive{}
	if value, line := r.look(p); !isTable(value) {
		return &Error{Line: line, Msg: table + " is no setting", Hint: "destinations are tables: [destination.NAME]"}
	}
	if err := r.meta.PrimitiveDecode(p, &all); err != nil {
		return &Error{Msg: table + " can't be read"}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) { // of several that are wrong it is always the same that is told
		d, err := r.destination(name, all[name])
		if err != nil {
			return err
		}
		f.Destinations[name] = d
	}
	return nil
}

func isTable(value any) bool {
	_, ok := value.(map[string]any)
	return ok
}

func (r *reader) destination(name string, p toml.Primitive) (d Destination, err error) {
	value, line := r.look(p)
	d.Line = line
	if !isTable(value) {
		return d, &Error{Line: line, Msg: "destination is no setting", Hint: "destinations are tables: [destination.NAME]"}
	}
	if m := badName(name); m != "" {
		return d, &Error{Line: line, Msg: m, Hint: "names of destinations have 2 to 63 letters, digits and hyphens, and begin with a letter"}
	}
	keys := map[string]toml.Primitive{}
	if err := r.meta.PrimitiveDecode(p, &keys); err != nil {
		return d, &Error{Line: line, Msg: fmt.Sprintf("destination %q can't be read", name)}
	}
	where, ok := keys[keyDest]
	if !ok {
		return d, &Error{Line: line, Msg: fmt.Sprintf("destination %q has no dest", name), Hint: `say where it is: dest = "workspace/path" or dest = "s3://bucket/key"`}
	}
	value, at := r.look(where)
	if d.Dest, ok = value.(string); !ok || d.Dest == "" {
		return d, &Error{Line: at, Msg: "dest must be a text in quotes", Hint: `write "workspace/path" or "s3://bucket/key"`}
	}
	delete(keys, keyDest)
	d.Settings, err = r.section(keys, keyDest)
	return d, err
}

var destinationName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{1,62}$`)

// badName keeps names from what else may stand before a colon: drives, which
// have one letter, and the beginnings of addresses.
func badName(name string) string {
	switch {
	case !destinationName.MatchString(name):
		return fmt.Sprintf("%q is no name of a destination", name)
	case slices.Contains([]string{"s3", "http", "https", "file", "ftp", "sftp", "arn"}, strings.ToLower(name)):
		return fmt.Sprintf("%q can't name a destination: it begins addresses", name)
	}
	return ""
}

// Cut parts NAME:path. ok is false of what can't be meant so: a drive, an
// address, a path with a colon behind a slash.
func Cut(arg string) (name, path string, ok bool) {
	name, path, ok = strings.Cut(arg, ":")
	if !ok || badName(name) != "" || strings.HasPrefix(path, "//") {
		return "", "", false
	}
	return name, path, true
}

// Resolve is NAME:path as workspace/path or s3://bucket/key.
func (d Destination) Resolve(path string) string {
	if path == "" {
		return d.Dest
	}
	return strings.TrimRight(d.Dest, "/") + "/" + strings.TrimLeft(path, "/")
}

// Beside is the path of a file that the one at path names: ~/ is the home, and
// others are relative to the file in which they are named.
func Beside(path, file string) string {
	if rest, ok := strings.CutPrefix(file, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(file) || file == "" || file == "-" {
		return file
	}
	return filepath.Join(filepath.Dir(path), file)
}

// Missing reports that there just is no file.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
