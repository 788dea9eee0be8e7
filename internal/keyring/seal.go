package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
)

// ErrSealed is the error of a value that none of the server's secrets decrypts.
var ErrSealed = errors.New("it was sealed under another TENANTRY_SECRET")

// Sealer encrypts what must be stored and never read from the database alone: AES-256-GCM with a
// random nonce in front, bound to the name of the row, under keys derived from the server's
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

// Seal encrypts what belongs to the row of a name.
func (s *Sealer) Seal(plain []byte, name string) []byte {
	return s.aeads[0].Seal(nil, nil, plain, []byte(name)) //nolint:gosec // the AEAD makes its own nonce
}

// Renew seals anew what was sealed for the row of a name under an older secret. It returns nil if
// there is nothing to do: if that was today's, or none that is known, of which those hear who want
// to open it.
func (s *Sealer) Renew(sealed []byte, name string) []byte {
	plain, old, err := s.Open(sealed, name)
	if err != nil || !old {
		return nil
	}
	return s.Seal(plain, name)
}

// Rotating reports whether there is an older secret, under which rows may be sealed.
func (s *Sealer) Rotating() bool { return len(s.aeads) > 1 }

// Open returns what was sealed for the row of a name, and whether that was under an older secret.
// It fails with ErrSealed if that was under neither, or for another row.
func (s *Sealer) Open(sealed []byte, name string) (plain []byte, old bool, err error) {
	for i, aead := range s.aeads {
		if plain, err = aead.Open(nil, nil, sealed, []byte(name)); err == nil {
			return plain, i > 0, nil
		}
	}
	return nil, false, ErrSealed
}
