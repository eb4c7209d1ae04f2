package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"agent/cmd/internal/show"
)

// checkTime is how long the sources of credentials may take to answer.
const checkTime = 30 * time.Second

// barePath is where cron looks for programs.
const barePath = "/usr/local/bin:/usr/bin:/bin"

// check asks the sources of credentials as they will be asked there, where
// nothing of this shell is, and warns of what would be missing.
func (s *schedule) check(ctx context.Context, sh shelf, std std) (warnings []string) {
	var here []string
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); value != "" && isSecretName(name) {
			here = append(here, name)
		}
	}
	if len(here) > 0 {
		slices.Sort(here)
		warnings = append(warnings, strings.Join(here, ", ")+": exported here, and not there")
	}
	if _, secret := ambient(); len(secret) > 0 {
		warnings = append(warnings, strings.Join(secret, ", ")+": not written down, because there is a password in it")
	}
	if os.Getenv(variable("CREDENTIAL_PROCESS")) != "" {
		warnings = append(warnings, variable("CREDENTIAL_PROCESS")+": not written down, because there may be secrets in it; a profile's credential_process is there")
	}
	set := map[string]string{"PATH": barePath}
	for name, value := range s.env {
		set[name] = value
	}
	restore := environ(set, func(name string) bool {
		return strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, strings.ToUpper(program)+"_") || isSecretName(name)
	})
	defer restore()
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	c, err := connectAs(ctx, sh, std, s.args)
	if err != nil {
		what, hint := explain(err)
		return append(warnings, fmt.Sprintf("there it could not begin: %s (%s)", what, hint))
	}
	if c == nil {
		return warnings // a command without a destination
	}
	defer c.Close()
	return append(warnings, c.outlook(ctx, sh.name)...)
}

// outlook warns where no source has credentials, or only some that end.
func (c *connection) outlook(ctx context.Context, name string) []string {
	login := fmt.Sprintf("log in: %s login %s", name, c.scope)
	if strings.Contains(c.scope, "://") {
		login = "set up a profile, a role or a credential_process"
	}
	for _, src := range c.sources {
		got := c.look(ctx, src)
		r, ok := src.(interface{ Renews() bool })
		renews := ok && r.Renews()
		switch {
		case got.Key == "":
		case renews || got.Left == nil:
			return nil
		case *got.Left > 0:
			return []string{fmt.Sprintf("there the credentials of %s would be used; they end in %s, and nobody renews them: %s",
				got.Source, show.Duration(time.Duration(*got.Left)*time.Second), login)}
		}
	}
	return []string{"there no source has live credentials for " + c.scope + ": " + login}
}
