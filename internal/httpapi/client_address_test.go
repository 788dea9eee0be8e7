package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// clientOf returns the address that a request is logged with.
func clientOf(t *testing.T, opts func(*setup), peer string, headers map[string][]string) string {
	t.Helper()
	a := start(t, opts)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, mePath, http.NoBody)
	r.RemoteAddr = peer
	for name, values := range headers {
		r.Header[name] = values
	}
	a.served.ServeHTTP(httptest.NewRecorder(), r)
	lines := a.lines("request")
	if len(lines) != 1 {
		t.Fatalf("logged %v", lines)
	}
	ip, _ := lines[0]["ip"].(string)
	return ip
}

func TestClientAddress_comesFromXForwardedFor(t *testing.T) {
	t.Parallel()
	trusting := func(s *setup) { s.TrustedProxies = prefixes("10.0.0.0/8", "2001:db8:10::/48") }
	for name, test := range map[string]struct {
		peer string
		said []string
		want string
	}{
		"address":           {"10.0.0.1:9", []string{"198.51.100.7"}, "198.51.100.7"},
		"port":              {"10.0.0.1:9", []string{"198.51.100.7:52311"}, "198.51.100.7"},
		"ipv6":              {"10.0.0.1:9", []string{"2001:DB8::7"}, "2001:db8::7"},
		"brackets":          {"10.0.0.1:9", []string{"[2001:db8::7]"}, "2001:db8::7"},
		"brackets_and_port": {"10.0.0.1:9", []string{"[2001:db8::7]:52311"}, "2001:db8::7"},
		"mapped":            {"10.0.0.1:9", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		"mapped_with_port":  {"10.0.0.1:9", []string{"[::ffff:198.51.100.7]:1"}, "198.51.100.7"},
		"mapped_peer":       {"[::ffff:10.0.0.1]:9", []string{"198.51.100.7"}, "198.51.100.7"},
		"proxies_with_ports": {"10.0.0.1:9", []string{"198.51.100.7:1, 10.0.0.2:2,[2001:db8:10::3]:3"},
			"198.51.100.7"},
		"mapped_proxy":                     {"10.0.0.1:9", []string{"198.51.100.7, ::ffff:10.0.0.2"}, "198.51.100.7"},
		"forged_before_what_was_appended":  {"10.0.0.1:9", []string{"203.0.113.1, 198.51.100.7:1"}, "198.51.100.7"},
		"forged_line_before_the_proxy_s":   {"10.0.0.1:9", []string{"203.0.113.1", "198.51.100.7"}, "198.51.100.7"},
		"only_proxies":                     {"10.0.0.1:9", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"unknown_counts_as_the_last_proxy": {"10.0.0.1:9", []string{"203.0.113.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		"port_out_of_range":                {"10.0.0.1:9", []string{"198.51.100.7:99999"}, "10.0.0.1"},
		"empty":                            {"10.0.0.1:9", []string{""}, "10.0.0.1"},
		"none":                             {"10.0.0.1:9", nil, "10.0.0.1"},
		"peer_that_is_no_proxy":            {"192.0.2.1:9", []string{"198.51.100.7"}, "192.0.2.1"},
		"peer_with_zone":                   {"[fe80::1%eth0]:9", []string{"198.51.100.7"}, "fe80::1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := clientOf(t, trusting, test.peer,
				map[string][]string{"X-Forwarded-For": test.said}); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestClientAddress_withoutProxiesIsRemoteAddress(t *testing.T) {
	t.Parallel()
	for peer, want := range map[string]string{
		"192.0.2.1:9": "192.0.2.1", "[::ffff:192.0.2.1]:9": "192.0.2.1", "[2001:DB8::1]:9": "2001:db8::1",
		"[fe80::1%eth0]:9": "fe80::1",
	} {
		headers := map[string][]string{"X-Forwarded-For": {"198.51.100.7"}, "Forwarded": {"for=198.51.100.7"},
			"X-Real-Ip": {"198.51.100.7"}}
		if got := clientOf(t, func(*setup) {}, peer, headers); got != want {
			t.Errorf("%s: %s, want %s", peer, got, want)
		}
	}
}

func TestClientAddress_proxyNetworkInMappedFormIsIPv4(t *testing.T) {
	t.Parallel()
	trusting := func(s *setup) { s.TrustedProxies = prefixes("::ffff:10.0.0.0/104") }
	if got := clientOf(t, trusting, "10.0.0.1:9",
		map[string][]string{"X-Forwarded-For": {"198.51.100.7"}}); got != "198.51.100.7" {
		t.Errorf("%s", got)
	}
}

func TestClientAddress_comesFromForwardedWhereConfigured(t *testing.T) {
	t.Parallel()
	trusting := func(s *setup) {
		s.TrustedProxies, s.ProxyHeader = prefixes("10.0.0.0/8", "2001:db8:10::/48"), "Forwarded"
	}
	for name, test := range map[string]struct {
		said []string
		want string
	}{
		"address": {[]string{"for=198.51.100.7"}, "198.51.100.7"},
		"case_and_other_parameters": {[]string{"proto=https; FOR=198.51.100.7;by=10.0.0.1;host=\"a,b;c\""},
			"198.51.100.7"},
		"port":            {[]string{`for="198.51.100.7:4711"`}, "198.51.100.7"},
		"obfuscated_port": {[]string{`for="[2001:db8::7]:_x1"`}, "2001:db8::7"},
		"ipv6":            {[]string{`for="[2001:db8::7]:4711"`}, "2001:db8::7"},
		"proxies": {[]string{`for=203.0.113.1, for=198.51.100.7;proto=http, for="[2001:db8:10::3]"`},
			"198.51.100.7"},
		"forged_line":                {[]string{"for=203.0.113.1", "for=198.51.100.7"}, "198.51.100.7"},
		"unknown":                    {[]string{"for=203.0.113.1, for=unknown"}, "10.0.0.1"},
		"obfuscated":                 {[]string{"for=203.0.113.1, for=_hidden"}, "10.0.0.1"},
		"element_without_for":        {[]string{"for=203.0.113.1, proto=https"}, "10.0.0.1"},
		"quote_that_is_never_closed": {[]string{`for="203.0.113.1, for=198.51.100.7`}, "10.0.0.1"},
		"quote_that_swallows":        {[]string{`for="x, for="[2001:db8::7]"`}, "10.0.0.1"},
		"escape_that_swallows":       {[]string{`for="\, for="[2001:db8::7]"`}, "10.0.0.1"},
		"nothing":                    {nil, "10.0.0.1"},
		"empty":                      {[]string{""}, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := map[string][]string{"Forwarded": test.said, "X-Forwarded-For": {"203.0.113.99"}}
			if got := clientOf(t, trusting, "10.0.0.1:9", headers); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// A proxy that sets one field passes the other on as the client sent it.
func TestClientAddress_ignoresForwardedByDefault(t *testing.T) {
	t.Parallel()
	trusting := func(s *setup) { s.TrustedProxies = prefixes("10.0.0.0/8") }
	headers := map[string][]string{"Forwarded": {"for=203.0.113.1"}, "X-Forwarded-For": {"198.51.100.7"},
		"X-Real-Ip": {"203.0.113.2"}}
	if got := clientOf(t, trusting, "10.0.0.1:9", headers); got != "198.51.100.7" {
		t.Errorf("%s", got)
	}
}
