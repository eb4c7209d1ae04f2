package creds

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestAccountOf(t *testing.T) {
	for id, want := range map[string]string{
		"ASIAY34FZKBOKMUTVV7A":  "609629065308",
		"AKIAY34FZKBOKMUTVV7A":  "609629065308",
		"AROAY34FZKBOKMUTVV7A":  "", // a role's, not a key's
		"AKIAIOSFODNN7EXAMPLE":  "", // of the old kind
		"ASIAJOSFODNN7EXAMPLE":  "",
		"ASIAY34FZKBOKMUTVV7":   "", // too short
		"ASIAY34FZKBOKMUTVV7AA": "",
		"ASIAY34FZKBOKMUTVV71":  "", // no base32
		"asiay34fzkbokmutvv7a":  "",
		"ASIAAAAAAAAAAAAAAAAA":  "000000000000",
		"minio":                 "",
		"":                      "",
	} {
		if got := AccountOf(aws.Credentials{AccessKeyID: id}); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
	if got := AccountOf(aws.Credentials{AccessKeyID: "ASIAY34FZKBOKMUTVV7A", AccountID: "123456789012"}); got != "123456789012" {
		t.Errorf("what the source told is passed over: %q", got)
	}
}
