package signing

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"

	"tenantry/internal/api"
)

// JWKS returns the public parts of every key, oldest first (RFC 7517, RFC 7518 §6, RFC 8037 §2).
func (k *Keys) JWKS() (api.JWKS, error) {
	set := api.JWKS{Keys: []api.JWK{}}
	for _, key := range k.current.Load().order {
		jwk, err := key.jwk()
		if err != nil {
			return api.JWKS{}, err
		}
		set.Keys = append(set.Keys, jwk)
	}
	return set, nil
}

func (k *Key) jwk() (api.JWK, error) {
	jwk := api.JWK{Use: api.Sig, Kid: k.ID, Alg: api.JWKAlg(k.Method.Alg())}
	switch public := k.Public.(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 0x04, x and y (SEC 1 §2.3.3)
		if err != nil {
			return jwk, fmt.Errorf("encode key %s: %w", k.ID, err)
		}
		half := len(point) / 2
		jwk.Kty, jwk.Crv, jwk.X, jwk.Y = api.EC, ptr("P-256"), b64(point[1:1+half]), b64(point[1+half:])
	case ed25519.PublicKey:
		jwk.Kty, jwk.Crv, jwk.X = api.OKP, ptr("Ed25519"), b64(public)
	case *rsa.PublicKey:
		jwk.Kty, jwk.N, jwk.E = api.RSA, b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	default:
		return jwk, fmt.Errorf("key %s is of unknown type %T", k.ID, public)
	}
	return jwk, nil
}

func b64(b []byte) *string { return ptr(base64.RawURLEncoding.EncodeToString(b)) }

func ptr[T any](v T) *T { return &v }
