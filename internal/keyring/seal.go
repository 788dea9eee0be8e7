package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
)

// ErrSealed is the error of a value that none of the server's secrets decrypts.
var ErrSealed = errors.New("it was sealed under another TENANTRY_SECRET, or for another row")

// Sealer encrypts stored secrets with AES-256-GCM, so that the database alone does not disclose
// them. A value begins with its random nonce. The ID of the row is additional authenticated data.
// The keys are derived from the server's secrets.
type Sealer struct {
	// aeads has one cipher for each secret. All of them decrypt; the first, that of the current
	// secret, also encrypts.
	aeads []cipher.AEAD
}

// Sealer returns the sealer of a purpose. It encrypts with the current secret and decrypts with each.
func (k Keyring) Sealer(purpose Purpose) (*Sealer, error) {
	keys, err := k.Keys(purpose)
	if err != nil {
		return nil, fmt.Errorf("derive the sealing key: %w", err)
	}
	s := &Sealer{}
	for _, key := range keys {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		s.aeads = append(s.aeads, aead)
	}
	return s, nil
}

// Seal encrypts a value of a row.
func (s *Sealer) Seal(plain []byte, row string) []byte {
	return s.aeads[0].Seal(nil, nil, plain, []byte(row)) //nolint:gosec // the AEAD generates the nonce
}

// Renew encrypts a value of a row again, with the current secret. It returns nil if the value is
// already encrypted with it, or if no secret decrypts the value: call Open for the error.
func (s *Sealer) Renew(sealed []byte, row string) []byte {
	plain, old, err := s.Open(sealed, row)
	if err != nil || !old {
		return nil
	}
	return s.Seal(plain, row)
}

// Rotating reports whether there is a previous secret, with which rows may be encrypted.
func (s *Sealer) Rotating() bool { return len(s.aeads) > 1 }

// Open decrypts a value of a row. old reports whether it was encrypted with the previous secret.
// Open fails with ErrSealed if no secret decrypts it, or if it belongs to another row.
func (s *Sealer) Open(sealed []byte, row string) (plain []byte, old bool, err error) {
	for i, aead := range s.aeads {
		if plain, err = aead.Open(nil, nil, sealed, []byte(row)); err == nil {
			return plain, i > 0, nil
		}
	}
	return nil, false, ErrSealed
}
