package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/valyala/fasthttp"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
)

// store is the storage backend with two corrections around it.
type store struct {
	backend.Backend

	// hideMissing answers 403 instead of 404 for a missing key. AWS tells a
	// caller that a key is missing only if it may list the bucket, and the
	// platform's role may list only with a prefix, which these requests lack.
	hideMissing bool
}

// HeadObject hides missing keys from sessions when told to.
func (s store) HeadObject(ctx context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	out, err := s.Backend.HeadObject(ctx, in)
	return out, s.hidden(ctx, err)
}

// GetObject hides missing keys from sessions when told to.
func (s store) GetObject(ctx context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	out, err := s.Backend.GetObject(ctx, in)
	return out, s.hidden(ctx, err)
}

func (s store) hidden(ctx context.Context, err error) error {
	account, _ := ctx.Value(string(utils.ContextKeyAccount)).(auth.Account)
	if s.hideMissing && account.IsSession && hasCode(err, "NoSuchKey") {
		return s3err.GetAPIError(s3err.ErrAccessDenied)
	}
	return err
}

// GetBucketAcl is the server's last call between checking the signature and
// authorizing the request, for every operation on a bucket. The identity that
// shiftedAuth found is put in place here: the server resets its own record of
// it after the middlewares have run.
func (s store) GetBucketAcl(ctx context.Context, in *s3.GetBucketAclInput) ([]byte, error) {
	if account, ok := ctx.Value(shiftedAccount).(auth.Account); ok {
		if rctx, ok := ctx.(*fasthttp.RequestCtx); ok {
			rctx.SetUserValue(string(utils.ContextKeyAccount), account)
			rctx.SetUserValue(string(utils.ContextKeyIsRoot), account.Access == rootAccessKey)
		}
	}
	return s.Backend.GetBucketAcl(ctx, in)
}
