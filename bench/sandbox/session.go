package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"
)

// The session tokens are stateless: a token holds its workspace and its end
// under a MAC, so a restarted server with the same seed accepts it again.
//
//	magic 12 | end, unix ns 8 | access key 20 | workspace | NUL |
//	random filling up to 808 | MAC 32
//
// Base64 of these 840 bytes is 1,120 characters, about the length AWS issues,
// with '+', '/' and no '='.
const (
	tokenMagic   = "\x21\x0a\x09origin_ec" //nolint:gosec // no secret: what AWS's own tokens begin with
	tokenBody    = 808
	tokenSize    = tokenBody + sha256.Size
	accessPrefix = "ASIA"
	accessSize   = 20
)

var (
	errUnknownKey   = errors.New("unknown access key")
	errBadToken     = errors.New("session token is not ours")
	errExpiredToken = errors.New("session token has expired")
)

// session is one set of temporary credentials.
type session struct {
	access    string
	secret    string
	token     string
	workspace string
	ends      time.Time
}

// issuer mints and verifies sessions. It is safe for concurrent use.
type issuer struct {
	seed  seed
	clock clock
	life  time.Duration

	anyAge bool // verify accepts expired tokens
}

// ignoringExpiry is the same issuer without a clock.
func (i issuer) ignoringExpiry() issuer {
	i.anyAge = true
	return i
}

// mint makes new credentials for a workspace.
func (i issuer) mint(workspace string) session {
	ends := i.clock.now().Add(i.life)
	if i.life >= time.Minute {
		// As the platform does; below a minute the fraction matters.
		ends = ends.Truncate(time.Second)
	}
	access := i.newAccessKey()
	body := make([]byte, tokenBody)
	_, _ = rand.Read(body) // never fails
	n := copy(body, tokenMagic)
	copy(body[n:], binary.BigEndian.AppendUint64(nil, uint64(ends.UnixNano())))
	copy(body[n+8:], access+workspace+"\x00")
	token := slices.Concat(body, i.seed.mac("token", body))
	return session{
		access:    access,
		secret:    i.secretOf(token),
		token:     base64.StdEncoding.EncodeToString(token),
		workspace: workspace,
		ends:      ends,
	}
}

// verify returns the session behind an access key and token. The error is one
// of errUnknownKey, errBadToken and errExpiredToken.
func (i issuer) verify(access, token string) (session, error) {
	if !i.isOurs(access) || token == "" {
		// AWS, too, says the key is unknown when its token is left out.
		return session{}, errUnknownKey
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(raw) != tokenSize {
		return session{}, errBadToken
	}
	body := raw[:tokenBody]
	if !hmac.Equal(raw[tokenBody:], i.seed.mac("token", body)) {
		return session{}, errBadToken
	}
	n := len(tokenMagic)
	var nanoseconds int64
	if _, err := binary.Decode(body[n:], binary.BigEndian, &nanoseconds); err != nil {
		return session{}, errBadToken
	}
	ends := time.Unix(0, nanoseconds).UTC()
	names, ok := strings.CutPrefix(string(body[n+8:]), access)
	if !ok {
		return session{}, errBadToken
	}
	workspace, _, _ := strings.Cut(names, "\x00")
	if !i.anyAge && !i.clock.now().Before(ends) {
		return session{}, errExpiredToken
	}
	return session{access: access, secret: i.secretOf(raw), token: token, workspace: workspace, ends: ends}, nil
}

func (i issuer) secretOf(token []byte) string {
	return base64.StdEncoding.EncodeToString(i.seed.mac("secret", token)[:30])
}

// newAccessKey makes a key that can be recognised without a list: its second
// half is a MAC of its first, so an unknown key is told from a known one with
// a wrong token.
func (i issuer) newAccessKey() string {
	var half [5]byte
	_, _ = rand.Read(half[:])
	return i.accessKey(half[:])
}

func (i issuer) accessKey(half []byte) string {
	mac := i.seed.mac("access key", half)[:5]
	return accessPrefix + base32.StdEncoding.EncodeToString(half) + base32.StdEncoding.EncodeToString(mac)
}

func (i issuer) isOurs(access string) bool {
	if len(access) != accessSize {
		return false
	}
	half, err := base32.StdEncoding.DecodeString(access[len(accessPrefix) : len(accessPrefix)+8])
	return err == nil && i.accessKey(half) == access
}
