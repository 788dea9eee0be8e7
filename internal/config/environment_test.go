package config_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"tenantry/internal/config"
)

func TestLoad_trimsNewlinesAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, s := range settings {
		for _, ending := range []string{"\n", "\r\n", "\n\n"} {
			c, err := load(t, nil, append(companions(s.name), "TENANTRY_"+s.name+"="+s.other+ending)...)
			if err != nil || !reflect.DeepEqual(s.get(c), s.want) {
				t.Errorf("%s with %q: %v, %v", s.name, ending, s.get(c), err)
			}
		}
	}
	c, err := load(t, nil, "TENANTRY_OAUTH_GOOGLE_CLIENT_ID=id\n", "TENANTRY_OAUTH_GOOGLE_CLIENT_SECRET=canary\r\n")
	if err != nil || len(c.OAuthProviders) != 1 || c.OAuthProviders[0].ClientID != "id" ||
		c.OAuthProviders[0].ClientSecret != "canary" {
		t.Errorf("%+v, %v", c.OAuthProviders, err)
	}
}

func TestLoad_keepsBlanksOfPassword(t *testing.T) {
	t.Parallel()
	c, err := load(t, nil, "TENANTRY_BOOTSTRAP_PASSWORD= correct horse battery staple \n")
	if err != nil || c.BootstrapPassword != " correct horse battery staple " {
		t.Errorf("%q, %v", c.BootstrapPassword, err)
	}
}

// Earlier versions did not trim secrets: values encrypted then can still be decrypted.
func TestSecret_untrimmedIsPreviousSecret(t *testing.T) {
	t.Parallel()
	c, err := load(t, nil, "TENANTRY_SECRET="+goodSecret+"\n")
	if err != nil || c.Secret != goodSecret || c.SecretPrevious != goodSecret+"\n" {
		t.Errorf("%q, %q, %v", c.Secret, c.SecretPrevious, err)
	}
	const other = "another secret that is long enough 4711"
	if c, err = load(t, nil, "TENANTRY_SECRET="+goodSecret+"\n", "TENANTRY_SECRET_PREVIOUS="+other); err != nil ||
		c.SecretPrevious != other {
		t.Errorf("%q, %v", c.SecretPrevious, err)
	}
	if c, err = load(t, nil, "TENANTRY_SECRET="+goodSecret); err != nil || c.SecretPrevious != "" {
		t.Errorf("%q, %v", c.SecretPrevious, err)
	}
}

// kubernetes are the variables of services named tenantry, tenantry-oauth and
// tenantry-oauth-google.
func kubernetes() []string {
	var all []string
	for _, service := range []string{"TENANTRY", "TENANTRY_OAUTH", "TENANTRY_OAUTH_GOOGLE", "TENANTRY_LISTEN"} {
		for _, v := range []string{
			"_SERVICE_HOST=10.0.0.7", "_SERVICE_PORT=8080", "_SERVICE_PORT_HTTP=8080", "_PORT=tcp://10.0.0.7:8080",
			"_PORT_8080_TCP=tcp://10.0.0.7:8080",
			"_PORT_8080_TCP_PROTO=tcp", "_PORT_8080_TCP_PORT=8080", "_PORT_8080_TCP_ADDR=10.0.0.7",
			"_PORT_53_UDP=udp://10.0.0.7:53", "_PORT_53_UDP_PROTO=udp",
		} {
			all = append(all, service+v)
		}
	}
	return all
}

func TestLoad_ignoresKubernetesAndEmptyVariables(t *testing.T) {
	t.Parallel()
	unset, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, environ := range map[string][]string{
		"kubernetes": kubernetes(),
		"empty": {"TENANTRY_OAUTH_GOOGLE_CLIENT_ID=", "TENANTRY_OAUTH_GOOGLE_CLIENT_SECRET=",
			"TENANTRY_OAUTH_GOOGLE_CLIENT_SECRET_FILE=", "TENANTRY_OAUTH_X=", "TENANTRY_SECRET_FILE="},
	} {
		if c, err := load(t, nil, environ...); err != nil || !reflect.DeepEqual(c, unset) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// goNames matches names of Go and its library, which mean nothing to an operator.
var goNames = regexp.MustCompile(`strconv|slog|netip|\[\]|time\.|url\.|\bint\b|\bbool\b|float|parse`)

func TestMistake_namesNoGoType(t *testing.T) {
	t.Parallel()
	for _, s := range settings {
		for _, value := range []string{"no such value", "10.0.0.1", "::ffff:10.0.0.0/200", "10.0.0.0/33",
			"99999999999999999999", "1e999", "http://[::1", "https://a b:x/%zz"} {
			if _, err := load(t, nil, append(companions(s.name), "TENANTRY_"+s.name+"="+value)...); err != nil &&
				goNames.MatchString(strings.ReplaceAll(err.Error(), value, "")) {
				t.Errorf("%v", err)
			}
		}
	}
}

// A value that is not in canonical form never equals what clients send. The error names the
// canonical form.
func TestMistake_namesCanonicalForm(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]string{
		"PUBLIC_URL=https://id.acme.test/":            "write https://id.acme.test",
		"PUBLIC_URL=https://Id.Acme.Test":             "write https://id.acme.test",
		"PUBLIC_URL=HTTPS://id.acme.test:443/auth/":   "write https://id.acme.test/auth",
		"PUBLIC_URL=https://id.acme.test?tenant=acme": "write https://id.acme.test",
		"PUBLIC_URL=https://id.acme.test/auth#top":    "write https://id.acme.test/auth",
		"PUBLIC_URL=https://id.acme.test?":            "write https://id.acme.test",
		"PUBLIC_URL=https://id.acme.test#":            "write https://id.acme.test",
		"PUBLIC_URL=https://ada:hunter2@id.acme.test": "write https://id.acme.test",
		"PUBLIC_URL=https://id.acme.test/a/../b":      "write https://id.acme.test/b",
		"PUBLIC_URL=https://id.acme.test//auth":       "write https://id.acme.test/auth",
		"PUBLIC_URL=https://bücher.example":           "write https://xn--bcher-kva.example",
		"PUBLIC_URL=http://[::ffff:127.0.0.1]:8080":   "write http://127.0.0.1:8080",
		"PUBLIC_URL=http://0.0.0.0:8080":              "no client",
		"CORS_ORIGINS=https://App.acme.test":          "write https://app.acme.test",
		"CORS_ORIGINS=https://app.acme.test:443":      "write https://app.acme.test",
		"CORS_ORIGINS=http://localhost:80":            "write http://localhost",
		"CORS_ORIGINS=https://app.acme.test/":         "write https://app.acme.test",
		"CORS_ORIGINS=https://app.acme.test/path?q":   "write https://app.acme.test",
		"CORS_ORIGINS=https://a.test, https://b.test": "write https://b.test",
		"CORS_ORIGINS=https://bücher.example":         "write https://xn--bcher-kva.example",
		"CORS_ORIGINS=http://[0:0::1]:3000":           "write http://[::1]:3000",
		"TRUSTED_PROXIES=10.1.2.3/8":                  "write 10.0.0.0/8",
		"TRUSTED_PROXIES=fd00::7/8":                   "write fd00::/8",
		"TRUSTED_PROXIES=::ffff:10.0.0.0/104":         "write 10.0.0.0/8",
		"TRUSTED_PROXIES=::ffff:10.1.2.3/104":         "write 10.0.0.0/8",
		"TRUSTED_PROXIES=10.0.0.1":                    "write 10.0.0.1/32",
		"TRUSTED_PROXIES=fd00::7":                     "write fd00::7/128",
		"TRUSTED_PROXIES=::ffff:10.0.0.1":             "write 10.0.0.1/32",
		"TRUSTED_PROXIES=10.0.0.0/8, 192.168.0.0/16":  "write 192.168.0.0/16",
		"OUTBOUND_NETWORKS=127.0.0.1/8":               "write 127.0.0.0/8",
		"OUTBOUND_NETWORKS=::ffff:127.0.0.0/104":      "write 127.0.0.0/8",
		"LISTEN=127.0.0.1:http":                       "port",
		"LISTEN=127.0.0.1:99999":                      "port",
		"OPERATIONS_LISTEN=127.0.0.1:metrics":         "port",
		"OTLP_ENDPOINT=http://collector:99999":        "OTLP_ENDPOINT",
		"PUBLIC_URL=https://id.acme.test:0":           "PUBLIC_URL",
		"PUBLIC_URL=https://id.acme.test:99999":       "PUBLIC_URL",
		"DEFAULT_TENANT=Acme":                         "write acme",
		"DATABASE_URL=host=db user=tenantry":          "postgres://",
		"OAUTH_GOOGLE_CLIENTID=x":                     "did you mean TENANTRY_OAUTH_GOOGLE_CLIENT_ID?",
		"OAUTH_CORPORATE_SSO_AUTHORISATION_ENDPOINT=x": "did you mean " +
			"TENANTRY_OAUTH_CORPORATE_SSO_AUTHORIZATION_ENDPOINT?",
		"OAUTH_GOOGLE_CLIENT_SECRETFILE=/run/secrets/x": "did you mean TENANTRY_OAUTH_GOOGLE_CLIENT_SECRET_FILE?",
	} {
		_, err := load(t, nil, "TENANTRY_"+environ)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", environ, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats the password: %v", environ, err)
		}
		if name, _, _ := strings.Cut(environ, "="); err != nil &&
			!strings.Contains(err.Error(), "TENANTRY_"+name+": ") {
			t.Errorf("%s: the error names another setting: %v", environ, err)
		}
	}
}

func TestPublicURL_fromListenAddressIsCanonical(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"192.0.2.7:80": "http://192.0.2.7", "0.0.0.0:8080": "http://localhost:8080", "[::]:0": "http://localhost:0",
		"MyHost:8080": "http://myhost:8080",
	} {
		c, err := load(t, nil, "TENANTRY_LISTEN="+listen)
		if err != nil || c.PublicURL != want {
			t.Errorf("%s: %q, %v", listen, c.PublicURL, err)
		}
	}
}

func TestUnknown_suggestsNearestSetting(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"TENANTRY_PUBLICURL=https://x":       "did you mean TENANTRY_PUBLIC_URL?",
		"TENANTRY_LISTN=:80":                 "did you mean TENANTRY_LISTEN?",
		"TENANTRY_LISTEN_FILE=/run/x":        "is not a setting and is ignored",
		"TENANTRY_SECRETS_FILE=/run/x":       "did you mean TENANTRY_SECRET_FILE?",
		"TENANTRY_DB_POOLSIZE=7":             "did you mean TENANTRY_DB_POOL_SIZE?",
		"TENANTRY_REFRESH_TOKEN_LIFETIME=1h": "is not a setting and is ignored",
		"TENANTRY_PORT=8080":                 "is not a setting and is ignored",
		"TENANTRY_ISSUER=https://x":          "is not a setting and is ignored",
	} {
		got := config.Unknown([]string{variable, "PATH=/bin", "OTHER_TENANTRY_X=1"})
		if name, _, _ := strings.Cut(variable, "="); len(got) != 1 ||
			!strings.HasPrefix(got[0], name+" is not a setting") ||
			!strings.Contains(got[0], want) {
			t.Errorf("%s: %q, want %q", variable, got, want)
		}
	}
	if got := config.Unknown([]string{"TENANTRY_FOO=1"}); len(got) != 1 || strings.Contains(got[0], "mean") {
		t.Errorf("%q suggests a name that is not near", got)
	}
	if got := config.Unknown([]string{"TENANTRY_LISTN=canary"}); len(got) != 1 || strings.Contains(got[0], "canary") {
		t.Errorf("%q repeats the value", got)
	}
}

// A job that sets only DATABASE_URL would otherwise migrate SQLite without a warning.
func TestUnknown_warnsOfUnprefixedDatabaseURL(t *testing.T) {
	t.Parallel()
	got := config.Unknown([]string{"DATABASE_URL=postgres://canary@db/app"})
	if len(got) != 1 || !strings.HasPrefix(got[0], "DATABASE_URL is ignored") ||
		!strings.Contains(got[0], "TENANTRY_DATABASE_URL") || strings.Contains(got[0], "canary") {
		t.Errorf("%q", got)
	}
	for _, set := range []string{"TENANTRY_DATABASE_URL=postgres://db/app",
		"TENANTRY_DATABASE_URL_FILE=/run/secrets/url"} {
		if got := config.Unknown([]string{"DATABASE_URL=postgres://db/app", set}); len(got) > 0 {
			t.Errorf("%s: %q", set, got)
		}
	}
}

func TestUnknown_omitsSettingsServicesAndEmptyVariables(t *testing.T) {
	t.Parallel()
	environ := append(kubernetes(), "TENANTRY_LISTN=", "TENANTRY_LOAD_PASSWORD=x", "TENANTRY_OAUTH_GOOGLE_CLIENT_ID=x",
		"TENANTRY_SECRET_FILE=/run/x")
	for _, s := range settings {
		environ = append(environ, "TENANTRY_"+s.name+"="+s.other)
	}
	if got := config.Unknown(environ); len(got) > 0 {
		t.Errorf("%q", got)
	}
}
