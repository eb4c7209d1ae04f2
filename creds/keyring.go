package creds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zalando/go-keyring"
)

const (
	keyringService  = "agent platform login"
	keyringPatience = 10 * time.Second // a session bus that nobody serves may never answer
)

// What keeps a key from being in the system's keyring.
var (
	ErrNoKeyring    = errors.New("no keyring answers: is this a headless machine?")
	ErrNotInKeyring = errors.New("its key is not in the keyring any more")
)

func keyringGet(ctx context.Context, user string) (Secret, error) {
	return askKeyring(ctx, func() (Secret, error) {
		key, err := keyring.Get(keyringService, user)
		return Secret(key), err
	})
}

func keyringSet(ctx context.Context, user string, key Secret) error {
	_, err := askKeyring(ctx, func() (Secret, error) { return "", keyring.Set(keyringService, user, string(key)) })
	return err
}

// keyringRemove is content where there is no such key.
func keyringRemove(ctx context.Context, user string) error {
	_, err := askKeyring(ctx, func() (Secret, error) { return "", keyring.Delete(keyringService, user) })
	if errors.Is(err, ErrNotInKeyring) {
		return nil
	}
	return err
}

// askKeyring waits for the answer, but not without end: the library takes no
// context, so a call that nobody answers is left behind.
func askKeyring(ctx context.Context, call func() (Secret, error)) (Secret, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, keyringPatience, ErrNoKeyring)
	defer cancel()
	type answer struct {
		key Secret
		err error
	}
	done := make(chan answer, 1)
	go func() {
		key, err := call()
		done <- answer{key, err}
	}()
	select {
	case a := <-done:
		return a.key, keyringError(a.err)
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// keyringError keeps what the system said, which holds no key: it is not told
// the key again by any of the keyrings.
func keyringError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrNotFound):
		return ErrNotInKeyring
	case errors.Is(err, keyring.ErrSetDataTooBig):
		return errors.New("the key is too long for the keyring")
	default:
		return fmt.Errorf("%w (%s)", ErrNoKeyring, redact(err.Error()))
	}
}
