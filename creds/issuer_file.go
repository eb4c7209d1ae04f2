package creds

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// ErrWritable is a description that anybody could change, so that the key would
// go to them.
var ErrWritable = errors.New("others can write to it (chmod o-w)")

// LoadIssuer reads an issuer from a TOML file. Its keys are url, which is
// required, name, method, workspace, header, header_env, header_file, bearer,
// body, unwrap, and for a location that the issuer does not tell: bucket,
// prefix, region, endpoint. The file holds no secret: header_env and
// header_file say where the header's value is. A header_file is relative to
// the TOML file; ~/ is the home.
//
// The error is a *ConfigError with the path. It names key and line, and quotes
// no value.
func LoadIssuer(path string) (*Issuer, error) {
	text, err := os.ReadFile(path)
	if fi, serr := os.Stat(path); serr == nil && fi.Mode().IsRegular() && othersWrite(fi) && HasModes(filepath.Dir(path)) {
		return nil, &ConfigError{File: path, Err: ErrWritable}
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err // the path is in ConfigError
	}
	i := &Issuer{}
	if err == nil {
		err = i.decode(string(text))
	}
	if err == nil {
		err = i.check()
	}
	if err == nil && i.HeaderFile != "" {
		i.HeaderFile, err = beside(path, i.HeaderFile)
	}
	if err != nil {
		return nil, &ConfigError{File: path, Err: err}
	}
	return i, nil
}

// entry takes the value of one key. The decoder adds the line to its error.
type entry func(value any) error

// UnmarshalTOML is called by the decoder.
func (e entry) UnmarshalTOML(value any) error { return e(value) }

func (i *Issuer) decode(text string) error {
	var file map[string]toml.Primitive
	meta, err := toml.Decode(text, &file)
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		return fmt.Errorf("line %d: is not TOML", syntax.Position.Line) // its own words quote the text
	}
	if err != nil {
		return errors.New("is not TOML")
	}
	known := i.entries()
	for _, key := range meta.Keys() { // in the file's order; tables are told by their first name
		e, ok := known[key[0]]
		if !ok {
			e = unknown(key[0])
		}
		err := meta.PrimitiveDecode(file[key[0]], e)
		var at toml.ParseError
		switch {
		case errors.As(err, &at) && at.Position.Line > 0:
			return fmt.Errorf("line %d: %s", at.Position.Line, at.Message)
		case errors.As(err, &at): // a dotted key
			return errors.New(at.Message)
		case err != nil:
			return err
		}
	}
	return nil
}

func (i *Issuer) entries() map[string]entry {
	text := func(name string, to *string) entry {
		return func(value any) error {
			v, ok := value.(string)
			if !ok {
				return fmt.Errorf("%s must be a text in quotes", name)
			}
			*to = strings.TrimSpace(v)
			return nil
		}
	}
	all := map[string]entry{
		"bearer": func(value any) error {
			var ok bool
			if i.Bearer, ok = value.(bool); !ok {
				return errors.New("bearer must be true or false; what the header holds is named by header_env or header_file")
			}
			return nil
		},
	}
	for name, to := range map[string]*string{
		"name": &i.Name, "method": &i.Method, "url": &i.URL, "workspace": &i.Workspace,
		"header": &i.Header, "header_env": &i.HeaderEnv, "header_file": &i.HeaderFile,
		"body": &i.Body, "unwrap": &i.Unwrap,
		"bucket": &i.Place.Bucket, "prefix": &i.Place.Prefix, "region": &i.Place.Region, "endpoint": &i.Place.Endpoint,
	} {
		all[name] = text(name, to)
	}
	return all
}

// secretName is in the names of keys that people would give a secret.
var secretName = regexp.MustCompile(`(?i)value|token|passw|secret|auth|key|cred|bearer|cookie`)

func unknown(name string) entry {
	name = redact(name)
	return func(any) error {
		if secretName.MatchString(name) {
			return fmt.Errorf("%s: no secret is kept in this file: name the variable that holds it with header_env, or the file with header_file", name)
		}
		return fmt.Errorf("there is no key %s", name)
	}
}

var (
	methodName   = regexp.MustCompile(`^[A-Z]+$`)
	headerName   = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	regionName   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// check finds what would fail later, when its words might quote a value that
// people took for another. It brings the location into its form.
func (i *Issuer) check() error {
	i.Method = strings.ToUpper(cmp.Or(i.Method, "GET"))
	_, err := checkURL(strings.ReplaceAll(i.URL, "{workspace}", "w"))
	noKey := i.HeaderEnv == "" && i.HeaderFile == ""
	switch {
	case i.URL == "":
		return errors.New("url is missing")
	case err != nil:
		return fmt.Errorf("url: %w", err)
	case !methodName.MatchString(i.Method):
		return errors.New("method is not one of HTTP")
	case i.Header != "" && !headerName.MatchString(i.Header):
		return errors.New("header is not a header's name; its value does not belong there")
	case i.HeaderEnv != "" && !isVariable(i.HeaderEnv):
		return errors.New("header_env is not a variable's name; the value does not belong there")
	case i.HeaderEnv != "" && i.HeaderFile != "":
		return errors.New("header_env and header_file exclude each other")
	case noKey && (i.Bearer || i.Header != ""):
		return errors.New("header_env or header_file is missing: nothing says where the header's value is")
	}
	i.Place, err = i.Place.normal()
	return err
}

// isVariable tells a variable's name from a key that stands in its place.
func isVariable(name string) bool {
	const longName = 16
	mixed := strings.ContainsAny(name, "0123456789") && strings.ToUpper(name) != name
	return variableName.MatchString(name) && (len(name) < longName || !mixed)
}

// normal brings what people and issuers write into one form.
func (l Location) normal() (Location, error) {
	l.Prefix = asPrefix(l.Prefix)
	if l.Endpoint != "" && !strings.Contains(l.Endpoint, "://") {
		l.Endpoint = "https://" + l.Endpoint
	}
	u, err := url.Parse(l.Endpoint)
	switch {
	case l.Bucket != "" && !bucketName.MatchString(l.Bucket):
		return Location{}, errors.New("bucket is not a bucket's name")
	case !plainPrefix(l.Prefix):
		return Location{}, errors.New("prefix has characters that can't be printed")
	case l.Region != "" && !regionName.MatchString(l.Region):
		return Location{}, errors.New("region is not a region's name")
	case l.Endpoint != "" && (err != nil || u.User != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http"):
		return Location{}, errors.New("endpoint is not a URL with a host")
	}
	return l, nil
}

// beside is the path of a file that the one at path names.
func beside(path, file string) (string, error) {
	if rest, ok := strings.CutPrefix(file, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", errors.New("header_file: there is no home for ~/")
		}
		return filepath.Join(home, rest), nil
	}
	if filepath.IsAbs(file) {
		return file, nil
	}
	return filepath.Join(filepath.Dir(path), file), nil
}
