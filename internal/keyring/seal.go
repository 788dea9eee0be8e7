package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
)

// ErrSealed is the error of a value that none of the server's secrets decrypts.
var ErrSealed = errors.New("it was sealed under another TENANTRY_SECRET")

// Sealer encrypts stored secrets, so that the database alone does not disclose them: AES-256-GCM
// with a random nonce as prefix, bound to the name of the row, under keys derived from the server's
// secrets.
type Sealer struct {
	// aeads open; the first also seals.
	aeads []cipher.AEAD
}

// Sealer returns the sealer of a purpose: it seals under the current secret, and opens under each.
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

// Seal encrypts a value of the named row.
func (s *Sealer) Seal(plain []byte, name string) []byte {
	return s.aeads[0].Seal(nil, nil, plain, []byte(name)) //nolint:gosec // the AEAD generates the nonce
}

// Renew reseals a value of the named row under the current secret. It returns nil if the value is
// already sealed under it, and for a value that no secret decrypts: Open returns the error of that.
func (s *Sealer) Renew(sealed []byte, name string) []byte {
	plain, old, err := s.Open(sealed, name)
	if err != nil || !old {
		return nil
	}
	return s.Seal(plain, name)
}

// Rotating reports whether there is a previous secret, under which rows may be sealed.
func (s *Sealer) Rotating() bool { return len(s.aeads) > 1 }

// Open decrypts a value of the named row. old reports whether it was sealed under the previous
// secret. Open fails with ErrSealed if no secret decrypts it, or if it belongs to another row.
func (s *Sealer) Open(sealed []byte, name string) (plain []byte, old bool, err error) {
	for i, aead := range s.aeads {
		if plain, err = aead.Open(nil, nil, sealed, []byte(name)); err == nil {
			return plain, i > 0, nil
		}
	}
	return nil, false, ErrSealed
}
