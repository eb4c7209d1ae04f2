package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3api/controllers"
	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
)

const (
	// maxSkew is how far a signed time may be from the server's.
	maxSkew = 15 * time.Minute
	// amzDateFormat is the form of X-Amz-Date.
	amzDateFormat = "20060102T150405Z"
	// shiftedAccount is where a request carries the account found by
	// shiftedAuth.
	shiftedAccount = "sandbox-account"
)

// shiftedAuth authenticates header-signed requests against the shifted clock.
//
// The S3 server compares signed times with the real clock and lets nobody
// replace that clock, so with an offset its own check would refuse the very
// requests that are on time. This middleware therefore does the server's
// authentication step by step, in its order and with its functions (only the
// skew check is written anew), and then marks the request as authenticated, as
// the server itself does for presigned URLs. Authorization stays with the
// server.
//
// It is in use only when there is an offset. Presigned URLs are left to the
// server and so to the real clock, and root can't list buckets: that operation
// never comes by the place where the account is restored (see store).
type shiftedAuth struct {
	ids    iam
	root   auth.Account
	region string
}

func (a shiftedAuth) middleware() fiber.Handler {
	return controllers.WrapMiddleware(a.authenticate, nil, nil)
}

func (a shiftedAuth) authenticate(c fiber.Ctx) error {
	authorization := c.Get("Authorization")
	if authorization == "" {
		return nil // anonymous or presigned: the server's business
	}
	// The signature is checked over the decoded path; the server decodes it
	// later, and again from the original.
	if err := middlewares.DecodeURL(c); err != nil {
		return err
	}
	signed, err := a.signedTime(c)
	if err != nil {
		return err
	}
	data, err := utils.ParseAuthorization(authorization)
	if err != nil {
		return err
	}
	if data.Region != a.region {
		return s3err.MalformedAuth.IncorrectRegion(a.region, data.Region)
	}
	key, account, err := auth.ResolveDerivedKey(a.ids, a.root, data.Access, c.Get("X-Amz-Security-Token"), data.Date, data.Region, "s3")
	switch {
	case errors.Is(err, auth.ErrNoSuchUser):
		return s3err.GetInvalidAccessKeyIdErr(data.Access)
	case errors.Is(err, auth.ErrInvalidSessionToken):
		return s3err.GetAPIError(s3err.ErrInvalidToken)
	case err != nil:
		return err
	}
	if signed.Format("20060102") != data.Date {
		return s3err.MalformedAuth.DateMismatch()
	}
	payload := c.Get("X-Amz-Content-Sha256")
	if !utils.IsValidSha256PayloadHeader(payload) {
		return s3err.GetInvalidArgumentErr(s3err.InvalidArgSHA256Payload, payload)
	}
	length, _ := strconv.ParseInt(c.Get("Content-Length"), 10, 64)
	canonical, err := utils.CheckValidSignature(c, data, key, payload, signed, length)
	if err != nil {
		return err
	}
	if err := wrapBody(c, payload, func(body io.Reader) (io.Reader, error) {
		return utils.NewChunkReader(c, body, data, canonical, key, signed)
	}); err != nil {
		return err
	}
	c.Locals(shiftedAccount, account)
	utils.ContextKeyAuthenticated.Set(c, true)
	return nil
}

// signedTime is the request's time, if near enough to the server's.
func (a shiftedAuth) signedTime(c fiber.Ctx) (time.Time, error) {
	signed, err := time.Parse(amzDateFormat, c.Get("X-Amz-Date"))
	if err != nil {
		return signed, s3err.GetAPIError(s3err.ErrMissingDateHeader)
	}
	now := a.ids.issuer.clock.now()
	if signed.Sub(now).Abs() > maxSkew {
		return signed, s3err.GetRequestTimeTooSkewedErr(signed.Format(amzDateFormat), now.Format(time.RFC3339), int(maxSkew.Milliseconds()))
	}
	return signed, nil
}

// wrapBody makes the server verify the payload while it reads it: in chunks
// with signatures, as a whole against its hash, or not at all.
func wrapBody(c fiber.Ctx, payload string, chunks func(io.Reader) (io.Reader, error)) error {
	streamed := isUpload(c)
	if !streamed {
		switch sum := sha256.Sum256(c.BodyRaw()); {
		case utils.IsStreamingPayload(payload):
			return s3err.GetAPIError(s3err.ErrInvalidSHA256PayloadUsage)
		case !utils.IsSpecialPayload(payload) && payload != hex.EncodeToString(sum[:]):
			return s3err.GetContentSHA256MismatchErr(payload, hex.EncodeToString(sum[:]))
		}
		return nil
	}
	body := c.Request().BodyStream()
	if body == nil {
		body = strings.NewReader("")
	}
	var err error
	switch {
	case utils.IsStreamingPayload(payload):
		body, err = chunks(body)
	case c.Get("Content-Length") == "":
		err = s3err.GetAPIError(s3err.ErrMissingContentLength)
	case !utils.IsSpecialPayload(payload):
		body, err = utils.NewHashReader(body, payload, utils.HashTypeSha256Hex)
	}
	if err != nil {
		return err
	}
	utils.ContextKeyBodyReader.Set(c, body)
	return nil
}

// isUpload reports whether the request is one whose body the server streams.
func isUpload(c fiber.Ctx) bool {
	if c.Method() != http.MethodPut {
		return false
	}
	switch operation(string(c.Request().Header.Method()), string(c.Request().Header.RequestURI()), c.Get("X-Amz-Copy-Source") != "").name {
	case "PutObject", "UploadPart":
		return true
	}
	return false
}
