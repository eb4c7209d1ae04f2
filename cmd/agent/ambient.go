package main

import (
	"net/url"
	"os"
	"slices"
	"strings"
)

// settingNames are the environment variables that decide where things go and
// who is asked for credentials, and that hold no secrets themselves. A run that
// is started elsewhere needs them, too.
func settingNames() []string {
	names := []string{
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE",
		"AWS_EC2_METADATA_DISABLED", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"XDG_CONFIG_HOME", "XDG_STATE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy",
	}
	for _, own := range []string{"BUCKET", "CONFIG", "ENV_FILE", "ISSUER", "PLATFORM", "STATE_DIR", "WORKSPACE"} {
		names = append(names, variable(own))
	}
	return names
}

// ambient is what of the environment a later run needs, and the names of what
// it would need and can't be kept, because a password is in it.
func ambient() (settings map[string]string, secret []string) {
	settings = map[string]string{}
	for _, name := range settingNames() {
		value := os.Getenv(name)
		switch {
		case value == "":
		case hasPassword(value):
			secret = append(secret, name)
		default:
			settings[name] = value
		}
	}
	return settings, secret
}

func hasPassword(value string) bool {
	if !strings.Contains(value, "@") {
		return false
	}
	u, err := url.Parse(value)
	if err == nil && u.Host == "" { // proxies are written without a scheme, too
		u, err = url.Parse("http://" + value)
	}
	return err != nil || u.User != nil
}

// environ sets the environment's variables, and gives what puts them back.
func environ(set map[string]string, unset func(name string) bool) (restore func()) {
	was := os.Environ()
	for _, pair := range was {
		if name, _, _ := strings.Cut(pair, "="); unset != nil && unset(name) {
			_ = os.Unsetenv(name)
		}
	}
	for name, value := range set {
		_ = os.Setenv(name, value)
	}
	return func() {
		os.Clearenv()
		for _, pair := range was {
			// On Windows a name may begin with the sign.
			if i := strings.Index(pair[1:], "="); i >= 0 {
				_ = os.Setenv(pair[:i+1], pair[i+2:])
			}
		}
	}
}

// isSecretName tells the variables that hold credentials themselves.
func isSecretName(name string) bool {
	return slices.Contains([]string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"}, name)
}
