package s3store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"agent/transfer"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Fault is a store's refusal, or the failure to get any answer.
type Fault struct {
	Code      string // S3's error code; "" without one
	Status    int    // HTTP status; 0 without an answer
	RequestID string
	Message   string // the store's words
	Sentinel  error  // one of transfer's sentinels, or nil
	Err       error  // what the client library said
}

func (f *Fault) Error() string {
	var s string
	switch {
	case f.Code != "" && f.Message != "":
		s = fmt.Sprintf("%s: %s (HTTP %d)", f.Code, f.Message, f.Status)
	case f.Code != "":
		s = fmt.Sprintf("%s (HTTP %d)", f.Code, f.Status)
	case f.Status != 0 && f.Message != "":
		s = fmt.Sprintf("HTTP %d: %s", f.Status, f.Message)
	case f.Status != 0:
		s = fmt.Sprintf("HTTP %d %s", f.Status, http.StatusText(f.Status))
	default:
		s = f.Err.Error()
		var at *url.Error
		if errors.As(f.Err, &at) {
			s = at.Err.Error() // without the library's five layers around it
		}
		s = cut(s, 2*longestMessage) // a certificate's names, say, may be many
	}
	if f.RequestID != "" {
		s += ", request " + f.RequestID
	}
	return s
}

// bare reports an answer without an S3 error code: the client library puts the
// status in its place.
func (f *Fault) bare() bool {
	return f.Code == "" || f.Code == "UnknownError" || f.Code == http.StatusText(f.Status) ||
		f.Code == strings.ReplaceAll(http.StatusText(f.Status), " ", "")
}

// Unwrap gives the sentinel to errors.Is and the cause to errors.As.
func (f *Fault) Unwrap() []error {
	var errs []error
	for _, e := range []error{f.Sentinel, f.Err} {
		if e != nil {
			errs = append(errs, e)
		}
	}
	return errs
}

var (
	errNotThroughSend = errors.New("request made outside send")
	errNotS3          = errors.New("the answer is not S3's: is a login page (captive portal) or a proxy in the way?")
	errBadAnswer      = errors.New("the store's checksum differs from ours")
)

// class is what send does about a fault.
type class uint8

const (
	final     class = iota // the item fails, or the job where the sentinel says so
	transient              // the same again, later
	deadKey                // the key is over: wait for another
	suspect                // AccessDenied that may be expiry
	skewed                 // our clock: sign by theirs
	corrupt                // the bytes did not arrive as they were sent
)

// codes maps what S3 servers answer. What is not here goes by its HTTP status.
var codes = map[string]class{
	"ExpiredToken": deadKey, "ExpiredTokenException": deadKey, "RequestExpired": deadKey,
	"TokenRefreshRequired": deadKey, "InvalidToken": deadKey, "InvalidTokenId": deadKey,
	"InvalidAccessKeyId":   deadKey,
	"AccessDenied":         suspect,
	"RequestTimeTooSkewed": skewed, "RequestInTheFuture": skewed,
	"BadDigest": corrupt, "XAmzContentChecksumMismatch": corrupt, "XAmzContentSHA256Mismatch": corrupt,
	"InvalidDigest": corrupt, "IncompleteBody": corrupt,
	"RequestTimeout": transient, "SlowDown": transient, "SlowDownRead": transient, "SlowDownWrite": transient,
	"InternalError": transient, "ServiceUnavailable": transient, "OperationAborted": transient,
	"Throttling": transient, "ThrottlingException": transient, "TooManyRequests": transient,
	"RequestLimitExceeded": transient, "BandwidthLimitExceeded": transient, "Busy": transient,
	"XMinioServerNotInitialized": transient,
}

// refusals are codes after which no other item would fare better.
var refusals = map[string]bool{
	"NoSuchBucket": true, "PermanentRedirect": true, "AuthorizationHeaderMalformed": true,
	"InvalidBucketName": true, "SignatureDoesNotMatch": true, "AccountProblem": true,
	"AllAccessDisabled": true, "NotSignedUp": true, "IllegalLocationConstraintException": true,
	"QuotaExceeded": true, "XAmzQuotaExceeded": true, "XMinioStorageFull": true,
}

// Of a store's words, which may be anything, this many bytes are kept.
const (
	longestCode    = 64
	longestID      = 200
	longestMessage = 500
)

// ErrorCode is, like HTTPStatusCode and ServiceRequestID, for whoever only knows that
// errors may have such things.
func (f *Fault) ErrorCode() string { return f.Code }

// HTTPStatusCode is 0 without an answer.
func (f *Fault) HTTPStatusCode() int { return f.Status }

// ServiceRequestID is "" where the answer had none.
func (f *Fault) ServiceRequestID() string { return f.RequestID }

// read turns what the client library returned into a Fault.
func read(err error) *Fault {
	f := &Fault{Err: err}
	var re *awshttp.ResponseError
	if errors.As(err, &re) {
		f.Status = re.HTTPStatusCode()
		f.RequestID = cut(re.ServiceRequestID(), longestID)
	}
	var ae smithy.APIError
	if errors.As(err, &ae) {
		f.Code, f.Message = cut(ae.ErrorCode(), longestCode), cut(ae.ErrorMessage(), longestMessage)
	}
	if known := unbounded(err); f.Code == "" && known != nil {
		f.Message = known.Error() // the library's words say where it fell over
	}
	return f
}

// classify says what to do about f. answeredBefore: the store has answered well
// before, so what looks final may be a network that changed under us.
func classify(f *Fault, answeredBefore bool) class {
	if c, ok := codes[f.Code]; ok {
		return c
	}
	if refusals[f.Code] {
		f.Sentinel = transfer.ErrRefused
		return final
	}
	var de *smithy.DeserializationError
	switch {
	case errors.Is(f.Err, errBadAnswer):
		return corrupt
	case errors.Is(f.Err, errNotS3), errors.As(f.Err, &de), f.Status < 400 && unbounded(f.Err) != nil:
		if f.Status != 0 && f.Status < 400 && unbounded(f.Err) == nil {
			f.Message = unread(f.Err) // else all that people see is HTTP 200 OK
		}
		return transient
	case f.Status == 0:
		return classifyTransport(f, answeredBefore)
	case f.Status == http.StatusNotFound, f.Status == http.StatusNotImplemented, f.Status == http.StatusMethodNotAllowed:
		if f.bare() && !answeredBefore {
			f.Sentinel = transfer.ErrRefused // a web server, but none that speaks S3
		}
		return final
	case f.Status >= 500, f.Status == http.StatusTooManyRequests, f.Status == http.StatusRequestTimeout:
		return transient
	case f.Status < 400:
		// A redirect without S3's PermanentRedirect is a portal or a proxy.
		f.Message = errNotS3.Error()
		return transient
	}
	return final
}

// unread says what is wrong with a good answer that can't be understood.
func unread(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "the answer broke off: " + io.ErrUnexpectedEOF.Error()
	}
	return errNotS3.Error()
}

// classifyTransport judges failures to get an answer at all.
func classifyTransport(f *Fault, answeredBefore bool) class {
	var unknownCA x509.UnknownAuthorityError
	var host x509.HostnameError
	var verify *tls.CertificateVerificationError
	var serialize *smithy.SerializationError
	var local *readError
	var disk *writeError
	var proxy *ProxyError
	switch {
	case errors.Is(f.Err, context.Canceled):
		return final
	case errors.As(f.Err, &unknownCA), errors.As(f.Err, &host), errors.As(f.Err, &verify):
		// A portal that intercepts TLS passes; a store that never had a
		// certificate we trust does not.
		if answeredBefore {
			return transient
		}
		f.Sentinel = transfer.ErrRefused
		return final
	case errors.As(f.Err, &serialize), errors.Is(f.Err, errNotThroughSend):
		return final
	case errors.Is(f.Err, transfer.ErrChanged), errors.As(f.Err, &local), errors.As(f.Err, &disk),
		errors.Is(f.Err, transfer.ErrReplaced):
		return final
	case errors.As(f.Err, &proxy) && proxy.Status == http.StatusProxyAuthRequired && !answeredBefore:
		f.Sentinel = transfer.ErrRefused // a wrong password, repeated, locks accounts
		return final
	}
	return transient
}

// errShort is a file that has fewer bytes than it had.
var errShort = fmt.Errorf("%w: it is shorter now", transfer.ErrChanged)

// errRewritten is a file whose bytes differ between the read for the checksum
// and the one for sending.
var errRewritten = fmt.Errorf("%w: two reads differ", transfer.ErrChanged)

// readError is a file that can't be read: no trouble of the network, whoever
// reports it.
type readError struct{ err error }

func (e *readError) Error() string { return "read: " + e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

func localRead(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShort
	}
	return &readError{err}
}
