// Package keyring derives every key of the server from its secret, and encrypts secrets that are
// stored.
//
//	current and previous server secret → HKDF, one purpose each → keys (MACs) and Sealers (AES-256-GCM)
//
// To rotate the server secret, the operator configures the old one as the previous secret: keys of
// both are accepted, and new values use the current one. The package does not know the values that
// are signed or sealed, or where they are stored.
package keyring
