package keyring

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Purpose is the purpose of a derived key. Each purpose has a separate key (RFC 5869), so that a
// disclosed key is useless for another purpose. The server's secret itself signs and seals nothing.
type Purpose uint8

// The purposes. Keys fails for any other number.
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
	// ClientSecret encrypts the client secrets of the tenants' providers.
	ClientSecret

	shared
	sharedScope
)

// infos are the HKDF infos of the purposes. They must not change: with another info, stored values
// cannot be verified or decrypted.
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
	// secrets begins with the current one. Values of the others are accepted too.
	secrets [][]byte
}

// New returns the keyring of the server's secret, which has at least 32 bytes. It also accepts
// values of the previous secret, which may be empty.
func New(secret, previous []byte) Keyring {
	if len(previous) == 0 {
		return Keyring{[][]byte{secret}}
	}
	return Keyring{[][]byte{secret, previous}}
}

// Keys returns the 32-byte key of a purpose under each secret. The first is the key for new values;
// the others verify or decrypt existing ones.
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

// Sharing returns the sealer of cache entries that instances with the current secret share, and the
// prefix of their names. Without the secret, a program can neither read nor create such entries.
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
