package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// call is what an S3 request asks for, read from its request line.
type call struct {
	name     string // the API's name of the operation
	key      string // object key, decoded
	query    string // raw query without secrets
	uploadID string
	part     int // 0: none
}

// operation names the operation of a request line. fromCopy tells that the
// request has a copy source.
func operation(method, requestURI string, fromCopy bool) call {
	rawPath, rawQuery, _ := strings.Cut(requestURI, "?")
	path, err := url.PathUnescape(rawPath)
	if err != nil {
		path = rawPath
	}
	query, _ := url.ParseQuery(rawQuery) // what can be read is enough
	bucket, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	c := call{
		key:      key,
		query:    withoutSecrets(rawQuery),
		uploadID: query.Get("uploadId"),
	}
	c.part, _ = strconv.Atoi(query.Get("partNumber"))
	switch {
	case bucket == "":
		c.name = "ListBuckets"
	case key == "":
		c.name = bucketOperation(method, query)
	default:
		c.name = objectOperation(method, query, fromCopy)
	}
	return c
}

// subresource is a query argument that changes which operation is meant, and
// the noun of that operation.
type subresource struct{ arg, noun string }

var (
	bucketSubresources = []subresource{
		{"acl", "BucketAcl"}, {"cors", "BucketCors"}, {"location", "BucketLocation"},
		{"object-lock", "ObjectLockConfiguration"}, {"ownershipControls", "BucketOwnershipControls"},
		{"policy", "BucketPolicy"}, {"tagging", "BucketTagging"}, {"versioning", "BucketVersioning"},
	}
	objectSubresources = []subresource{
		{"acl", "ObjectAcl"}, {"attributes", "ObjectAttributes"}, {"legal-hold", "ObjectLegalHold"},
		{"retention", "ObjectRetention"}, {"tagging", "ObjectTagging"},
	}
	verbs = map[string]string{
		http.MethodGet: "Get", http.MethodPut: "Put", http.MethodDelete: "Delete",
		http.MethodHead: "Head", http.MethodPost: "Post",
	}
)

func bucketOperation(method string, query url.Values) string {
	for _, s := range bucketSubresources {
		if query.Has(s.arg) {
			return verbs[method] + s.noun
		}
	}
	switch {
	case method == http.MethodPut:
		return "CreateBucket"
	case method == http.MethodPost && query.Has("delete"):
		return "DeleteObjects"
	case method != http.MethodGet:
		return verbs[method] + "Bucket"
	case query.Has("uploads"):
		return "ListMultipartUploads"
	case query.Has("versions"):
		return "ListObjectVersions"
	case query.Get("list-type") == "2":
		return "ListObjectsV2"
	}
	return "ListObjects"
}

func objectOperation(method string, query url.Values, fromCopy bool) string {
	for _, s := range objectSubresources {
		if query.Has(s.arg) {
			return verbs[method] + s.noun
		}
	}
	upload := query.Has("uploadId")
	switch {
	case method == http.MethodPut && upload && fromCopy:
		return "UploadPartCopy"
	case method == http.MethodPut && upload:
		return "UploadPart"
	case method == http.MethodPut && fromCopy:
		return "CopyObject"
	case method == http.MethodPost && query.Has("uploads"):
		return "CreateMultipartUpload"
	case method == http.MethodPost && upload:
		return "CompleteMultipartUpload"
	case method == http.MethodGet && upload:
		return "ListParts"
	case method == http.MethodDelete && upload:
		return "AbortMultipartUpload"
	}
	return verbs[method] + "Object"
}

// withoutSecrets drops what a presigned URL proves itself with.
func withoutSecrets(rawQuery string) string {
	var kept []string
	for arg := range strings.SplitSeq(rawQuery, "&") {
		name, _, _ := strings.Cut(arg, "=")
		switch strings.ToLower(name) {
		case "x-amz-signature", "x-amz-security-token", "x-amz-credential":
		default:
			kept = append(kept, arg)
		}
	}
	return strings.Join(kept, "&")
}
