package creds

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// AccountOf is the number of the AWS account that the key belongs to: as the
// source told, or else as AWS has written it into the access key id; "" when it
// is not known. It means something only for keys that AWS itself made: other
// stores make ids of the same look, so ask only where the endpoint is AWS's.
func AccountOf(c aws.Credentials) string {
	if c.AccountID != "" {
		return c.AccountID
	}
	return accountOf(c.AccessKeyID)
}

// accountOf reads bits 1 to 40 of what follows the id's four letters, in
// base32. Ids made before 2019 go on with I or J and hold no account.
func accountOf(id string) string {
	const length = 20
	if len(id) != length || !strings.HasPrefix(id, "AKIA") && !strings.HasPrefix(id, "ASIA") || id[4] == 'I' || id[4] == 'J' {
		return ""
	}
	b, err := base32.StdEncoding.DecodeString(id[4:])
	if err != nil {
		return ""
	}
	n := binary.BigEndian.Uint64(b[:8]) >> 16 // the first six bytes
	return fmt.Sprintf("%012d", n&0x7fffffffff80>>7)
}
