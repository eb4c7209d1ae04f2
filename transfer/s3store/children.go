package s3store

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Children are the names that come next behind a prefix, up to a slash and with
// it: what a directory listing would show. It is one request, and so at most
// the first 1,000.
func (s *Store) Children(ctx context.Context, prefix string) ([]string, error) {
	out, err := s.listPage(ctx, prefix, &s3.ListObjectsV2Input{Bucket: &s.o.Bucket, Prefix: &prefix,
		Delimiter: aws.String("/"), MaxKeys: aws.Int32(1000), EncodingType: types.EncodingTypeUrl})
	if err != nil {
		return nil, err
	}
	under := prefix[:strings.LastIndexByte(prefix, '/')+1]
	escaped := out.EncodingType == types.EncodingTypeUrl
	var names []string
	add := func(key *string) error {
		whole, err := listedKey(key, escaped, prefix)
		if name := strings.TrimPrefix(whole, under); err == nil && name != "" {
			names = append(names, name)
		}
		return err
	}
	for i := range out.CommonPrefixes {
		if err := add(out.CommonPrefixes[i].Prefix); err != nil {
			return nil, err
		}
	}
	for i := range out.Contents {
		if err := add(out.Contents[i].Key); err != nil {
			return nil, err
		}
	}
	return names, nil
}
