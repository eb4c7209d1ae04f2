package main

import (
	"strings"

	"github.com/versity/versitygw/auth"
)

// role is what minted tokens may do.
type role struct {
	bucket string
	full   bool // everything on the bucket
}

// allows decides one action on one resource ARN. Multipart create, upload and
// complete ask for s3:PutObject, and HEAD asks for s3:GetObject, as on AWS;
// anything not named here is denied.
func (r role) allows(workspace string, action auth.Action, resource string, condition map[string][]string) bool {
	bucketARN := auth.ResourceArnPrefix + r.bucket
	inBucket := resource == bucketARN || strings.HasPrefix(resource, bucketARN+"/")
	if r.full {
		return inBucket && action != auth.DeleteBucketAction
	}
	switch action {
	case auth.GetObjectAction, auth.DeleteObjectAction:
		return strings.HasPrefix(resource, bucketARN+"/"+workspace+"/")
	case auth.PutObjectAction:
		// An ACL in the request would need s3:PutObjectAcl as well.
		return strings.HasPrefix(resource, bucketARN+"/"+workspace+"/") && len(condition["s3:x-amz-acl"]) == 0
	case auth.ListBucketAction:
		// The platform's own condition is this plain string prefix, so a
		// workspace can list its namesakes, too. HeadBucket has no prefix
		// and is denied.
		prefix := condition["s3:prefix"]
		return resource == bucketARN && len(prefix) == 1 && strings.HasPrefix(prefix[0], workspace)
	}
	return false
}
