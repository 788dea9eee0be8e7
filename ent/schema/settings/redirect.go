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

// MaxRedirectURI is the length of the longest address that is accepted, in bytes.
const MaxRedirectURI = 1000

var errRedirectURI = errors.New("is not an absolute URI that is written in one way only: https, http on this " +
	"machine, or a scheme of your own such as com.example.app, without user, fragment or dots in the path")

// CheckRedirectURI refuses what browsers and servers may read differently, and what would send a
// code over the network in the clear. Plain http may lead to this machine (RFC 8252 §7.3), and a
// scheme of one's own needs a dot (RFC 8252 §7.1). The error names the form that would be accepted,
// if there is one.
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
		return fmt.Errorf("is not in the one form in which it is compared: write %s", text)
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

// onePath reports whether a path means the same to everybody: nothing to resolve, and no separator
// or control character in disguise.
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

// wellFormedHost reports whether the host is a name in lower case without a dot at the end, or an
// address in its own spelling, and the port one that is not the scheme's. An international name is
// written as its A-labels.
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

// hostName is labels of letters, digits and inner hyphens (RFC 1123 §2.1), the last of which begins
// with a letter: what ends in a number is an address to some (WHATWG URL §3.5).
var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Loopback reports whether a host is this machine.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
