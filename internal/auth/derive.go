package auth

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// The server's secret signs and seals nothing itself: each use has a key of its own (RFC 5869), so that what one reveals is
// of no use to another.
const (
	purposeRefreshToken = "tenantry/refresh-token/v1"
	purposeSigningKey   = "tenantry/signing-key/v1"
	purposeThrottle     = "tenantry/throttle/v1"
)

// derive returns the 32-byte key of a purpose.
func derive(secret []byte, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, purpose, sha256.Size)
}
