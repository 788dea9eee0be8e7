package network

import "net/netip"

// Of returns the network of an address: an IPv6 client can use any address of its /64 (RFC 6177).
func Of(ip string) string { return prefix(ip, 64) }

// SiteOf returns the site of an address. An IPv6 site has a /48 (RFC 6177 §2).
func SiteOf(ip string) string { return prefix(ip, 48) }

// prefix returns the prefix of an IPv6 address, and any other address as it is.
func prefix(ip string, bits int) string {
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	if address = address.Unmap(); address.Is4() {
		return address.String()
	}
	of, _ := address.Prefix(bits) // fails only for more bits than an address has
	return of.String()
}
