package settings

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// MaxRedirectURI is the length of the longest address that is accepted, in bytes.
const MaxRedirectURI = 2000

var errRedirectURI = errors.New("is not an absolute URI that is written in one way only: https, http on this machine, or a scheme of your own such as com.example.app, without user, fragment or dots in the path")

// CheckRedirectURI refuses what browsers and servers may read differently, and what would send a code over the network in the
// clear. Plain http may lead to this machine (RFC 8252 §7.3), and a scheme of one's own needs a dot (RFC 8252 §7.1).
func CheckRedirectURI(s string) error {
	u, err := url.Parse(s)
	if err != nil || len(s) > MaxRedirectURI || u.String() != s || u.User != nil || u.Fragment != "" || strings.ContainsAny(s, "#\\") {
		return errRedirectURI
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return errRedirectURI
		}
	}
	for segment := range strings.SplitSeq(strings.ReplaceAll(strings.ToLower(u.EscapedPath()), "%2e", "."), "/") {
		if segment == "." || segment == ".." {
			return errRedirectURI
		}
	}
	switch {
	case u.Scheme == "https" && wellFormedHost(u):
	case u.Scheme == "http" && wellFormedHost(u) && loopback(u.Hostname()):
	case strings.Contains(u.Scheme, ".") && u.Opaque == "":
	default:
		return errRedirectURI
	}
	return nil
}

// wellFormedHost reports whether the host is a name in lower case without a dot at the end, or an address. An international
// name is written as its A-labels.
func wellFormedHost(u *url.URL) bool {
	host := u.Hostname()
	if host == "" || strings.HasSuffix(u.Host, ":") {
		return false
	}
	if strings.HasPrefix(u.Host, "[") {
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.Zone() == ""
	}
	return strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" && !strings.HasPrefix(host, ".") &&
		!strings.HasSuffix(host, ".") && !strings.Contains(host, "..")
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
