package keyring

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Purpose is what a derived key is for. The server's secret signs and seals nothing itself: each
// purpose has a key of its own (RFC 5869), so that what one reveals is of no use to another.
type Purpose uint8

// The purposes are all that there are. A number that is none of them has no key.
const (
	// RefreshToken keys the MACs of refresh tokens.
	RefreshToken Purpose = iota + 1
	// SigningKey encrypts the private keys that sign access tokens.
	SigningKey
	// Throttle keys the IDs of counted attempts.
	Throttle
	// Device keys the MACs of device tokens.
	Device
	// Cursor keys the MACs of list cursors.
	Cursor
	// ClientSecret encrypts the secrets by which providers know the clients of tenants.
	ClientSecret

	shared
	sharedScope
)

// infos are the HKDF infos of the purposes. They never change: a new one loses what was made under
// the old one.
var infos = [...]string{
	RefreshToken: "tenantry/refresh-token/v1",
	SigningKey:   "tenantry/signing-key/v1",
	Throttle:     "tenantry/throttle/v1",
	Device:       "tenantry/device/v1",
	Cursor:       "tenantry/cursor/v1",
	ClientSecret: "tenantry/client-secret/v1",
	shared:       "tenantry/shared/v1",
	sharedScope:  "tenantry/shared-scope/v1",
}

// Keyring derives keys from the server's secrets.
type Keyring struct {
	// secrets begins with the current one. The others are still, or already, accepted.
	secrets [][]byte
}

// New returns the keyring of the server's secret, at least 32 bytes. What was made under the
// previous secret, if there is one, is accepted as well.
func New(secret, previous []byte) Keyring {
	if len(previous) == 0 {
		return Keyring{[][]byte{secret}}
	}
	return Keyring{[][]byte{secret, previous}}
}

// Keys returns the 32-byte key of a purpose under each secret. The first is the one to use; the
// others belong to secrets that are still, or already, accepted.
func (k Keyring) Keys(purpose Purpose) ([][]byte, error) {
	if purpose == 0 || int(purpose) >= len(infos) {
		return nil, fmt.Errorf("keyring: no purpose %d", purpose)
	}
	keys := make([][]byte, 0, len(k.secrets))
	for _, secret := range k.secrets {
		key, err := hkdf.Key(sha256.New, secret, nil, infos[purpose], sha256.Size)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Sharing returns what instances that have the current secret share cached values with: the sealer
// of the values, and the scope that their names begin with. Nobody else can read or make either.
func (k Keyring) Sharing() (seal *Sealer, scope string, err error) {
	current := Keyring{k.secrets[:1]}
	if seal, err = current.Sealer(shared); err != nil {
		return nil, "", err
	}
	keys, err := current.Keys(sharedScope)
	if err != nil {
		return nil, "", err
	}
	return seal, "tenantry:" + hex.EncodeToString(keys[0][:8]), nil
}
