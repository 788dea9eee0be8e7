package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// The header fields in which a proxy may name the client.
const (
	xForwardedFor = "X-Forwarded-For"
	forwarded     = "Forwarded" // RFC 7239
)

// clientAddress returns the address of the client: the remote address of the socket, or the address
// that trusted proxies report. It walks the reported addresses from the last, which the nearest
// proxy has added, to the first that is not a trusted proxy. Addresses before that one may be
// forged. An IPv4-mapped address is returned as IPv4, without port and zone, so that each client
// has one spelling.
func (r *router) clientAddress(req *http.Request) string {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		return ""
	}
	if len(r.proxies) == 0 && !strings.Contains(host, ":") {
		return host
	}
	client, ok := parseAddress(host)
	if !ok {
		return ""
	}
	if !r.trusts(client) {
		return client.String()
	}
	reported := r.reportedAddresses(req.Header)
	for i := len(reported) - 1; i >= 0 && r.trusts(client); i-- {
		next, ok := parseAddress(reported[i])
		if !ok {
			break // "unknown", an obfuscated identifier or an invalid address
		}
		client = next
	}
	return client.String()
}

// trusts reports whether an address is a trusted proxy's.
func (r *router) trusts(address netip.Addr) bool {
	for _, p := range r.proxies {
		if p.Contains(address) {
			return true
		}
	}
	return false
}

// reportedAddresses returns the client addresses in the header of the proxies, in order. Several
// fields of one name are one list (RFC 9110 §5.3).
func (r *router) reportedAddresses(header http.Header) []string {
	if r.ProxyHeader == forwarded {
		var reported []string
		for _, field := range header[forwarded] {
			reported = append(reported, forwardedFor(field)...)
		}
		return reported
	}
	return strings.Split(strings.Join(header[xForwardedFor], ","), ",")
}

// parseAddress parses an address, with or without a port, and IPv6 with or without brackets:
// 192.0.2.1:4711, [2001:db8::1], 2001:db8::1.
func parseAddress(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if at := strings.LastIndex(text, ":_"); at >= 0 { // an obfuscated port (RFC 7239 §6.3)
		text = text[:at]
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(text)
		address = withPort.Addr()
	}
	if inner, found := strings.CutPrefix(text, "["); err != nil && found && strings.HasSuffix(inner, "]") {
		address, err = netip.ParseAddr(strings.TrimSuffix(inner, "]"))
	}
	return address.Unmap().WithZone(""), err == nil
}

// forwardedFor returns the parameter "for" of each element of a Forwarded field, or "" for an
// element without it. A field with an unclosed quote yields one "": the client may have sent the
// quote, and the proxy appended to it.
func forwardedFor(field string) []string {
	nodes, node, ok := []string(nil), "", true
	for rest := field; ok; {
		var pair string
		var end byte
		if pair, rest, end, ok = cutForwarded(rest); !ok {
			return []string{""}
		}
		if name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.EqualFold(name, "for") {
			node = strings.Trim(value, `"`)
		}
		if end != ';' {
			nodes, node = append(nodes, node), ""
		}
		if end == 0 {
			break
		}
	}
	return nodes
}

// cutForwarded cuts a field at the first semicolon or comma outside of quotes. end is that
// separator, 0 at the end of the field. ok is false if a quote is not closed.
func cutForwarded(field string) (pair, rest string, end byte, ok bool) {
	quoted := false
	for i := 0; i < len(field); i++ {
		switch c := field[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case (c == ';' || c == ',') && !quoted:
			return field[:i], field[i+1:], c, true
		}
	}
	return field, "", 0, !quoted
}

// unmapped returns the prefixes masked, and IPv4-mapped prefixes as IPv4.
func unmapped(prefixes []netip.Prefix) []netip.Prefix {
	compared := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		compared = append(compared, p.Masked())
	}
	return compared
}
