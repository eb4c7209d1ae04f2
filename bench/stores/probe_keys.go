package stores

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETags and headers
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// keyRows are about credentials and the clock.
var keyRows = []Row{
	{Group: "Credentials and clock", Name: "PUT with a token that has ended", waits: true, probe: func(ctx context.Context, p *prober) string {
		keys := p.dead(ctx)
		return refused(p.ask(ctx, question{method: http.MethodPut, key: p.at + "o", body: text, keys: keys}))
	}},
	{Name: "GET with one", waits: true, probe: func(ctx context.Context, p *prober) string {
		keys := p.dead(ctx)
		if a := p.put(ctx, "o", text, nil); !a.ok() {
			return a.String()
		}
		return refused(p.ask(ctx, question{method: http.MethodGet, key: p.at + "o", keys: keys}))
	}},
	{Name: "HEAD with one", waits: true, probe: func(ctx context.Context, p *prober) string {
		keys := p.dead(ctx)
		if a := p.put(ctx, "o", text, nil); !a.ok() {
			return a.String()
		}
		return refused(p.ask(ctx, question{method: http.MethodHead, key: p.at + "o", keys: keys}))
	}},
	{Name: "a listing with one", waits: true, probe: func(ctx context.Context, p *prober) string {
		keys := p.dead(ctx)
		return refused(p.ask(ctx, question{method: http.MethodGet, query: "list-type=2&prefix=" + Workspace + "%2F", keys: keys}))
	}},
	{Name: "a part, its upload begun with the token before", probe: func(ctx context.Context, p *prober) string {
		if p.keys.Token == "" {
			return none
		}
		u := p.begin(ctx, "o")
		if p.keys, p.err = p.s.Token(ctx); p.err != nil {
			return ""
		}
		return yesAs(u.part(ctx, 1, last, last), "taken")
	}},
	{Name: "a malformed token", probe: func(ctx context.Context, p *prober) string {
		keys := p.keys
		keys.Token = "bm90IGEgdG9rZW4="
		return p.putAs(ctx, keys)
	}},
	{Name: "a key without its token", probe: func(ctx context.Context, p *prober) string {
		if p.keys.Token == "" {
			return none
		}
		keys := p.keys
		keys.Token = ""
		return p.putAs(ctx, keys)
	}},
	{Name: "an unknown key", probe: func(ctx context.Context, p *prober) string {
		keys := p.keys
		keys.ID = "AKIAUNKNOWNUNKNOWNUN"
		return p.putAs(ctx, keys)
	}},
	{Name: "a wrong secret", probe: func(ctx context.Context, p *prober) string {
		keys := p.keys
		keys.Secret = strings.Repeat("x", len(keys.Secret))
		return p.putAs(ctx, keys)
	}},
	{Name: "signed 20 min ago", probe: func(ctx context.Context, p *prober) string { return p.putOff(ctx, -20*time.Minute) }},
	{Name: "signed in 20 min", probe: func(ctx context.Context, p *prober) string { return p.putOff(ctx, 20*time.Minute) }},
	{Name: "unknown key, 8 MiB with Expect: 100-continue", probe: func(ctx context.Context, p *prober) string {
		keys := p.keys
		keys.ID = "AKIAUNKNOWNUNKNOWNUN"
		var read atomic.Int64
		a := p.ask(ctx, question{method: http.MethodPut, key: p.at + "o", keys: &keys, header: map[string]string{"Expect": "100-continue"},
			stream: &counting{io.NopCloser(io.LimitReader(zeros{}, bodySize)), &read}, length: bodySize})
		switch {
		case a.ok():
			return "**taken**"
		case read.Load() == 0:
			return "refused before the body"
		}
		return "refused after the body"
	}},
}

const bodySize = 8 << 20

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func (p *prober) putAs(ctx context.Context, keys Keys) string {
	return refused(p.ask(ctx, question{method: http.MethodPut, key: p.at + "o", body: text, keys: &keys}))
}

func (p *prober) putOff(ctx context.Context, off time.Duration) string {
	return refused(p.ask(ctx, question{method: http.MethodPut, key: p.at + "o", body: text, off: off}))
}

func md5Of(b []byte) []byte {
	sum := md5.Sum(b) //nolint:gosec // see the import
	return sum[:]
}

func md5Hex(b []byte) string { return hex.EncodeToString(md5Of(b)) }

// unXML is the text of an element as it was before it was escaped.
func unXML(s string) string {
	var v string
	if xml.Unmarshal([]byte("<v>"+s+"</v>"), &v) != nil {
		return s
	}
	return v
}
