package settings_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"tenantry/ent/schema/settings"
)

var acceptable = []string{
	"https://app.example.com", "https://app.example.com/", "https://app.example.com/signed-in?from=acme&x=%20y",
	"https://app.example.com:8443/a/b",
	"https://192.0.2.7/done", "https://[2001:db8::7]/done", "https://xn--bcher-kva.example/",
	"http://localhost:3000/done", "http://127.0.0.1/done",
	"http://[::1]:3000/", "com.example.app:/done", "com.example.app://host/done", "https://app.example.com/a..b",
}

var refused = []string{
	"", "/done", "done", "//app.example.com/done", "https:", "https:/", "https://", "https:///done",
	"https:app.example.com", "https://:443/",
	"http://app.example.com/done", "http://10.0.0.1/", "http://localhost.example.com/", "HTTPS://app.example.com/",
	"https://App.example.com/",
	"https://app.example.com./", "https://.example.com/", "https://app..example.com/", "https://*.example.com/",
	"https://bücher.example/",
	"https://user@app.example.com/", "https://user:secret@app.example.com/", "https://@app.example.com/",
	"https://app.example.com/#", "https://app.example.com/#done",
	"https://app.example.com\\@evil.test/", "https:\\\\app.example.com/", "https://app.example.com/a/../b",
	"https://app.example.com/%2e%2e/b",
	"https://app.example.com/.", "https://app.example.com/./b", "https://app.example.com:/",
	"https://app.example.com:port/", "https://app.example.com/a b",
	"https://app.example.com/\r\nLocation: https://evil.test", "https://app.example.com/\x00",
	"https://app.example.com/%zz", " https://app.example.com/",
	"https://app.example.com/ ", "https://[fe80::1%25eth0]/", "javascript:alert(1)", "data:text/html,x",
	"file:///etc/passwd", "urn:ietf:wg:oauth:2.0:oob",
	"https://app.example.com:443/", "http://localhost:80/", "https://app.example.com:0/",
	"https://app.example.com:99999/", "https://app.example.com:08443/",
	"http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/", "https://127.1/", "https://0x7f.1/",
	"https://2130706433/", "https://-a.example/", "https://a-.example/",
	"https://" + strings.Repeat("a", 64) + ".example/", "https://app.example.com/..;/b", "https://app.example.com/.;x",
	"https://app.example.com/a%2f..%2fb",
	"https://app.example.com/a%2Fb", "https://app.example.com/%5c..%5c", "https://app.example.com/%00",
	"https://app.example.com/%0d%0aX", "https://app.example.com/%252f",
	"a.b:", "myapp:/done", "com.example.app:done", "https://app.example.com/" +
		strings.Repeat("a", settings.MaxRedirectURI),
}

func TestCheckRedirectURI_acceptsCanonicalFormOnly(t *testing.T) {
	t.Parallel()
	for _, s := range acceptable {
		if err := settings.CheckRedirectURI(s); err != nil {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range refused {
		if err := settings.CheckRedirectURI(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

// FuzzRedirectURI checks the properties of accepted redirect URIs.
func FuzzRedirectURI(f *testing.F) {
	for _, s := range append(acceptable, refused...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if settings.CheckRedirectURI(s) != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.String() != s || !u.IsAbs() || u.User != nil || u.Opaque != "" {
			t.Fatalf("%q is accepted", s)
		}
		if ip, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" &&
			(err != nil || !ip.IsLoopback()) {
			t.Errorf("%q sends the code over the network without encryption", s)
		}
		if host, _, _ := strings.Cut(strings.TrimPrefix(s, "https://"), "/"); u.Scheme == "https" &&
			!strings.HasPrefix(host, u.Host) {
			t.Errorf("%q has another host for a parser that reads up to the first slash", s)
		}
		if base, err := url.Parse("https://id.example.com/api/"); err != nil || base.ResolveReference(u).String() != s {
			t.Errorf("%q changes when it is resolved", s)
		}
	})
}

func TestCheckRedirectURI_errorNamesTheAcceptedForm(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"https://App.example.com/done":     "write https://app.example.com/done",
		"https://app.example.com:443/":     "write https://app.example.com/",
		"https://app.example.com/#":        "write https://app.example.com/",
		"https://app.example.com/a/../b":   "write https://app.example.com/b",
		"https://bücher.example/":          "write https://xn--bcher-kva.example/",
		"http://[0:0:0:0:0:0:0:1]/":        "write http://[::1]/",
		"http://[::ffff:127.0.0.1]/":       "write http://127.0.0.1/",
		" https://app.example.com/done ":   "write https://app.example.com/done",
		"http://app.example.com/":          "absolute URI",
		"https://ada:hunter2@example.com/": "absolute URI",
	} {
		if err := settings.CheckRedirectURI(given); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", given, err, want)
		}
	}
	for _, given := range refused {
		_, form, named := strings.Cut(settings.CheckRedirectURI(given).Error(), "write ")
		if named && settings.CheckRedirectURI(form) != nil {
			t.Errorf("%q: the form %q is refused too", given, form)
		}
	}
}
