package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"agent/cmd/internal/dest"
	"agent/creds"
)

// The kinds of sources, in the order in which they are asked.
const (
	fromEnv      = "env"
	fromEnvFile  = "env-file"
	fromAWS      = "aws"
	fromProcess  = "process"
	fromPlatform = "platform"
	fromIssuer   = "issuer"
	fromPaste    = "paste"
)

var sourceNames = []string{fromEnv, fromEnvFile, fromAWS, fromProcess, fromPlatform, fromIssuer, fromPaste}

// uses reports whether sources of that kind are to be asked.
func (c *connection) uses(kind string) bool { return c.o.credentials == "" || c.o.credentials == kind }

// pickSources lists who is asked for credentials, in order. What was named by a
// flag comes first: whoever names a source means it. A profile named so puts
// the environment's keys aside altogether, as with the AWS CLI.
func (c *connection) pickSources() ([]creds.Source, error) {
	if k := c.o.credentials; k != "" && !slices.Contains(sourceNames, k) {
		return nil, &dest.Mistake{Msg: fmt.Sprintf("there is no source of credentials %q", k), Hint: "choose " + strings.Join(sourceNames, ", ")}
	}
	var first, rest []creds.Source
	add := func(kind string, named bool, s creds.Source) {
		switch {
		case !c.uses(kind):
		case named:
			first = append(first, s)
		default:
			rest = append(rest, s)
		}
	}
	if !c.o.named("profile", c.o.profile) {
		add(fromEnv, false, creds.Environment{})
	}
	if file := firstOf(c.o.envFile, os.Getenv(variable("ENV_FILE"))); file != "" {
		add(fromEnvFile, c.o.named("env-file", c.o.envFile), creds.EnvFile{Path: file})
	}
	add(fromAWS, c.o.named("profile", c.o.profile), &creds.Chain{Profile: c.o.profile, HTTP: c.api})
	if command := firstOf(c.o.process, os.Getenv(variable("CREDENTIAL_PROCESS"))); command != "" {
		add(fromProcess, c.o.named("credential-process", c.o.process), creds.Process{Command: command})
	}
	if dest.IsWorkspace(c.scope) {
		add(fromPlatform, false, &creds.Platform{Workspace: c.scope, LoginFile: creds.LoginPath(c.logins(), c.scope), HTTP: c.api})
	}
	if c.issuer != nil {
		add(fromIssuer, c.o.named("issuer", c.o.issuer), c.issuer)
	}
	paste := c.handover()
	paste.Now = c.serverTime
	add(fromPaste, false, paste)
	if all := slices.Concat(first, rest); len(all) > 0 {
		return all, nil
	}
	return nil, &dest.Mistake{Msg: "--credentials " + c.o.credentials + " has nothing to ask", Hint: needs[c.o.credentials]}
}

// means reports whether the source of that name is an issuer or a program that
// the user named: then it is that one which has to be mended.
func (c *connection) means(name string) bool {
	return slices.ContainsFunc(c.sources, func(s creds.Source) bool {
		_, program := s.(creds.Process)
		_, issuer := s.(*creds.Issuer)
		return (program || issuer) && fmt.Sprint(s) == name
	})
}

// needs says what a source of which there is none here wants.
var needs = map[string]string{
	fromEnv:      "leave --profile out",
	fromEnvFile:  "name the file: --env-file FILE",
	fromProcess:  "name the program: --credential-process COMMAND; a profile's own is part of 'aws'",
	fromPlatform: "the platform gives credentials for workspaces: write workspace/path",
	fromIssuer:   "name its description: --issuer FILE",
}
