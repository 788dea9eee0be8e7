package sessions

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"tenantry/internal/signing"

	"github.com/google/uuid"
)

// fuzzNow is when the tokens of the fuzz targets were issued.
var fuzzNow = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// fuzzTokens verifies under keys that are the same in every process: a fuzzer hands an input from
// one to another.
func fuzzTokens(t testing.TB) (*accessTokens, *signing.Key) {
	t.Helper()
	seed := []byte("thirty-two bytes make two keys..")
	edwards := ed25519.NewKeyFromSeed(seed)
	nist, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return fuzzNow }
	keys := signingKeys(t, clock, edwards, nist)
	return newAccessTokens(keys, Options{Issuer: testIssuer, Clock: clock}), keys.Current().Active
}

// sign returns the token of a header and claims as they stand.
func sign(t testing.TB, k *signing.Key, header, claims string) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(claims))
	signature, err := k.Method.Sign(text, k.Private)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

const (
	fuzzHeader = `{"alg":"EdDSA","kid":"k1","typ":"at+jwt"}`
	fuzzClaims = `{"iss":"` + testIssuer + `","aud":["` + testIssuer +
		`"],"sub":"01890000-0000-7000-8000-000000000001",` +
		`"exp":1782907920,"iat":1782907200,"jti":"01890000-0000-7000-8000-000000000002",` +
		`"sid":"01890000-0000-7000-8000-000000000003","tid":"01890000-0000-7000-8000-000000000004","roles":[]}`
)

// FuzzParseAccessToken holds that of all texts only the one that was issued is a token.
func FuzzParseAccessToken(f *testing.F) {
	a, key := fuzzTokens(f)
	issued := sign(f, key, fuzzHeader, fuzzClaims)
	if _, err := a.verify(f.Context(), issued); err != nil {
		f.Fatal(err)
	}
	claims, signature := issued[strings.IndexByte(issued, '.'):strings.LastIndexByte(issued, '.')],
		issued[strings.LastIndexByte(issued, '.'):]
	f.Add(issued)
	for _, header := range []string{
		`{"alg":"none","kid":"k1","typ":"at+jwt"}`, `{"alg":"nOnE","kid":"k1","typ":"at+jwt"}`,
		`{"alg":"HS256","kid":"k1","typ":"at+jwt"}`,
		`{"alg":"ES256","kid":"k2","typ":"at+jwt"}`, `{"alg":"EdDSA","kid":"k2","typ":"at+jwt"}`,
		`{"alg":"EdDSA","kid":"../../dev/null","typ":"at+jwt"}`,
		`{"alg":"EdDSA","kid":"k1","typ":"JWT","jku":"http://127.0.0.1"}`,
	} {
		encoded := base64.RawURLEncoding.EncodeToString([]byte(header))
		f.Add(encoded + claims + ".")
		f.Add(encoded + claims + signature)
		f.Add(encoded + claims + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))) // CVE-2022-21449
	}
	for _, token := range []string{"", ".", "..", "...", "a.b.c", issued + "=", issued + "\n", issued[:len(issued)-1],
		issued + "." + issued, strings.Repeat(".", 1<<12)} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if p, err := a.verify(t.Context(), token); err == nil && token != issued {
			t.Fatalf("%q speaks for %v", token, p)
		}
	})
}

// FuzzParseClaims holds that not even a token that this server has signed says what it must not.
func FuzzParseClaims(f *testing.F) {
	a, key := fuzzTokens(f)
	f.Add(fuzzClaims)
	for _, change := range [][2]string{
		{`"exp":1782907920,`, ``}, {`1782907920`, `"1782907920"`}, {`1782907920`, `1e300`}, {`1782907920`, `-1e300`},
		{`1782907920`, `null`},
		{`1782907920`, `9223372036854775807`}, {`1782907200`, `1e400`}, {`1782907200`, `1782907920`},
		{`"iat":1782907200,`, ``},
		{`["` + testIssuer + `"]`, `"` + testIssuer + `"`}, {`["` + testIssuer + `"]`, `[]`},
		{`["` + testIssuer + `"]`, `["` + testIssuer + `",""]`},
		{`"iss":"`, `"iss":" `}, {`"jti"`, `"nbf":1782907919,"jti"`}, {`"roles":[]`, `"roles":{}`}, {`"sid"`, `"SID"`},
		{`"roles":[]`, `"exp":2e9`},
	} {
		f.Add(strings.Replace(fuzzClaims, change[0], change[1], 1))
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := a.verify(t.Context(), sign(t, key, fuzzHeader, text))
		if err != nil {
			return
		}
		var c claims
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatalf("accepted, and no claims: %v", err)
		}
		if c.Issuer != testIssuer || !slices.Equal(c.Audience, []string{testIssuer}) || c.ID == "" || c.Subject == "" {
			t.Errorf("issuer %q, audience %q, id %q, subject %q", c.Issuer, c.Audience, c.ID, c.Subject)
		}
		from, to := time.Unix(c.IssuedAt, 0), time.Unix(c.ExpiresAt, 0)
		if to.Before(fuzzNow.Add(-signing.Leeway)) || from.After(fuzzNow.Add(signing.Leeway)) ||
			to.Sub(from) > signing.MaxLifetime {
			t.Errorf("from %s to %s", from, to)
		}
		if p.TenantID == uuid.Nil || p.CredentialID == uuid.Nil || p.Superuser || len(p.Permissions) > 0 {
			t.Errorf("it speaks for %+v", p)
		}
	})
}

// FuzzParseRefreshToken holds that of all texts only those that were written here are tokens, and
// say what was written.
func FuzzParseRefreshToken(f *testing.F) {
	r := refreshTokens{keys: [][]byte{[]byte("the key of today"), []byte("the key of yesterday")}}
	session := uuid.MustParse("01890000-0000-7000-8000-000000000001")
	written := map[string]refreshToken{}
	for _, token := range []refreshToken{{session, 0}, {session, 1}, {session, 1<<63 - 1}} {
		for _, key := range r.keys {
			written[token.under(key)] = token
		}
	}
	for text := range written {
		claim, mac := text[:strings.LastIndexByte(text, '.')], text[strings.LastIndexByte(text, '.'):]
		for _, seed := range []string{text, claim, claim + ".", claim + mac + "=", strings.Replace(text, ".", ".+", 1),
			strings.Replace(text, ".", ".0", 1)} {
			f.Add(seed)
		}
	}
	for _, seed := range []string{"", ".", "..", "...", "a.1.b", refreshToken{session, -1}.under(r.keys[0]),
		refreshToken{session, 1}.under(nil)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := r.decode(text)
		want, known := written[text]
		if (err == nil) != known || token != want {
			t.Fatalf("%q is %v, %v", text, token, err)
		}
	})
}
