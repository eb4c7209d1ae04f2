package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"agent/cmd/internal/config"
	"agent/cmd/internal/dest"
	"agent/cmd/internal/joblog"
	"agent/cmd/internal/ownfile"
	"agent/cmd/internal/show"
	"agent/cmd/internal/suggest"
)

// movers are the commands whose flags are settings: they may stand in the
// configuration file and in the environment, and hold for every command that
// has a flag of the name.
var movers = []string{"upload", "download", "sync", "verify"}

// oneRun are flags of those commands that are about one run only. Who would
// find 'restart = true' in a file a month later?
var oneRun = []string{"help", "version", "json", "dry-run", "restart", "delete", "yes", "detach", "files-from", "log-file", "manifest", "recursive", "insecure"}

// foreign are variables of others that say the same as a flag. They stand above
// the file, as every variable does; the code behind the flag reads them.
var foreign = map[string][]string{
	"endpoint": {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"},
	"region":   {"AWS_REGION", "AWS_DEFAULT_REGION"},
	"profile":  {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"},
}

// configFile is where the configuration is: the variable says, or the system.
// given: it was said, so that it has to be there.
func configFile() (path string, given bool, err error) {
	if path = os.Getenv(variable("CONFIG")); path != "" {
		path, err = filepath.Abs(path)
		return path, true, err
	}
	dir, err := systemConfig()
	if err != nil {
		return "", false, &dest.Mistake{Msg: "there is no place for a configuration file: " + err.Error(), Hint: "name one: " + variable("CONFIG") + "=FILE"}
	}
	return filepath.Join(dir, program, "config.toml"), false, nil
}

func systemConfig() (string, error) {
	if runtime.GOOS != "windows" && runtime.GOOS != "darwin" {
		if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
			return dir, nil
		}
		home, err := os.UserHomeDir()
		return filepath.Join(home, ".config"), err
	}
	return os.UserConfigDir() // %AppData%, ~/Library/Application Support
}

// settingsOf are the names of all settings.
func settingsOf(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if !slices.Contains(movers, c.Name()) {
			continue
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			name := config.Setting(f)
			if name != "" && !f.Hidden && !slices.Contains(oneRun, name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		})
	}
	slices.Sort(names)
	return names
}

// loadConfig reads the file, if there is one.
func loadConfig(root *cobra.Command) (*config.File, error) {
	path, given, err := configFile()
	if err != nil && !given {
		return &config.File{}, nil // no place for a file: so there is none
	}
	if err != nil {
		return nil, err
	}
	if ownfile.Told(path) != nil {
		return nil, &dest.Mistake{Msg: path + " is not read: others can write to it, and it may name commands to run", Hint: "look at what is in it, then: chmod o-w " + shellWord(path)}
	}
	f, err := config.Load(path, settingsOf(root))
	var at *config.Error
	switch {
	case err == nil:
		return f, nil
	case errors.As(err, &at):
		return nil, configMistake(err)
	case config.Missing(err) && !given:
		return &config.File{Path: path}, nil
	}
	var file *os.PathError
	if errors.As(err, &file) {
		err = file.Err
	}
	return nil, &dest.Mistake{Msg: fmt.Sprintf("%s can't be read: %v", path, err), Hint: "it is the configuration file (" + variable("CONFIG") + ")"}
}

// configMistake is a fault of file or environment for people.
func configMistake(err error) error {
	var at *config.Error
	var v *config.VariableError
	switch {
	case errors.As(err, &at):
		hint := at.Hint
		if hint == "" {
			hint = "correct the configuration file"
		}
		return &dest.Mistake{Msg: at.Error(), Hint: hint}
	case errors.As(err, &v):
		return &dest.Mistake{Msg: v.Error(), Hint: "correct the variable, or unset it"}
	}
	return err
}

// configure lays environment and file under the flags of a command, and puts
// what NAME:path stands for in its place. It is the one place where that is
// decided, for every command.
//
// args are those the command is about to get: cobra hands the same slice to it.
func configure(cmd *cobra.Command, args []string) error {
	if !configurable(cmd) || cmd.Annotations[settlesItself] != "" {
		return nil
	}
	f, err := loadConfig(cmd.Root())
	if err != nil {
		return err
	}
	_, err = settle(cmd, f, args)
	return err
}

// settlesItself marks a command that calls settle, because it has something to
// say about what is wrong.
const settlesItself = "settles itself"

// configurable reports whether a command has any settings.
func configurable(cmd *cobra.Command) bool {
	names, found := settingsOf(cmd.Root()), false
	cmd.Flags().VisitAll(func(f *pflag.Flag) { found = found || slices.Contains(names, config.Setting(f)) })
	return found
}

// settle does what configure is for, and says where each setting comes from.
func settle(cmd *cobra.Command, f *config.File, args []string) (map[string]config.Origin, error) {
	name, err := useNamed(cmd, f, args)
	if err != nil {
		return nil, err
	}
	layers := config.Layers{
		File: f, Destination: name, Settings: settingsOf(cmd.Root()),
		Getenv: os.Getenv, Prefix: variable(""), Foreign: foreign,
	}
	origins, err := layers.Apply(cmd.Flags())
	return origins, configMistake(err)
}

// useNamed replaces NAME:path among args, and says which destination that is: two
// would need two endpoints.
func useNamed(cmd *cobra.Command, f *config.File, args []string) (used string, _ error) {
	if cmd.Flags().Lookup("endpoint") == nil {
		return "", nil
	}
	for i, arg := range args {
		name, path, ok := config.Cut(arg)
		if !ok {
			continue
		}
		d, ok := f.Destinations[name]
		switch {
		case !ok:
			if m := noSuchName(f, name, arg); m != nil {
				return "", m
			}
			continue
		case used != "" && used != name:
			return "", &dest.Mistake{Msg: fmt.Sprintf("%s: and %s: are two destinations, each with its own settings", used, name), Hint: "use one of them in a command"}
		}
		used, args[i] = name, d.Resolve(path)
	}
	return used, nil
}

// noSuchName is about what looks like NAME:path and is neither that nor a file.
func noSuchName(f *config.File, name, arg string) error {
	if _, err := os.Lstat(arg); err == nil {
		return nil
	}
	m := &dest.Mistake{Msg: fmt.Sprintf("there is no destination %q", name), Hint: fmt.Sprintf("describe it in the configuration file: [destination.%s]; a file of that name is ./%s", name, arg)}
	if near := suggest.Nearest(name, f.Names()); near != "" {
		m.Hint = fmt.Sprintf("did you mean %s:%s?", near, strings.TrimPrefix(arg, name+":"))
	}
	return m
}

func configCommand(name string, s std) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Say which settings hold, and where they come from",
		Long: `Settings are flags, variables or lines of a file, the strongest first:

  on the command line   --part-size 32MiB
  of a destination      part-size = "32MiB" below [destination.NAME], for NAME:path
  in the environment    ` + variable("PART_SIZE") + `=32MiB (AWS_… variables, too)
  in the file           part-size = "32MiB"

Keys of the file are the names of upload's flags. No secret belongs into it.`,
		Example: fmt.Sprintf(`  # in the file that '%[1]s config path' names:
  parallel = 16
  limit = "mon-fri 08:00-18:00=10MiB/s"

  [destination.archive]
  dest = "s3://archive/2026"
  endpoint = "https://s3.example.org"
  profile = "archive"

  # and then:
  %[1]s upload ./dataset archive:dataset
  %[1]s config explain upload`, name),
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(configPathCommand(s), configExplainCommand(name, s))
	return cmd
}

func configPathCommand(s std) *cobra.Command {
	return &cobra.Command{
		Use:   "path",
		Short: "Print where the configuration file is, or would be",
		Args:  noCommand,
		RunE: func(*cobra.Command, []string) error {
			path, _, err := configFile()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(s.out, path)
			return err
		},
	}
}

func configExplainCommand(name string, s std) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [COMMAND [FLAGS] [ARGS]]",
		Short: "Say for every setting of a command its value and where it comes from",
		Long: `Prints every setting of COMMAND (default: upload), its value, and where it comes
from: a flag, a variable, a line of a file, or the default. Flags and arguments
of the command may follow; it is not run.`,
		Example: fmt.Sprintf("  %[1]s config explain\n  %[1]s config explain upload --part-size 32MiB ./dataset archive:dataset", name),

		DisableFlagParsing: true, // they are the other command's
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && (args[0] == "-h" || args[0] == "--help") {
				return cmd.Help()
			}
			return explainConfig(cmd.Root(), s, args)
		},
	}
}

func explainConfig(root *cobra.Command, s std, args []string) error {
	cmd, rest, err := target(root, args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return cmd.FlagErrorFunc()(cmd, err)
	}
	f, err := loadConfig(root)
	if err != nil {
		return err
	}
	rest = slices.Clone(cmd.Flags().Args())
	origins, err := settle(cmd, f, rest)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for i, arg := range rest {
		if was := cmd.Flags().Args()[i]; was != arg {
			fmt.Fprintf(w, "%s\t%s\t%s\n", show.Clean(was), show.Clean(arg), config.At(f.Path, f.Destinations[strings.SplitN(was, ":", 2)[0]].Line))
		}
	}
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if o, ok := origins[flag.Name]; ok {
			fmt.Fprintf(w, "%s\t%s\t%s\n", flag.Name, show.Clean(shownValue(flag, o)), show.Clean(originText(flag, o, f.Path)))
		}
	})
	return w.Flush()
}

// target is the command whose settings are asked for, and what follows it.
func target(root *cobra.Command, args []string) (*cobra.Command, []string, error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		args = append([]string{movers[0]}, args...)
	}
	cmd := root
	for len(args) > 0 {
		i := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == args[0] || c.HasAlias(args[0]) })
		if i < 0 {
			break
		}
		cmd, args = cmd.Commands()[i], args[1:]
	}
	switch {
	case cmd == root:
		return nil, nil, noCommand(root, args)
	case cmd.HasSubCommands() && len(args) > 0:
		return nil, nil, noCommand(cmd, args)
	case !configurable(cmd):
		return nil, nil, &dest.Mistake{Msg: fmt.Sprintf("'%s' has no settings", cmd.CommandPath()), Hint: "name another command, for example upload"}
	}
	return cmd, args, nil
}

// shownValue is a setting's value, without what looks like a secret: nobody
// should have written one, and somebody will show the output around.
func shownValue(f *pflag.Flag, o config.Origin) string {
	value := f.Value.String()
	if o.Value != "" {
		value = o.Value
	}
	if value == "" || o.Kind == config.ByDefault && (value == "0" || value == "0s" || value == "[]") {
		return "-"
	}
	return hideSecrets(value)
}

func hideSecrets(value string) string {
	if u, err := url.Parse(value); err == nil && u.User != nil {
		u.User = url.User("...")
		value = u.String()
	}
	var r joblog.Redactor
	return r.String(value)
}

func originText(f *pflag.Flag, o config.Origin, path string) string {
	switch o.Kind {
	case config.Flag:
		return "flag"
	case config.Named:
		return config.At(path, o.Line) + ", destination " + o.Name
	case config.Variable:
		return o.Name
	case config.InFile:
		return config.At(path, o.Line)
	}
	if _, text, ok := strings.Cut(f.Usage, "(default: "); ok {
		text, _, _ = strings.Cut(text, ")")
		return "default: " + text
	}
	return "default"
}
