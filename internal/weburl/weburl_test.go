package weburl_test

import (
	"testing"

	"tenantry/internal/weburl"
)

func TestCanonical_returnsTheFormThatClientsSend(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"https://id.acme.test":               "https://id.acme.test",
		"HTTPS://Id.Acme.Test:443/a":         "https://id.acme.test/a",
		"http://id.acme.test:80":             "http://id.acme.test",
		"https://id.acme.test:80":            "https://id.acme.test:80",
		"https://id.acme.test:08443":         "https://id.acme.test:8443",
		"https://id.acme.test/a/../b":        "https://id.acme.test/b",
		" https://id.acme.test ":             "https://id.acme.test",
		"https://bücher.example":             "https://xn--bcher-kva.example",
		"https://BÜCHER.example":             "https://xn--bcher-kva.example",
		"https://[2001:DB8:0:0:0:0:0:7]":     "https://[2001:db8::7]",
		"https://[::ffff:192.0.2.7]:8443/x":  "https://192.0.2.7:8443/x",
		"https://my_service:8443":            "https://my_service:8443",
		"chrome-extension://ABCDEF":          "chrome-extension://abcdef",
		"https://id.acme.test?query=1#there": "https://id.acme.test?query=1#there",
	} {
		if u, err := weburl.Canonical(given); err != nil || u.String() != want {
			t.Errorf("%q: %v, %v, want %s", given, u, err, want)
		}
	}
}

func TestCanonical_invalidURLIsRefused(t *testing.T) {
	t.Parallel()
	for _, given := range []string{
		"", "id.acme.test", "id.acme.test:8080", "/a", "https:", "https://", "https://:443", "mailto:ada@acme.test",
		"https://*.acme.test", "https://*",
		"https://a b", "https://127.1", "https://2130706433", "https://0x7f.1", "https://127.0.0.01", "https://a..b",
		"https://-a", "https://id.acme.test:0",
		"https://id.acme.test:99999", "https://id.acme.test:port", "https://[fe80::1%25eth0]", "https://id%41",
	} {
		if u, err := weburl.Canonical(given); err == nil {
			t.Errorf("%q: %v", given, u)
		}
	}
}

func TestOrigin_hasNoPath(t *testing.T) {
	t.Parallel()
	if got, err := weburl.Origin("https://user@App.Acme.test:443/a?b#c"); err != nil || got != "https://app.acme.test" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLocal_isCanonical(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", "0.0.0.0:8080": "http://localhost:8080",
		":8080": "http://localhost:8080", "[::]:80": "http://localhost",
		"192.0.2.7:80": "http://192.0.2.7", "[::1]:80": "http://[::1]", "[0:0::1]:8080": "http://[::1]:8080",
		"[::ffff:0.0.0.0]:1":   "http://localhost:1",
		"[::ffff:192.0.2.7]:1": "http://192.0.2.7:1", "MyHost:8080": "http://myhost:8080", "nowhere": "http://nowhere",
	} {
		if got := weburl.Local(listen); got != want {
			t.Errorf("%q: %q, want %q", listen, got, want)
		}
	}
}
