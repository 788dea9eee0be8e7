// Package keyring derives every key of the server from its secret, and encrypts secrets that are
// stored.
//
//	current and previous server secret → HKDF, one purpose each → keys (MACs) and Sealers (AES-256-GCM)
//
// The server secret is rotated by naming the old one as the previous: keys of both are accepted,
// and the current one makes what is new. The package does not know what is signed or sealed, or
// where it is stored.
package keyring
