package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/prompt"
	"agent/creds"
	"agent/journal"
	"agent/transfer"
	"agent/transfer/s3store"
)

// Exit codes. They are an interface: scripts and schedulers decide by them.
const (
	exitDone        = 0
	exitFailures    = 1
	exitUsage       = 2
	exitDifferent   = 3
	exitCredentials = 4
	exitUnreachable = 5
	exitStopped     = 6
	exitRefused     = 7
	exitLocal       = 8
	exitBusy        = 75
	exitSignal      = 128 // plus the signal's number
)

const exitHelp = `Exit codes:
  0    all that was asked is done
  1    finished, but some files failed; each is named
  2    wrong use
  3    verify found differences
  4    credentials were needed and none came
  5    the store could not be reached for as long as --patience says
  6    stopped on purpose, and work is left (--max-duration)
  7    refused for good: bucket, right, signature or TLS
  8    local fault: journal or disk
  75   another run holds this job
  129, 130, 143   ended by SIGHUP, SIGINT (^C) or SIGTERM
After 1, 4, 5, 6, 8, 75 and signals the same command goes on where it was.`

// shownError is one that was reported already; only its code is left to give.
type shownError struct {
	code int
}

func (e *shownError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// exitCode is the code for an error that ended a command.
func exitCode(err error) int {
	var m *dest.Mistake
	var ce *creds.ConfigError
	var shown *shownError
	var platform *creds.PlatformError
	var secret *creds.FileError
	var output *outputError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &shown):
		return shown.code
	case errors.As(err, &m), errors.As(err, &ce):
		return exitUsage
	case errors.Is(err, journal.ErrBusy):
		return exitBusy
	case errors.Is(err, transfer.ErrCredentials):
		return exitCredentials
	case errors.Is(err, transfer.ErrUnreachable):
		return exitUnreachable
	case errors.Is(err, transfer.ErrRefused):
		return exitRefused
	case errors.Is(err, transfer.ErrStopped):
		return exitStopped
	case errors.Is(err, transfer.ErrLocal):
		return exitLocal
	case errors.As(err, &platform):
		if platform.Kind == creds.Unreachable {
			return exitUnreachable
		}
		return exitCredentials
	case errors.As(err, &secret), errors.Is(err, creds.ErrNoKeyring), errors.As(err, &output):
		return exitLocal
	case errors.Is(err, context.Canceled), errors.Is(err, prompt.ErrInterrupted):
		return exitSignal + int(syscall.SIGINT)
	case errors.Is(err, prompt.ErrNoInput):
		return exitCredentials
	}
	return exitFailures
}

const goesOn = "the same command goes on from here"

// explain says in a line what went wrong, and in another what to do about it.
func explain(err error) (what, hint string) {
	var m *dest.Mistake
	if errors.As(err, &m) {
		return m.Msg, m.Hint
	}
	what = err.Error()
	var own interface{ hint() string }
	if errors.As(err, &own) {
		return what, own.hint()
	}
	var e *transfer.Error
	if errors.As(err, &e) && (errors.Is(err, transfer.ErrCredentials) || errors.Is(err, transfer.ErrUnreachable)) {
		what = e.Err.Error() // which request it was is of no interest
	}
	for _, f := range []func(error) string{hintLocal, hintStore, hintFile} {
		if hint = f(err); hint != "" {
			return what, hint
		}
	}
	return what, ""
}

// explainItem is explain for an error that is shown beside the name of its
// file or object.
func explainItem(err error) (what, hint string) {
	what, hint = explain(err)
	var e *transfer.Error
	if errors.As(err, &e) && (e.Path != "" || e.Key != "") {
		what = e.Op + ": " + e.Err.Error()
	}
	return what, hint
}

// hintLocal advises on journal and settings.
func hintLocal(err error) string {
	var ce *creds.ConfigError
	var secret *creds.FileError
	switch {
	case errors.As(err, &secret):
		return hintSecretFile(secret)
	case errors.Is(err, creds.ErrNoKeyring):
		return "leave --keyring out: the key is then kept in a file for this user only"
	case errors.Is(err, journal.ErrBusy):
		return "let it finish, or stop it; this job can be run by one at a time"
	case errors.Is(err, journal.ErrNewer):
		return "use the newer " + program + " that wrote it, or --restart to forget what it knows"
	case errors.Is(err, journal.ErrUnusable):
		return "choose a folder on a local disk with room: --state-dir DIR, or " + variable("STATE_DIR")
	case errors.Is(err, transfer.ErrDisk):
		return "make room in the directory, or make it writable; then " + goesOn
	case errors.Is(err, transfer.ErrLocal):
		return "make room or choose another folder with --state-dir; then " + goesOn
	case errors.As(err, &ce) && strings.HasSuffix(ce.File, ".toml"):
		return "mend the file: docs/credentials.md and docs/config.md have examples"
	case errors.As(err, &ce):
		return "check --profile, AWS_PROFILE and the files ~/.aws/config and ~/.aws/credentials"
	}
	return ""
}

// refusalHints are what to do about an S3 error code after which nothing else
// would fare better.
var refusalHints = map[string]string{
	"NoSuchBucket":                 "check the bucket's name (--bucket, s3://bucket/…) and the endpoint (--endpoint, AWS_ENDPOINT_URL)",
	"InvalidBucketName":            "check the bucket's name (--bucket, or s3://bucket/…)",
	"PermanentRedirect":            "the bucket is in another region: set --region or AWS_REGION",
	"AuthorizationHeaderMalformed": "the bucket is in another region: set --region or AWS_REGION",
	"SignatureDoesNotMatch":        "the secret access key does not belong to the access key id: copy both again",
	"InvalidAccessKeyId":           "the store does not know this access key: are key and endpoint of the same platform? An old key has to be replaced",
	"InvalidToken":                 "the session token is damaged or of another platform: copy all three values again",
	"InvalidTokenId":               "the session token is damaged or of another platform: copy all three values again",
	"AccessDenied":                 "these credentials may not write there: is it the workspace they were made for?",
	"RequestTimeTooSkewed":         "set this machine's clock",
}

// hintStore advises on what the store said, or did not say.
func hintStore(err error) string {
	var f *s3store.Fault
	if errors.As(err, &f) {
		if h := refusalHints[f.Code]; h != "" && errors.Is(err, transfer.ErrRefused) {
			return h
		}
		if f.Code == "EntityTooLarge" {
			return "this store takes no object, or no part, so large: split it, or try another --part-size"
		}
	}
	advice := s3store.Advice(err)
	switch {
	case advice != "":
		return advice
	case errors.Is(err, s3store.ErrListing):
		return "check the endpoint, and tell whoever runs the store: with such a listing nothing can be compared, fetched or deleted"
	case errors.Is(err, transfer.ErrCredentials):
		return "put new credentials where the old ones came from; then " + goesOn
	case errors.Is(err, transfer.ErrUnreachable):
		return "check the network and the endpoint; then " + goesOn
	}
	return ""
}

// hintFile advises on what is wrong with one file.
func hintFile(err error) string {
	if hint := hintFetched(err); hint != "" {
		return hint
	}
	switch {
	case errors.Is(err, transfer.ErrChanged):
		return "run again when nothing writes to it any more"
	case errors.Is(err, transfer.ErrHeldBack):
		return "it follows by itself when the failed files of its Zarr store have gone"
	case errors.Is(err, transfer.ErrName):
		return "rename it"
	case errors.Is(err, s3store.ErrTooLarge):
		return "split it"
	case errors.Is(err, transfer.ErrSameKey):
		return "rename one of them, or upload to different destinations"
	case errors.Is(err, transfer.ErrLoop):
		return "remove the link, or use --no-follow-symlinks"
	case errors.Is(err, fs.ErrPermission):
		return "make it readable for this user"
	case errors.Is(err, fs.ErrNotExist):
		return hintGone(err)
	case errors.Is(err, syscall.EIO):
		return "the disk can't read it: try it on its own, check the disk"
	case errors.Is(err, transfer.ErrDenied):
		return "these credentials may not write this object"
	}
	return ""
}

// hintGone advises on a file that is not there.
func hintGone(err error) string {
	var e *transfer.Error
	switch {
	case !errors.As(err, &e):
		return ""
	case e.Op == "follow symlink":
		return "the link leads nowhere: mend or remove it, or use --no-follow-symlinks"
	case e.Op == "open":
		return "it was moved or removed meanwhile"
	}
	return ""
}
