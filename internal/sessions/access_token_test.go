package sessions

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/signingkey"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/keyring"
	"tenantry/internal/principal"
	"tenantry/internal/signing"
)

const testIssuer = "https://id.acme.test"

func testUser() *ent.User { return &ent.User{ID: uuid.New(), TenantID: uuid.New()} }

// signingKeys opens the signing keys k1, k2 and so on, of which the first signs and the others
// verify.
func signingKeys(t testing.TB, clock func() time.Time, private ...crypto.Signer) *signing.Keys {
	t.Helper()
	db, ring := dbtest.Open(t, dbtest.SQLite(t)), keyring.New([]byte("a secret for tests"), nil)
	seal, err := ring.Sealer(keyring.SigningKey)
	if err != nil {
		t.Fatal(err)
	}
	ctx := principal.System(t.Context(), "test")
	for i, key := range private {
		public, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		kid, alg := fmt.Sprint("k", i+1), signingkey.AlgES256
		switch key.(type) {
		case ed25519.PrivateKey:
			alg = signingkey.AlgEdDSA
		case *rsa.PrivateKey:
			alg = signingkey.AlgRS256
		}
		create := db.Client.SigningKey.Create().SetKid(kid).SetAlg(alg).SetPublicKey(public).
			SetPrivateKey(seal.Seal(der, kid)).
			SetState(signingkey.StateActive).SetNotBefore(clock())
		if i > 0 {
			create.SetState(signingkey.StateRetiring).SetRetireAt(clock().Add(time.Hour))
		}
		create.ExecX(ctx)
	}
	keys, err := signing.Open(t.Context(), db.Client, signing.Options{Keyring: ring, Algorithm: "ES256",
		Rotation: time.Hour, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// testTokens issues tokens under a key of its own, and verifies those of others too.
func testTokens(t *testing.T, now time.Time, others ...crypto.Signer) (*accessTokens, *ecdsa.PrivateKey) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return now }
	keys := signingKeys(t, clock, append([]crypto.Signer{private}, others...)...)
	return newAccessTokens(keys, Options{Issuer: testIssuer, Clock: clock}), private
}

// presented is an access token that differs from an issued one in the header, the claims, the method
// or the key. ok says that it is valid.
type presented struct {
	header, claims map[string]any
	method         jwt.SigningMethod
	key            any
	ok             bool
}

func TestVerify(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	a, private := testTokens(t, now, other)
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	asJWK, err := json.Marshal(jose.JSONWebKey{Key: private.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	type claims = map[string]any
	tests := map[string]presented{
		"an ID token":                      {header: claims{"typ": "JWT"}},
		"without typ":                      {header: claims{"typ": nil}},
		"without kid":                      {header: claims{"kid": nil}},
		"kid is a path":                    {header: claims{"kid": "../../dev/null"}},
		"kid is SQL":                       {header: claims{"kid": "' OR 1=1 --"}},
		"with jwk":                         {header: claims{"jwk": claims{"kty": "EC"}}},
		"with jku":                         {header: claims{"jku": "http://127.0.0.1/keys"}},
		"with x5u":                         {header: claims{"x5u": "http://127.0.0.1/cert"}},
		"with x5c":                         {header: claims{"x5c": []string{"MIIB"}}},
		"with crit":                        {header: claims{"crit": []string{"exp"}}},
		"alg none":                         {method: jwt.SigningMethodNone, key: jwt.UnsafeAllowNoneSignatureType},
		"HS256 under the public key":       {method: jwt.SigningMethodHS256, key: der},
		"HS256 under the public key's PEM": {method: jwt.SigningMethodHS256, key: asPEM},
		"HS256 under the public key's JWK": {method: jwt.SigningMethodHS256, key: asJWK},
		"RS256 under the kid of ES256":     {method: jwt.SigningMethodRS256, key: other},
		"ES256 under the kid of RS256":     {header: claims{"kid": "k2"}},
		"RS256 under the kid of RS256": {header: claims{"kid": "k2"}, method: jwt.SigningMethodRS256, key: other,
			ok: true},
		"PS256 under the kid of RS256":     {header: claims{"kid": "k2"}, method: jwt.SigningMethodPS256, key: other},
		"HS256 under an empty key":         {method: jwt.SigningMethodHS256, key: []byte{}},
		"another key with the same kid":    {key: func() any { _, other := testTokens(t, now); return other }()},
		"another algorithm than the kid's": {method: jwt.SigningMethodHS512, key: der},
	}
	maps.Copy(tests, presentedClaims(now))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signed := test.sign(t, now, private)
			if _, err := a.verify(t.Context(), signed); (err == nil) != test.ok {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

// presentedClaims are tokens with other claims than issued ones.
func presentedClaims(now time.Time) map[string]presented {
	type claims = map[string]any
	return map[string]presented{
		"as issued": {ok: true},
		"expired within the leeway": {claims: claims{"exp": now.Add(-29 * time.Second).Unix(),
			"iat": now.Add(-5 * time.Minute).Unix()}, ok: true},
		"expired": {claims: claims{"exp": now.Add(-31 * time.Second).Unix(),
			"iat": now.Add(-5 * time.Minute).Unix()}},
		"expired a minute ago": {claims: claims{"exp": now.Add(-61 * time.Second).Unix(),
			"iat": now.Add(-5 * time.Minute).Unix()}},
		"without exp":              {claims: claims{"exp": nil}},
		"exp is text":              {claims: claims{"exp": "never"}},
		"exp is a number as text":  {claims: claims{"exp": strconv.FormatInt(now.Add(time.Minute).Unix(), 10)}},
		"iat is a number as text":  {claims: claims{"iat": strconv.FormatInt(now.Unix(), 10)}},
		"nbf is text":              {claims: claims{"nbf": "0"}},
		"exp in the far future":    {claims: claims{"exp": 1e300}},
		"longer than any token":    {claims: claims{"exp": now.Add(time.Hour).Unix()}},
		"without iat":              {claims: claims{"iat": nil}},
		"issued in the future":     {claims: claims{"iat": now.Add(time.Minute).Unix()}},
		"not yet valid":            {claims: claims{"nbf": now.Add(2 * time.Minute).Unix()}},
		"without iss":              {claims: claims{"iss": nil}},
		"iss with a slash":         {claims: claims{"iss": testIssuer + "/"}},
		"another iss":              {claims: claims{"iss": "https://other.test"}},
		"iss is a list":            {claims: claims{"iss": []string{testIssuer}}},
		"aud with a slash":         {claims: claims{"aud": testIssuer + "/"}},
		"aud is empty":             {claims: claims{"aud": []string{}}},
		"aud with what is no text": {claims: claims{"aud": []any{testIssuer, 1}}},
		"without aud":              {claims: claims{"aud": nil}},
		"another aud":              {claims: claims{"aud": "https://other.test"}},
		"one aud among others":     {claims: claims{"aud": []string{testIssuer, "https://other.test"}}},
		"without jti":              {claims: claims{"jti": nil}},
		"without tid":              {claims: claims{"tid": nil}},
		"without sid":              {claims: claims{"sid": nil}},
		"sub is no id":             {claims: claims{"sub": "ada@example.test"}},
	}
}

// sign returns the token, signed with private unless the test names another key.
func (p presented) sign(t *testing.T, now time.Time, private any) string {
	t.Helper()
	method, key := p.method, p.key
	if method == nil {
		method = jwt.SigningMethodES256
	}
	if key == nil {
		key = private
	}
	token := jwt.NewWithClaims(method, jwt.MapClaims{
		"iss": testIssuer, "aud": testIssuer, "sub": uuid.NewString(), "jti": uuid.NewString(),
		"sid": uuid.NewString(), "tid": uuid.NewString(), "roles": []string{}, "iat": now.Unix(),
		"exp": now.Add(15 * time.Minute).Unix(),
	})
	token.Header["typ"], token.Header["kid"] = tokenType, "k1"
	overlay(token.Header, p.header)
	overlay(token.Claims.(jwt.MapClaims), p.claims)
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// overlay sets the members of more and removes those that are nil.
func overlay(members, more map[string]any) {
	for name, value := range more {
		if members[name] = value; value == nil {
			delete(members, name)
		}
	}
}

func TestVerify_alteredTokenIsRefused(t *testing.T) {
	t.Parallel()
	a, _ := testTokens(t, time.Now())
	token, err := a.issue(&Projection{User: testUser(), Roles: []string{}}, uuid.New(), time.Now(), signing.MaxLifetime)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	refused := func(altered string) {
		t.Helper()
		if _, err := a.verify(t.Context(), altered); err == nil {
			t.Errorf("verified %q", altered)
		}
	}
	for i := range len(token) {
		refused(token[:i])
		for bit := range 8 {
			flipped := []byte(token)
			flipped[i] ^= 1 << bit
			refused(string(flipped))
		}
	}
	for _, more := range []string{"=", ".", " ", "\n", "A"} {
		refused(token + more)
		refused(more + token)
	}
	refused(strings.Repeat(".", 1<<20))
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt","kid":"k1"}`))
	for _, alg := range []string{"None", "nOnE", "NONE"} {
		refused(strings.Replace(header, "none", alg, 1) + token[strings.IndexByte(token, '.'):])
	}
}
