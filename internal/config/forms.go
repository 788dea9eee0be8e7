package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"tenantry/internal/weburl"
)

// unreadable returns the error of a text that cannot be parsed as a type, with the expected form.
func unreadable(t reflect.Type, text string) error {
	want := "a text"
	switch {
	case t == reflect.TypeFor[time.Duration]():
		want = "a duration such as 90s, 15m or 720h"
	case t == reflect.TypeFor[slog.Level]():
		want = "debug, info, warn or error"
	case t == reflect.TypeFor[[]netip.Prefix]():
		if err := checkNetworks(text); err != nil {
			return err
		}
		want = "a list of networks such as 10.0.0.0/8"
	case t.Kind() == reflect.Bool:
		want = "true or false"
	case t.Kind() == reflect.Int:
		want = "a whole number"
	case t.Kind() == reflect.Float64:
		want = "a number"
	}
	return fmt.Errorf("%q is not %s", text, want)
}

// checkNetworks refuses the first network of a list that is not in canonical form: client addresses
// are compared with that form.
func checkNetworks(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		network, err := netip.ParsePrefix(strings.TrimSpace(text))
		if ip, isAddress := netip.ParseAddr(strings.TrimSpace(text)); isAddress == nil && ip.Zone() == "" {
			network, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf("%q is not a network such as 10.0.0.0/8", text)
		}
		if form := canonicalNetwork(network).String(); form != text {
			return fmt.Errorf("%q is not a network in canonical form: write %s", text, form)
		}
	}
	return nil
}

// canonicalNetwork returns a network without host bits, and an IPv4-mapped one as IPv4: addresses
// of clients are unmapped.
func canonicalNetwork(n netip.Prefix) netip.Prefix {
	if bits := n.Bits() - 96; n.Addr().Is4In6() && bits >= 0 {
		n = netip.PrefixFrom(n.Addr().Unmap(), bits)
	}
	return n.Masked()
}

// joined returns networks as a comma-separated list.
func joined(networks []netip.Prefix) string {
	var texts []string
	for _, n := range networks {
		texts = append(texts, n.String())
	}
	return strings.Join(texts, ",")
}

// checkPublicURL refuses a public URL that is not in canonical form: issuers and redirect URIs are
// compared as strings.
func checkPublicURL(text string) error {
	u, err := weburl.Canonical(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("is not an http or https URL with a host such as https://id.example.com%s", reason(err))
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsUnspecified() {
		return fmt.Errorf("no client can send requests to %s: name the host that clients use", ip)
	}
	form := url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/"),
		RawPath: strings.TrimRight(u.RawPath, "/")}
	if form.String() == text {
		return nil
	}
	return fmt.Errorf("must be scheme, host and path in canonical form, without user, query, fragment and slash at "+
		"the end, since issuers are compared as strings: write %s", form.String())
}

// checkOrigin refuses an origin that is not in the form that browsers send.
func checkOrigin(text string) error {
	form, err := weburl.Origin(text)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not an origin such as https://app.example.com%s", withoutUserinfo(text), reason(err))
	case form != text:
		return fmt.Errorf("%q is not an origin as browsers send it: write %s", withoutUserinfo(text), form)
	}
	return nil
}

// withoutUserinfo returns a text without a part that may be a user and a password.
func withoutUserinfo(text string) string {
	if i := strings.LastIndex(text, "@"); i >= 0 {
		return "…" + text[i:]
	}
	return text
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return ": it " + err.Error()
}

// checkListen refuses a listen address without a numeric port: the public URL is derived from it.
func checkListen(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is not host:port", text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no port from 0 to 65535", text)
	}
	return nil
}

// checkCollector refuses a collector URL that cannot be called or that contains credentials.
func checkCollector(text string) error {
	u, err := weburl.Canonical(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.ForceQuery ||
		u.Fragment != "" {
		return errors.New("is not an http or https URL without user and query: credentials belong in " +
			"OTEL_EXPORTER_OTLP_HEADERS")
	}
	return nil
}
