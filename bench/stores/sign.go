package stores

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// sign signs a request whose body has this hash, as at a time.
func sign(req *http.Request, k Keys, hash, service, region string, at time.Time) error {
	req.Header.Set("X-Amz-Content-Sha256", hash)
	cr := aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret, SessionToken: k.Token}
	return v4.NewSigner().SignHTTP(req.Context(), cr, req, hash, service, region, at,
		func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
}

// assumeRole is how a store's security token service is asked for a token. The
// AWS CLI asks for none that lives less than 15 minutes.
func (s *Store) assumeRole(role string) func(context.Context) (Keys, error) {
	return func(ctx context.Context) (k Keys, err error) {
		form := url.Values{
			"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {role}, "RoleSessionName": {"tester"},
			"DurationSeconds": {strconv.Itoa(int(s.Life / time.Second))},
		}.Encode()
		at := s.at
		if at == "" {
			at = s.Endpoint
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"/", bytes.NewBufferString(form))
		if err != nil {
			return k, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		hash := sha256.Sum256([]byte(form))
		if err := sign(req, s.Root, hex.EncodeToString(hash[:]), "sts", s.Region, time.Now()); err != nil {
			return k, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return k, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return k, err
		}
		var out struct {
			ID     string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
			Secret string `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
			Token  string `xml:"AssumeRoleResult>Credentials>SessionToken"`
		}
		err = xml.Unmarshal(body, &out)
		if err == nil && out.Token == "" {
			err = errors.New("no token")
		}
		if err != nil {
			return k, fmt.Errorf("assume a role: %w: %s: %s", err, resp.Status, body)
		}
		return Keys(out), nil
	}
}
