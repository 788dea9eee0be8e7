package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

// sealer encrypts what must be stored and never read from the database alone: AES-256-GCM with a random nonce in front,
// bound to the name of the row, under a key derived from the server's secret.
type sealer struct{ aead cipher.AEAD }

func newSealer(secret []byte) (*sealer, error) {
	key, err := derive(secret, purposeSigningKey)
	if err != nil {
		return nil, fmt.Errorf("derive the sealing key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead}, nil
}

func (s *sealer) seal(plain []byte, name string) []byte {
	return s.aead.Seal(nil, nil, plain, []byte(name)) //nolint:gosec // the AEAD makes its own nonce
}

func (s *sealer) open(sealed []byte, name string) ([]byte, error) {
	return s.aead.Open(nil, nil, sealed, []byte(name))
}
