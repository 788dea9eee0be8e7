package sessions_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// J-12: no claim beyond those of docs/tokens.md, nothing personal, and a subject that stays.
func TestAccessToken_claimsAreDocumentedAndImpersonal(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		ada := s.CreateUser("acme", "ada@acme.test", "admin")
		header, claims := apitest.DecodeJWT(t, ada.Access)
		if got := slices.Sorted(maps.Keys(header)); !slices.Equal(got, []string{"alg", "kid", "typ"}) {
			t.Errorf("header %v", got)
		}
		want := []string{"aud", "client_id", "exp", "iat", "iss", "jti", "roles", "sid", "sub", "tid"}
		if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, want) {
			t.Errorf("claims %v, want %v", got, want)
		}
		ada.User = s.DB.Client.User.UpdateOne(ada.User).SetEmail("lovelace@acme.test").SetFullName("Ada Lovelace").
			SaveX(principal.System(t.Context(), "test"))
		_, renamed := apitest.DecodeJWT(t, s.SignIn("acme", ada.User).Access)
		if claims["client_id"] != claims["tid"] {
			t.Errorf("client %v of the tenant %v", claims["client_id"], claims["tid"])
		}
		if renamed["sub"] != claims["sub"] || renamed["sub"] != ada.ID.String() {
			t.Errorf("subject %v, then %v", claims["sub"], renamed["sub"])
		}
		for _, personal := range []string{"ada", "lovelace", "@"} {
			if text := strings.ToLower(fmt.Sprint(renamed)); strings.Contains(text, personal) {
				t.Errorf("the claims have %q: %s", personal, text)
			}
		}
	})
}

func TestAccessToken_isVerifiedByAnotherLibrary(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			s := apitest.Start(t, dbtest.SQLite(t), func(c *config.Config) { c.JWTAlgorithm = alg })
			access, _ := s.Login()
			jwks := s.Expect(http.StatusOK, s.Call("GET", "/.well-known/jwks.json", "", nil))
			var keys jose.JSONWebKeySet
			if err := json.Unmarshal(jwks.Body, &keys); err != nil {
				t.Fatal(err)
			}
			token, err := jwt.ParseSigned(access, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatal(err)
			}
			var claims map[string]any
			if err := token.Claims(keys.Key(token.Headers[0].KeyID)[0], &claims); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"iss", "aud", "sub", "exp", "iat", "jti", "client_id", "sid", "tid",
				"roles"} {
				if claims[name] == nil {
					t.Errorf("no claim %s", name)
				}
				delete(claims, name)
			}
			if len(claims) > 0 {
				t.Errorf("more claims than needed: %v", claims)
			}
			if typ := token.Headers[0].ExtraHeaders["typ"]; typ != "at+jwt" {
				t.Errorf("typ %v", typ)
			}
		})
	}
}
