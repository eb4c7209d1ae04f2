package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"agent/cmd/internal/config"
	"agent/cmd/internal/show"
	"agent/creds"
	"agent/transfer/s3store"
)

const (
	completePatience = 2 * time.Second  // for all of it; nobody waits longer for a TAB
	completeMemory   = 30 * time.Second // for how long a listing is good enough
)

// completions make every command that takes a destination complete it.
func completions(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		completions(cmd)
		if cmd.Flags().Lookup("endpoint") == nil || cmd.ValidArgsFunction != nil {
			continue
		}
		cmd.ValidArgsFunction = completeArg
		fixed(cmd, "credentials", sourceNames)
		fixed(cmd, "parallel", []string{automatic, "4", "8", "16", "32"})
		fixed(cmd, "part-size", []string{automatic, "8MiB", "16MiB", "64MiB"})
		fixed(cmd, algorithmFlag(cmd), []string{"crc64nvme", "crc32c", "none"})
	}
}

// fixed completes a flag's value from a list.
func fixed(cmd *cobra.Command, flag string, values []string) {
	if cmd.Flags().Lookup(flag) != nil {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // fails if it has one
	}
}

// completeArg completes workspace/pa, s3://bucket/pa and name:pa by what is
// stored there, and leaves files to the shell. It is silent about whatever goes
// wrong, asks nobody anything, and makes one token at most.
func completeArg(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if cmd.Name() == "upload" && len(args) == 0 || strings.HasPrefix(word, "-") || isLocal(word) {
		return nil, cobra.ShellCompDirectiveDefault
	}
	f, err := loadConfig(cmd.Root())
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	found := completeStart(cmd, f, word)
	if i := strings.LastIndexAny(word, "/:"); i >= 0 && !strings.HasSuffix(strings.ToLower(word[:i+1]), "s3:/") {
		ctx, cancel := context.WithTimeout(cmd.Context(), completePatience)
		defer cancel()
		for _, name := range completeRemote(ctx, cmd, f, word) {
			found = append(found, word[:i+1]+name)
		}
	}
	found = slices.DeleteFunc(found, func(s string) bool { return !strings.HasPrefix(s, word) || show.Clean(s) != s })
	if len(found) == 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return found, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// isLocal reports whether a word is the beginning of a file's name.
func isLocal(word string) bool {
	if word == "" {
		return false
	}
	if strings.ContainsRune("./~", rune(word[0])) || strings.Contains(word, `\`) {
		return true
	}
	found, err := filepath.Glob(word + "*")
	return err == nil && len(found) > 0
}

// completeStart are the beginnings of destinations: names, and workspaces with a login.
func completeStart(cmd *cobra.Command, f *config.File, word string) []string {
	var found []string
	if strings.ContainsAny(word, "/:") {
		return nil
	}
	for _, name := range f.Names() {
		found = append(found, name+":")
	}
	state, _ := cmd.Flags().GetString("state-dir")
	if state, err := stateDir(state); err == nil {
		logins, _ := creds.Logins(filepath.Join(state, "logins")) // those that can be read
		for _, l := range logins {
			found = append(found, l.Workspace+"/")
		}
	}
	if ws := os.Getenv(variable("WORKSPACE")); ws != "" && !slices.Contains(found, ws+"/") {
		found = append(found, ws+"/")
	}
	return found
}

// completeRemote lists what comes next behind a destination.
func completeRemote(ctx context.Context, cmd *cobra.Command, f *config.File, word string) []string {
	words := []string{word}
	if _, err := settle(cmd, f, words); err != nil {
		return nil
	}
	c, err := connect(ctx, connectionOf(cmd), words[0], 1)
	if err != nil {
		return nil
	}
	defer c.Close()
	prefix := c.dest.Prefix
	if prefix == "" && !strings.HasSuffix(words[0], "/") {
		return nil // the bucket's name itself
	}
	if words[0] != word && strings.HasSuffix(word, ":") {
		prefix = c.dest.Under()
	}
	cache := filepath.Join(c.state, "cache", fmt.Sprintf("complete-%x", sha256.Sum256([]byte(c.endpoint+"\n"+c.dest.Bucket+"\n"+prefix)))[:25])
	if names, ok := readCompletions(cache); ok {
		return names
	}
	got, err := c.anyCredentials(ctx)
	if err != nil {
		return nil
	}
	store := s3store.New(s3store.Options{Bucket: c.dest.Bucket, Region: c.region, Endpoint: c.endpoint, Credentials: &oneSet{c: got},
		HTTP: c.http, Parallel: 1, Prefix: prefix, Patience: completePatience, FirstPatience: completePatience, KeyPatience: time.Millisecond})
	names, err := store.Children(ctx, prefix)
	if err != nil {
		return nil
	}
	writeCompletions(cache, names)
	return names
}

// connectionOf are the connection's options as the command's flags have them.
func connectionOf(cmd *cobra.Command) connectionOptions {
	var o connectionOptions
	own := &cobra.Command{}
	o.addFlags(own)
	own.Flags().VisitAll(func(f *pflag.Flag) {
		if has := cmd.Flags().Lookup(f.Name); has != nil && has.Changed {
			_ = own.Flags().Set(f.Name, has.Value.String()) // a text, which takes any
		} else if has != nil {
			_ = f.Value.Set(has.Value.String())
		}
	})
	return o
}

// anyCredentials asks the sources in turn, each once, until one has a set.
func (c *connection) anyCredentials(ctx context.Context) (aws.Credentials, error) {
	var asked creds.Answers
	for _, src := range c.sources {
		if _, ok := src.(*creds.Platform); ok && c.login.Keyring {
			continue // the keyring may open a window to ask for its password
		}
		got, err := src.Retrieve(ctx)
		if err == nil && (!got.CanExpire || got.Expires.After(time.Now())) {
			return got, nil
		}
		asked = append(asked, creds.Answer{Source: fmt.Sprint(src), Err: err})
	}
	return aws.Credentials{}, &creds.NoneError{Asked: asked}
}

func readCompletions(path string) ([]string, bool) {
	fi, err := os.Stat(path)
	if err != nil || time.Since(fi.ModTime()).Abs() > completeMemory {
		return nil, false
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	var names []string
	err = json.Unmarshal(text, &names)
	return names, err == nil
}

// writeCompletions remembers a listing, and forgets old ones. It may fail.
func writeCompletions(path string, names []string) {
	dir := filepath.Dir(path)
	if os.MkdirAll(dir, 0o700) != nil {
		return
	}
	old, _ := filepath.Glob(filepath.Join(dir, "complete-*"))
	for _, p := range old {
		if fi, err := os.Stat(p); err == nil && time.Since(fi.ModTime()).Abs() > completeMemory {
			_ = os.Remove(p)
		}
	}
	text, err := show.AsJSON(names, "")
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err != nil || os.WriteFile(tmp, text, 0o600) != nil || os.Rename(tmp, path) != nil {
		_ = os.Remove(tmp)
	}
}
