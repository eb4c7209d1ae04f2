package limit

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// SDK sends every file by one PutObject of the AWS SDK with nothing around it:
// the file is the body, no checksum is asked for, and the garbage collector is
// as Go sets it.
func SDK(ctx context.Context, o Options) error {
	client, err := httpClient(o)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	store := s3.New(s3.Options{
		Region:                     "eu-west-2",
		BaseEndpoint:               &o.Endpoint,
		UsePathStyle:               true,
		HTTPClient:                 client,
		Credentials:                aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("AKIABENCH", "bench", "")),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
	return each(ctx, o, func(ctx context.Context, f *os.File, name string, size int64) error {
		_, err := store.PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String(bucket), Key: &name, Body: f, ContentLength: &size,
		})
		return err
	})
}
