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
	purposeDevice       = "tenantry/device/v1"
	purposeCursor       = "tenantry/cursor/v1"
	purposeClientSecret = "tenantry/client-secret/v1"
	purposeShared       = "tenantry/shared/v1"
	purposeSharedScope  = "tenantry/shared-scope/v1"
)

// derive returns the 32-byte key of a purpose under each secret. The first is the one to use; the others belong to secrets
// that are still, or already, accepted.
func derive(secrets [][]byte, purpose string) ([][]byte, error) {
	keys := make([][]byte, 0, len(secrets))
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, secret, nil, purpose, sha256.Size)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}
