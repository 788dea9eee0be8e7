package sessions_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"tenantry/internal/apitest"
	"tenantry/internal/database/dbtest"
)

// refuse fails the test unless the token is refused with the response to every invalid token.
func refuse(s *apitest.Instance, name, token string) {
	s.Helper()
	a := s.Call("GET", apitest.MePath, token, nil)
	if a.Status != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` ||
		a.Field(s.TB, "code") != "invalid_token" || a.Field(s.TB, "detail") != "The access token is not valid." {
		s.Errorf("%s: %d %q %s", name, a.Status, a.Header.Get("WWW-Authenticate"), a.Body)
	}
}

// forger has the header and the claims of a valid token, without its key.
type forger struct {
	testing.TB
	header map[string]any
	claims jwt.MapClaims
}

func newForger(t testing.TB, genuine string) forger {
	t.Helper()
	f := forger{TB: t, claims: jwt.MapClaims{}}
	token, _, err := jwt.NewParser().ParseUnverified(genuine, f.claims)
	if err != nil {
		t.Fatal(err)
	}
	f.header = token.Header
	return f
}

// forge returns the claims of the valid token, signed with another key. more is added to its
// header; a nil value removes the member.
func (f forger) forge(method jwt.SigningMethod, key any, more map[string]any) string {
	f.Helper()
	token := jwt.NewWithClaims(method, f.claims)
	for _, members := range []map[string]any{f.header, {"alg": method.Alg()}, more} {
		for name, value := range members {
			if token.Header[name] = value; value == nil {
				delete(token.Header, name)
			}
		}
	}
	signed, err := token.SignedString(key)
	if err != nil {
		f.Fatal(err)
	}
	return signed
}

func TestAccessToken_ofAnotherKeyIsRefusedAndNoKeyFetched(t *testing.T) {
	t.Parallel()
	var fetched atomic.Int64
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk := jose.JSONWebKey{Key: own.Public(), KeyID: "own", Algorithm: "ES256", Use: "sig"}
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk}})
	}))
	defer evil.Close()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{}, &x509.Certificate{}, own.Public(), own)
	if err != nil {
		t.Fatal(err)
	}
	s := apitest.Start(t, dbtest.SQLite(t))
	access, _ := s.Login()
	f := newForger(t, access)
	for name, more := range map[string]map[string]any{
		"nothing more":          {},
		"kid of its own":        {"kid": "own"},
		"without kid":           {"kid": nil},
		"kid is a path":         {"kid": "../../dev/null"},
		"kid is SQL":            {"kid": "' OR 1=1 --"},
		"kid is a URL":          {"kid": evil.URL},
		"kid with NUL":          {"kid": f.header["kid"].(string) + "\x00"},
		"kid is a list":         {"kid": []any{f.header["kid"]}},
		"kid of 4000 letters":   {"kid": strings.Repeat("k", 4_000)},
		"jwk":                   {"jwk": jwk},
		"jwk and its kid":       {"jwk": jwk, "kid": "own"},
		"jku":                   {"jku": evil.URL},
		"jku and its kid":       {"jku": evil.URL + "/.well-known/jwks.json", "kid": "own"},
		"x5u":                   {"x5u": evil.URL},
		"x5c":                   {"x5c": []string{base64.StdEncoding.EncodeToString(der)}},
		"crit":                  {"crit": []string{"exp"}},
		"crit of what is there": {"crit": []string{"jku"}, "jku": evil.URL},
		"another iss":           {"iss": evil.URL},
		"unencoded payload":     {"b64": false, "crit": []string{"b64"}},
		"an ID token":           {"typ": "JWT"},
	} {
		refuse(s, name, f.forge(jwt.SigningMethodES256, own, more))
	}
	if n := fetched.Load(); n != 0 {
		t.Errorf("%d keys were fetched", n)
	}
	s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, access, nil))
}

func TestAccessToken_ofAnotherAlgorithmIsRefused(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t))
	access, _ := s.Login()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(s.Expect(http.StatusOK, s.Call("GET", "/.well-known/jwks.json", "", nil)).Body,
		&set); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(set.Keys[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	asJWK, err := json.Marshal(set.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	f := newForger(t, access)
	for name, secret := range map[string][]byte{
		"DER": der, "PEM": asPEM, "PEM without its last line break": asPEM[:len(asPEM)-1], "JWK": asJWK, "nothing": {},
		"kid": []byte(set.Keys[0].KeyID),
	} {
		for _, method := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384,
			jwt.SigningMethodHS512} {
			refuse(s, method.Alg()+" with the public key as "+name, f.forge(method, secret, nil))
			refuse(s, method.Alg()+" that says ES256, as "+name,
				f.forge(method, secret, map[string]any{"alg": "ES256"}))
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []jwt.SigningMethod{jwt.SigningMethodRS256, jwt.SigningMethodPS256} {
		refuse(s, method.Alg(), f.forge(method, rsaKey, nil))
	}
	parts := strings.Split(access, ".")
	for _, alg := range []string{`"none"`, `"None"`, `"nOnE"`, `"NONE"`, `""`, `null`, `["ES256"]`, `"es256"`,
		`"ES256\u0000"`, `"ES384"`, `"EdDSA"`, `"RS256"`, `"HS256"`, `"ES256"`} {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":` + alg + `,"typ":"at+jwt","kid":"` +
			set.Keys[0].KeyID + `"}`))
		zeros := base64.RawURLEncoding.EncodeToString(make([]byte, 64)) // CVE-2022-21449
		for _, signature := range []string{"", parts[2], zeros} {
			refuse(s, "alg "+alg+" with the signature "+signature, header+"."+parts[1]+"."+signature)
		}
		refuse(s, "alg "+alg+" without a signature", header+"."+parts[1])
	}
}

func TestAccessToken_alteredIsRefused(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t))
	access, _ := s.Login()
	status := func(authorization string) int {
		r := httptest.NewRequestWithContext(t.Context(), "GET", apitest.MePath, http.NoBody)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		s.Server.Handler.ServeHTTP(w, r)
		return w.Code
	}
	for i := range len(access) {
		if got := status("Bearer " + access[:i]); got != http.StatusUnauthorized {
			t.Errorf("%d with the first %d letters", got, i)
		}
		for bit := range 8 {
			flipped := []byte(access)
			flipped[i] ^= 1 << bit
			if got := status("Bearer " + string(flipped)); got != http.StatusUnauthorized {
				t.Errorf("%d with bit %d of letter %d flipped", got, bit, i)
			}
		}
	}
	if got := status("Bearer " + access); got != http.StatusOK {
		t.Errorf("%d as it was issued", got)
	}
}

// Not parallel: it counts allocated bytes. It calls the handler without the listener, which limits
// the length of headers.
func TestAccessToken_ofAMillionDotsIsNotParsed(t *testing.T) {
	s := apitest.Start(t, dbtest.SQLite(t))
	r := httptest.NewRequestWithContext(t.Context(), "GET", apitest.MePath, http.NoBody)
	r.Header.Set("Authorization", "Bearer "+strings.Repeat(".", 1_000_000))
	const requests = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range requests {
		w := httptest.NewRecorder()
		if s.Server.Handler.ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
			t.Fatal(w.Code)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / requests; each > 64<<10 {
		t.Errorf("each request allocates %d bytes", each)
	}
	refuse(s, "as many dots as are parsed", strings.Repeat(".", 8_000))
}
