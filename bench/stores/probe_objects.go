package stores

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// objectRows are about objects, conditions and listings.
var objectRows = []Row{
	{Group: "Objects and listings", Name: "PUT with If-None-Match: * over an object", probe: func(ctx context.Context, p *prober) string {
		if a := p.put(ctx, "o", text, nil); !a.ok() {
			return a.String()
		}
		return refused(p.put(ctx, "o", other, map[string]string{"If-None-Match": "*"}))
	}},
	{Name: "GET with If-Match of another ETag", probe: func(ctx context.Context, p *prober) string {
		if a := p.put(ctx, "o", text, nil); !a.ok() {
			return a.String()
		}
		a := p.get(ctx, "o", map[string]string{"If-Match": `"00000000000000000000000000000000"`})
		if a.ok() {
			return "**answered**"
		}
		return a.String()
	}},
	{Name: "GET of a range", probe: func(ctx context.Context, p *prober) string {
		if a := p.put(ctx, "o", text, nil); !a.ok() {
			return a.String()
		}
		a := p.get(ctx, "o", map[string]string{"Range": "bytes=4-8"})
		return yes(a, a.status == http.StatusPartialContent && string(a.body) == string(text[4:9]))
	}},
	{Name: "ETag of an object", probe: func(ctx context.Context, p *prober) string {
		a := p.put(ctx, "o", first, nil)
		if !a.ok() {
			return a.String()
		}
		if etag := strings.Trim(a.header.Get("Etag"), `"`); etag == md5Hex(first) {
			return "MD5 of the bytes"
		}
		return "no MD5"
	}},
	{Name: "GET of a key that is not there", probe: func(ctx context.Context, p *prober) string { return p.get(ctx, "none", nil).String() }},
	{Name: "PUT into a bucket that is not there", probe: func(ctx context.Context, p *prober) string {
		return refused(p.ask(ctx, question{method: http.MethodPut, key: p.at + "o", bucket: "no-such-bucket-here", body: text}))
	}},
	{Name: "order of a listing", probe: func(ctx context.Context, p *prober) string {
		names := []string{"a-b", "a.c", "a/b", "aa"}
		for _, name := range names {
			if a := p.put(ctx, name, text, nil); !a.ok() {
				return a.String()
			}
		}
		a := p.list(ctx, "")
		for i := range names {
			names[i] = p.at + names[i]
		}
		if a.ok() && !slices.Equal(keysIn(a), names) {
			return fmt.Sprintf("**%q**", keysIn(a))
		}
		return yesAs(a, "by bytes")
	}},
	{Name: "encoding-type=url", probe: func(ctx context.Context, p *prober) string {
		if a := p.put(ctx, "a b", text, nil); !a.ok() {
			return a.String()
		}
		a := p.list(ctx, "&encoding-type=url")
		return yes(a, strings.Contains(string(a.body), "a+b") || strings.Contains(string(a.body), "a%20b"))
	}},
	{Name: "start-after", probe: func(ctx context.Context, p *prober) string {
		for _, name := range []string{"a", "b"} {
			if a := p.put(ctx, name, text, nil); !a.ok() {
				return a.String()
			}
		}
		a := p.list(ctx, "&start-after="+url.QueryEscape(p.at+"a"))
		return yes(a, slices.Equal(keysIn(a), []string{p.at + "b"}))
	}},
	{Name: "DeleteObjects", probe: func(ctx context.Context, p *prober) string {
		if a := p.put(ctx, "o", text, nil); !a.ok() {
			return a.String()
		}
		body := []byte("<Delete><Object><Key>" + p.at + "o</Key></Object></Delete>")
		hash := sha256.Sum256(body)
		a := p.ask(ctx, question{method: http.MethodPost, query: "delete=", body: body, hash: hex.EncodeToString(hash[:]),
			header: map[string]string{"Content-MD5": base64.StdEncoding.EncodeToString(md5Of(body)), "Content-Type": "application/xml"}})
		return yes(a, len(keysIn(p.list(ctx, ""))) == 0)
	}},
	{Name: "keys that can't be stored, or not be found again", many: true, probe: func(ctx context.Context, p *prober) string { return p.names(ctx) }},
}

func yesAs(a answer, text string) string {
	if a.ok() {
		return text
	}
	return a.String()
}

func (p *prober) list(ctx context.Context, more string) answer {
	query, err := url.ParseQuery("list-type=2&prefix=" + url.QueryEscape(p.at) + more)
	if err != nil {
		p.err = err
	}
	return p.ask(ctx, question{method: http.MethodGet, query: query.Encode()})
}

// oddKeys are names that some store can't hold, and what to call them.
var oddKeys = []struct{ called, name string }{
	{"a control character", "tab\there"}, {"a line break", "line\nbreak"}, {"a carriage return", "carriage\rreturn"},
	{"a backslash", `back\slash`}, {"a blank at the end", "blank "}, {"a dot at the end", "dot."}, {"a doubled slash", "a//b"},
	{"a slash at the end", "folder/"}, {"one that is another's folder", "key/below"}, {"a part of 300 bytes", strings.Repeat("n", 300)},
	{"1,000 bytes", strings.Repeat("long/", 190) + "end"}, {"é in two ways", "caf\u00e9"},
}

// names tries odd keys one by one: each must be there, with its bytes, and be in
// a listing by its name.
func (p *prober) names(ctx context.Context) string {
	if a := p.put(ctx, "key", text, nil); !a.ok() { // beside key/below
		return a.String()
	}
	if a := p.put(ctx, "cafe\u0301", other, nil); !a.ok() {
		return a.String()
	}
	var bad []string
	for _, k := range oddKeys {
		body := text
		if strings.HasSuffix(k.name, "/") {
			body = nil
		}
		p.keys, p.err = p.s.Token(ctx)
		if !p.put(ctx, k.name, body, nil).ok() {
			bad = append(bad, k.called)
			continue
		}
		a := p.ask(ctx, question{method: http.MethodGet, query: url.Values{
			"list-type": {"2"}, "encoding-type": {"url"}, "prefix": {p.at + k.name}}.Encode()})
		if got := p.get(ctx, k.name, nil); string(got.body) != string(body) || !a.ok() || !listed(a, p.at+k.name) {
			bad = append(bad, k.called)
		}
	}
	if bad == nil {
		return "none of those tried"
	}
	return strings.Join(bad, ", ")
}

// listed reports whether a listing has key, escaped or not.
func listed(a answer, key string) bool {
	escaped := strings.Contains(string(a.body), "<EncodingType>url</EncodingType>")
	for _, k := range keysIn(a) {
		k = unXML(k)
		if u, err := url.QueryUnescape(k); escaped && err == nil {
			k = u
		}
		if k == key {
			return true
		}
	}
	return false
}
