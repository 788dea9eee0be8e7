package network

import "net/netip"

// Of returns what an address is counted by: a customer of IPv6 has a whole /64 to write from (RFC
// 6177).
func Of(ip string) string { return prefix(ip, 64) }

// SiteOf returns the site of an address. An IPv6 site has a /48 (RFC 6177 §2).
func SiteOf(ip string) string { return prefix(ip, 48) }

// prefix returns the prefix of an IPv6 address, and any other address whole.
func prefix(ip string, bits int) string {
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	if address = address.Unmap(); address.Is4() {
		return address.String()
	}
	of, _ := address.Prefix(bits) // within the bits of every IPv6 address
	return of.String()
}
