package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Kind says where a setting comes from.
type Kind uint8

// The kinds, the strongest first.
const (
	Flag      Kind = iota + 1 // on the command line
	Named                     // of the destination that the command line names
	Variable                  // of the environment
	InFile                    // of the file's general part
	ByDefault                 // nobody said anything
)

// Origin is where a setting comes from.
type Origin struct {
	Kind  Kind
	Name  string // of the variable, or of the destination
	Line  int    // in the file
	Value string // of a variable that is not the program's own, and read later
}

// Layers are what lies under the flags of a command: the destination it names,
// the environment, and the file, the strongest first.
type Layers struct {
	File        *File
	Destination string              // its name; "" for none
	Settings    []string            // the flags that are settings; others have only their defaults
	Getenv      func(string) string // of the environment
	Prefix      string              // of the program's variables: "AGENT_" makes AGENT_PART_SIZE
	Foreign     map[string][]string // variables of others that say the same as a flag, and stand above the file
}

// Apply gives the flags that were not given the values of the layers below
// them, and says where each setting comes from. Only those of a destination
// count as given (pflag's Changed): whoever names it means them. Errors are
// *Error, or a *VariableError.
func (l *Layers) Apply(flags *pflag.FlagSet) (map[string]Origin, error) {
	origins := map[string]Origin{}
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		if err != nil || !slices.Contains(l.Settings, Setting(f)) {
			return
		}
		var o Origin
		if o, err = l.settle(flags, f); err == nil {
			origins[f.Name] = o
		}
	})
	return origins, err
}

// settle finds the strongest layer that says something of a flag.
func (l *Layers) settle(flags *pflag.FlagSet, f *pflag.Flag) (Origin, error) {
	if f.Changed {
		return Origin{Kind: Flag}, nil
	}
	if v, ok := l.File.Destinations[l.Destination].Settings[Setting(f)]; ok {
		set := func(text string) error { return flags.Set(f.Name, text) }
		return Origin{Kind: Named, Name: l.Destination, Line: v.Line}, l.set(f, v, set)
	}
	own := l.Prefix + strings.ToUpper(strings.ReplaceAll(Setting(f), "-", "_"))
	if text := l.Getenv(own); text != "" {
		if err := f.Value.Set(text); err != nil {
			return Origin{}, &VariableError{Name: own, Flag: f.Name, Err: err}
		}
		return Origin{Kind: Variable, Name: own}, nil
	}
	for _, name := range l.Foreign[Setting(f)] {
		if text := l.Getenv(name); text != "" {
			return Origin{Kind: Variable, Name: name, Value: text}, nil
		}
	}
	if v, ok := l.File.Settings[Setting(f)]; ok {
		return Origin{Kind: InFile, Line: v.Line}, l.set(f, v, f.Value.Set)
	}
	return Origin{Kind: ByDefault}, nil
}

// set gives a flag what the file says.
func (l *Layers) set(f *pflag.Flag, v Value, set func(string) error) error {
	if _, list := f.Value.(pflag.SliceValue); !list && len(v.Texts) != 1 {
		return &Error{Path: l.File.Path, Line: v.Line, Msg: f.Name + " takes one value, not a list"}
	}
	for _, text := range v.Texts {
		if isPath(f) {
			text = Beside(l.File.Path, text)
		}
		if err := set(text); err != nil {
			return &Error{Path: l.File.Path, Line: v.Line, Msg: reason(f.Name, err)}
		}
	}
	return nil
}

// isPath reports whether a flag's help calls its value a file or a folder.
func isPath(f *pflag.Flag) bool {
	name, _ := pflag.UnquoteUsage(f)
	return name == "FILE" || name == "DIR"
}

// reason is what a flag's own error says, without pflag's words around it.
func reason(name string, err error) string {
	var invalid *pflag.InvalidValueError
	var number *strconv.NumError
	text := err.Error()
	if errors.As(err, &invalid) && invalid.Unwrap() != nil {
		text = invalid.Unwrap().Error()
	}
	if errors.As(err, &number) {
		text = fmt.Sprintf("%q is no number", number.Num)
		if number.Func == "ParseBool" {
			text = fmt.Sprintf("%q is neither true nor false", number.Num)
		}
	}
	return name + ": " + text
}

// VariableError is a variable whose value a flag does not take.
type VariableError struct {
	Name, Flag string
	Err        error
}

func (e *VariableError) Error() string { return reason(e.Name, e.Err) }
func (e *VariableError) Unwrap() error { return e.Err }
