package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"agent/creds"
)

// defaultPlatform is the API of the platform this program was made for.
const defaultPlatform = "https://eodatahub.org.uk/api"

// tokenPage is the way through the platform's pages to a token.
const tokenPage = "Workspaces → Credentials → S3 Token → Request Temporary AWS S3 Credentials" //nolint:gosec // words of a page

// platformBase is the platform's API where no login names one.
func platformBase() string { return firstOf(os.Getenv(variable("PLATFORM")), defaultPlatform) }

// platformPage is where people log in.
func platformPage(base string) string {
	return strings.TrimSuffix(strings.TrimRight(base, "/"), "/api")
}

// platformAdvice is what to do about an answer of the platform.
func platformAdvice(e *creds.PlatformError, name, workspace, base string) string {
	login := fmt.Sprintf("%s login %s", name, workspace)
	page := platformPage(base)
	var file *creds.FileError
	switch e.Kind {
	case creds.NoLogin:
		return "run: " + login
	case creds.BadLogin:
		switch {
		case errors.As(e, &file):
			return hintSecretFile(file)
		case errors.Is(e, creds.ErrNoKeyring):
			return "the key was stored in a keyring that does not answer now: log in again without --keyring: " + login
		}
		return "log in again: " + login
	case creds.TokenIDGiven:
		return "the page that makes API keys shows a Token ID (with dashes) and an API Key (32 letters and digits): copy the latter and run: " + login
	case creds.KeyRefused:
		return fmt.Sprintf("it is mistyped, over its 30 days, or for another workspace: make a new one at %s and run: %s", page, login)
	case creds.LoginOver:
		return fmt.Sprintf("log in at %s with a browser, make a new API key there and run: %s", page, login)
	case creds.LoginPage:
		return fmt.Sprintf("is %s the platform's API? It mostly ends in /api (--base). Or this network wants a login of its own: open a page in a browser", base)
	case creds.NoWorkspace:
		return fmt.Sprintf("check the workspace's name (%s) and the API's address (%s; it mostly ends in /api; --base)", workspace, base)
	case creds.WrongMethod:
		return fmt.Sprintf("is %s the platform's API? It mostly ends in /api (--base)", base)
	case creds.Unreachable:
		return fmt.Sprintf("check the network and the proxy settings; is %s right? It is asked again by itself", base)
	default:
		return "it is asked again by itself; tell the platform's support if it stays"
	}
}

// hintSecretFile is what to do about a file with secrets that is not used.
func hintSecretFile(e *creds.FileError) string {
	switch {
	case errors.Is(e, creds.ErrShared):
		return "run: chmod 600 " + shellWord(e.Path)
	case errors.Is(e, creds.ErrForeign):
		return "make a file of your own, with mode 600, in its place"
	case errors.Is(e, creds.ErrNotFile):
		return "give a file with mode 600; login takes a key from a pipe, too: --key-file -"
	case errors.Is(e, syscall.ENOSPC):
		return "make room, or choose another folder: --state-dir DIR, or " + variable("STATE_DIR")
	case errors.Is(e, os.ErrNotExist):
		return "check the name: " + e.Path
	default:
		return "check the file " + e.Path
	}
}

// shellWord is s as one word of a shell's line.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("_-./:+=@%", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
