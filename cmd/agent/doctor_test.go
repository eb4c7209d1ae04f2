package main

import (
	"testing"

	"agent/cmd/internal/dest"
)

// What doctor tries has to be the host that transfers use: a firewall may know
// one of AWS's and not the other.
func TestDoctorAsksWhereTransfersGo(t *testing.T) {
	for _, tt := range []struct{ endpoint, bucket, want string }{
		{"", "b-1", "https://b-1.s3.eu-west-2.amazonaws.com/ws/p"},
		{"", "b.1", "https://s3.eu-west-2.amazonaws.com/b.1/ws/p"},
		{"http://localhost:9000", "b-1", "http://localhost:9000/b-1/ws/p"},
	} {
		c := &connection{endpoint: tt.endpoint, region: "eu-west-2", dest: dest.Dest{Bucket: tt.bucket}}
		if got := c.requestURL("ws/p"); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}
