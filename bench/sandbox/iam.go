package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/http"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3err"
)

// iam is the S3 server's identity service: it knows the sessions of the issuer
// and what their role may do. The server asks it before it checks a signature
// and again before it acts, so expiry and denial are the server's own answers.
type iam struct {
	issuer issuer
	role   role
}

var (
	_ auth.IAMService         = iam{}
	_ auth.SigningKeyProvider = iam{}
	_ auth.PolicyEvaluator    = iam{}
)

// DeriveSigningKey authenticates the credential and returns its SigV4 key.
func (s iam) DeriveSigningKey(access, token, date, region, service string) ([]byte, auth.Account, error) {
	found, err := s.issuer.verify(access, token)
	switch {
	case errors.Is(err, errUnknownKey):
		return nil, auth.Account{}, auth.ErrNoSuchUser
	case errors.Is(err, errExpiredToken):
		return nil, auth.Account{}, s3err.APIError{
			Code:           "ExpiredToken",
			Description:    "The provided token has expired.",
			HTTPStatusCode: http.StatusBadRequest,
		}
	case err != nil:
		return nil, auth.Account{}, auth.ErrInvalidSessionToken
	}
	account := auth.Account{
		Access:       access,
		Role:         auth.RoleUser,
		SessionToken: token,
		IsSession:    true,
	}
	return signingKey(found.secret, date, region, service), account, nil
}

// EvaluatePolicy decides every action on every resource. A session that has
// expired since its request was authenticated keeps its rights for the rest of
// that request, as it does on AWS.
func (s iam) EvaluatePolicy(access, token string, actions []auth.Action, resources []string, condition map[string][]string) (auth.PolicyEvaluation, error) {
	var workspace string
	found, err := s.issuer.ignoringExpiry().verify(access, token)
	known := err == nil
	if known {
		workspace = found.workspace
	}
	eval := auth.PolicyEvaluation{PrincipalArn: "arn:aws:sts::000000000000:assumed-role/workspace/" + workspace}
	decide(&eval.Decisions, len(resources), len(actions), func(r, a int) bool {
		return known && s.role.allows(workspace, actions[a], resources[r], condition)
	})
	return eval, nil
}

// decide fills the decision matrix. The element type is not exported by its
// package, so it is inferred; the package documents zero as "no statement
// matches" (denied) and one as "allowed".
func decide[D ~int](matrix *[][]D, rows, columns int, allowed func(row, column int) bool) {
	*matrix = make([][]D, rows)
	for r := range rows {
		(*matrix)[r] = make([]D, columns)
		for c := range columns {
			if allowed(r, c) {
				(*matrix)[r][c] = 1
			}
		}
	}
}

// GetUserAccount finds nobody: root is the server's own account, and sessions
// are resolved by DeriveSigningKey.
func (iam) GetUserAccount(string) (auth.Account, error) {
	return auth.Account{}, auth.ErrNoSuchUser
}

// ResolveAccounts returns the accounts that do not exist, which is all of them
// but root.
func (iam) ResolveAccounts(accessKeyIDs []string) ([]string, error) {
	missing := []string{}
	for _, access := range accessKeyIDs {
		if access != rootAccessKey {
			missing = append(missing, access)
		}
	}
	return missing, nil
}

// CreateAccount is not supported: sessions are minted by the platform's API.
func (iam) CreateAccount(auth.Account) error { return errNoAccounts() }

// UpdateUserAccount is not supported.
func (iam) UpdateUserAccount(string, auth.MutableProps) error { return errNoAccounts() }

// DeleteUserAccount is not supported.
func (iam) DeleteUserAccount(string) error { return errNoAccounts() }

// ListUserAccounts is not supported.
func (iam) ListUserAccounts() ([]auth.Account, error) { return nil, errNoAccounts() }

// Shutdown has nothing to release.
func (iam) Shutdown() error { return nil }

func errNoAccounts() error { return s3err.GetAPIError(s3err.ErrAdminMethodNotSupported) }

// signingKey is SigV4's derivation of the key for one day, region and service.
func signingKey(secret, date, region, service string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{date, region, service, "aws4_request"} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return key
}
