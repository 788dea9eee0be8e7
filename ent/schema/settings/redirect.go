package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"tenantry/internal/weburl"
)

// MaxRedirectURI is the maximum length of a redirect URI, in bytes.
const MaxRedirectURI = 1000

var errRedirectURI = errors.New("is not an absolute URI in canonical form: https, http on this machine, or a " +
	"private-use scheme such as com.example.app, without user, fragment or dot segments")

// CheckRedirectURI fails for a URI that browsers and servers may parse differently, and for one
// that would send a code over the network without encryption. Plain http is accepted for loopback
// hosts (RFC 8252 §7.3), and a private-use scheme needs a dot (RFC 8252 §7.1). The error names the
// accepted form, if there is one.
func CheckRedirectURI(s string) error {
	err := checkRedirectURI(s)
	if err == nil || len(s) > MaxRedirectURI {
		return err
	}
	form, unreadable := weburl.Canonical(s)
	if unreadable != nil || form.User != nil {
		return err
	}
	form.Fragment, form.RawFragment = "", ""
	if text := form.String(); checkRedirectURI(text) == nil {
		return fmt.Errorf("is not in canonical form: write %s", text)
	}
	return err
}

func checkRedirectURI(s string) error {
	u, err := url.Parse(s)
	if err != nil || len(s) > MaxRedirectURI || u.String() != s || u.User != nil || u.Fragment != "" ||
		strings.ContainsAny(s, "#\\") {
		return errRedirectURI
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return errRedirectURI
		}
	}
	if !onePath(u) {
		return errRedirectURI
	}
	switch {
	case u.Scheme == "https" && wellFormedHost(u):
	case u.Scheme == "http" && wellFormedHost(u) && Loopback(u.Hostname()):
	case strings.Contains(u.Scheme, ".") && u.Opaque == "" && u.Host+u.Path != "":
	default:
		return errRedirectURI
	}
	return nil
}

// onePath reports whether all parsers agree on a path: it has no dot segments, and no encoded
// separator or control character.
func onePath(u *url.URL) bool {
	for segment := range strings.SplitSeq(u.Path, "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return false
		}
	}
	return !strings.ContainsAny(u.Path, "\\%") && !strings.ContainsFunc(u.Path, unicode.IsControl) &&
		!strings.Contains(strings.ToLower(u.EscapedPath()), "%2f")
}

// wellFormedHost reports whether the host is a name in lower case without a trailing dot, or an IP
// address in canonical form, and the port not the standard port of the scheme. An international
// name must be written as A-labels.
func wellFormedHost(u *url.URL) bool {
	host, port := u.Hostname(), u.Port()
	if n, err := strconv.ParseUint(port, 10, 16); port != "" &&
		(err != nil || n == 0 || strconv.FormatUint(n, 10) != port || n == standardPort[u.Scheme]) {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String() == host && ip.Zone() == "" && !ip.Is4In6() && !strings.HasSuffix(u.Host, ":")
	}
	return hostName.MatchString(host) && len(host) <= 253 && !strings.HasSuffix(u.Host, ":")
}

var standardPort = map[string]uint64{"https": 443, "http": 80}

// hostName matches labels of letters, digits and inner hyphens (RFC 1123 §2.1). The last label
// begins with a letter: browsers parse a host that ends in a number as an address (WHATWG URL
// §3.5).
var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Loopback reports whether a host is localhost or a loopback address.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
