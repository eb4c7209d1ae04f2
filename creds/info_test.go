package creds

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := keys("ASIAEXAMPLEWXYZ", time.Hour)
		c.AccountID = "123456789012"
		c.Source = "StaticCredentials" // what the SDK says is not what people know
		p := New(Options{Sources: []Source{giving("paste", c, keys("B", 0))}})
		defer p.Close()
		if _, ok := p.Info(); ok {
			t.Error("there is no set yet")
		}
		mustWait(t, p, "ASIAEXAMPLEWXYZ")
		time.Sleep(10 * time.Minute)
		want := Info{
			Source: "paste", Key: "ASIA…WXYZ", Account: "123456789012", Expires: c.Expires,
			Left: 50 * time.Minute, Refresh: 40 * time.Minute, Life: time.Hour,
		}
		if i, _ := p.Info(); i != want {
			t.Errorf("%+v, want %+v", i, want)
		}
		p.ServerTime(time.Now().Add(20*time.Minute - dateBlur/4)) // this machine is slow
		want.Left, want.Refresh, want.Life = 30*time.Minute, 20*time.Minute, 40*time.Minute
		if i, _ := p.Info(); i != want {
			t.Errorf("by the server's clock: %+v, want %+v", i, want)
		}
		got, err := p.Retrieve(t.Context())
		if text := Describe(got); err != nil || text != "key ASIA…WXYZ from paste, account 123456789012" {
			t.Error(text, err)
		}
		refuse(p, "ASIAEXAMPLEWXYZ", "ExpiredToken")
		mustWait(t, p, "B")
		if i, _ := p.Info(); i != (Info{Source: "paste", Key: "…B"}) {
			t.Errorf("without a known end: %+v", i)
		}
	})
}

func TestDescribe(t *testing.T) {
	for want, c := range map[string]aws.Credentials{
		"key …":                                   {},
		"key AKIA…MPLE":                           {AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: planted},
		"key AKIA…MPLE, account 123456789012":     {AccessKeyID: "AKIAIOSFODNN7EXAMPLE", AccountID: "123456789012"},
		"key AKIA…MPLE from env file /home/x/env": {AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Source: "env file /home/x/env"},
	} {
		if got := Describe(c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		defer p.Close()
		if now, server := p.Now(); server || !now.Equal(time.Now()) {
			t.Errorf("%v, %t", now, server)
		}
		p.ServerTime(time.Now().Add(time.Hour - dateBlur/4))
		time.Sleep(time.Minute)
		for _, late := range []time.Duration{0, 100 * time.Millisecond, 999 * time.Millisecond, 1900 * time.Millisecond} {
			p.ServerTime(time.Now().Add(time.Hour - late)) // a Date's seconds are whole
			if now, server := p.Now(); !server || !now.Equal(time.Now().Add(time.Hour)) {
				t.Errorf("%v late: %v, %t", late, now, server)
			}
		}
	})
}

// A hand-over judges by the provider's clock.
func TestHandoverByTheServersClock(t *testing.T) {
	h := &Handover{Dir: t.TempDir(), Workspace: "w"}
	p := New(Options{Sources: []Source{h}})
	defer p.Close()
	h.Now = p.Now
	if err := h.Put(pasted(t, "ONE", time.Now().Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	mustWait(t, p, "ONE")
	p.ServerTime(time.Now().Add(time.Hour))
	if _, err := h.Retrieve(t.Context()); err == nil {
		t.Error("over by the server's clock, and still offered")
	}
}

func TestProviderRenews(t *testing.T) {
	for name, c := range map[string]struct {
		sources []Source
		want    bool
	}{
		"nothing":           {nil, false},
		"a fake":            {[]Source{giving("x")}, false},
		"people only":       {[]Source{Environment{}, EnvFile{Path: "x"}, &Handover{}, &Chain{}, &Platform{}}, false},
		"issuer":            {[]Source{Environment{}, &Issuer{}}, true},
		"process":           {[]Source{Environment{}, Process{Command: "x"}}, true},
		"platform with key": {[]Source{&Platform{LoginFile: login(t, Login{Base: "https://h", Workspace: "w", Key: "k"})}}, true},
	} {
		p := New(Options{Sources: c.sources})
		if got := p.Renews(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		p.Close()
	}
}
