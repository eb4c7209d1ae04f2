package creds

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Keys that belong to somebody else give way to those of the other sources, in
// order and whatever their life; without any they stay.
func TestAnotherInPlaceOfAUselessKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		role := &fake{name: "role", give: func(context.Context, int) (aws.Credentials, error) { return keys("ROLE", 6*time.Hour), nil }}
		again := &fake{name: "again", give: func(context.Context, int) (aws.Credentials, error) { return keys("ROLE", 0), nil }}
		file := &fake{name: "file", give: func(context.Context, int) (aws.Credentials, error) { return keys("FILE", 0), nil }}
		none := &fake{name: "none", give: func(context.Context, int) (aws.Credentials, error) { return aws.Credentials{}, absent("nothing") }}
		login := &fake{name: "login", give: func(context.Context, int) (aws.Credentials, error) { return keys("LOGIN", time.Hour), nil }}
		p := New(Options{Sources: []Source{none, role, again, file, login}})
		defer p.Close()
		mustWait(t, p, "ROLE")
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				if c, err := p.Another(t.Context(), "ROLE", true); err != nil || c.AccessKeyID != "FILE" {
					t.Errorf("in place of the role's: %q, %v", c.AccessKeyID, err)
				}
			})
		}
		all.Wait()
		if n := file.calls.Load(); n != 1 {
			t.Errorf("the file was asked %d times", n)
		}
		refuse(p, "ROLE", "AccessDenied")
		if c, err := p.Another(t.Context(), "FILE", true); err != nil || c.AccessKeyID != "LOGIN" {
			t.Errorf("in place of the file's: %q, %v", c.AccessKeyID, err)
		}
		refuse(p, "FILE", "AccessDenied")
		if c, err := p.Another(t.Context(), "LOGIN", true); err != nil || c.AccessKeyID != "LOGIN" {
			t.Errorf("there is no other: %q, %v", c.AccessKeyID, err)
		}
	})
}
