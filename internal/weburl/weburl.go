package weburl

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

var (
	errURL  = errors.New("is not an absolute URL")
	errHost = errors.New("has no valid host name or address")
	errPort = errors.New("has no valid port")
)

// standardPorts are omitted from URLs of their scheme (WHATWG URL §4.4).
var standardPorts = map[string]uint64{"http": 80, "https": 443}

// hostName is a host name in lower case. It accepts underscores, which are not valid in host names,
// since container networks resolve them.
var hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?\.?$`)

// Canonical returns an absolute URL in the form that clients send: scheme and host in lower case,
// an international name as A-labels, an IP address in its canonical form, without the standard port
// of the scheme, without dot segments. It keeps user, query and fragment.
func Canonical(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Scheme == "" || u.Host == "" || u.Opaque != "" {
		return nil, errURL // the error of url.Parse contains the value, which may have a password
	}
	given := u.Port()
	host, err := canonicalHost(u.Hostname())
	if err != nil {
		return nil, err
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	u.Host = host
	if given != "" {
		port, err := strconv.ParseUint(given, 10, 16)
		if err != nil || port == 0 {
			return nil, errPort
		}
		if port != standardPorts[u.Scheme] {
			u.Host += ":" + strconv.FormatUint(port, 10)
		}
	}
	if u.Path != "" {
		u = u.JoinPath()
	}
	return u, nil
}

// Origin returns the origin of a URL: scheme, host and port.
func Origin(s string) (string, error) {
	u, err := Canonical(s)
	if err != nil {
		return "", err
	}
	return u.Scheme + "://" + u.Host, nil
}

// Local returns the URL of a listen address for clients on the same machine.
func Local(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "" || (err == nil && ip.Unmap().IsUnspecified()):
		host = "localhost"
	case err == nil:
		host = ip.Unmap().String()
	default:
		host = strings.ToLower(host)
	}
	if port == strconv.FormatUint(standardPorts["http"], 10) {
		return strings.TrimSuffix("http://"+net.JoinHostPort(host, ""), ":")
	}
	return "http://" + net.JoinHostPort(host, port)
}

// canonicalHost returns a host name or address in the form that clients send.
func canonicalHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return "", errHost
		}
		return ip.Unmap().String(), nil
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r > '~' }) {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", errHost
		}
		host = ascii
	}
	host = strings.ToLower(host)
	last := host[strings.LastIndex(strings.TrimSuffix(host, "."), ".")+1:]
	if !hostName.MatchString(host) || strings.Contains(host, "..") || len(host) > 253 || number.MatchString(last) {
		return "", errHost
	}
	return host, nil
}

// number matches a last label with which browsers parse a host as an IPv4 address (WHATWG URL
// §3.5).
var number = regexp.MustCompile(`^([0-9]+|0x[0-9a-f]*)\.?$`)
