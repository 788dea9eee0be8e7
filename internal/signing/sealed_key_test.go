package signing_test

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenantry/ent/signingkey"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A signing key that cannot be decrypted causes a 503 for its tokens, and for no others.
func TestSigningKey_underAnotherSecretAnswers503(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		access, _ := s.Login()
		ctx := principal.System(t.Context(), "test")
		key := s.DB.Client.SigningKey.Query().Where(signingkey.StateEQ(signingkey.StateActive)).OnlyX(ctx)
		s.DB.Client.SigningKey.UpdateOne(key).SetState(signingkey.StateRetiring).SetRetireAt(time.Now().Add(time.Hour)).
			ExecX(ctx)
		s.DB.Client.SigningKey.Create().SetKid("sealed-elsewhere").SetAlg(key.Alg).SetPublicKey(key.PublicKey).
			SetPrivateKey([]byte(strings.Repeat("x",
				64))).SetState(signingkey.StateActive).SetNotBefore(time.Now()).SaveX(ctx)
		unknown := withKid(t, access, rand.Text())
		s.Expect(http.StatusServiceUnavailable, s.Call("GET", apitest.MePath, unknown, nil))
		if !strings.Contains(s.Logs.String(), "signing key sealed-elsewhere cannot be decrypted") {
			t.Error("the log does not name the key")
		}
		s.Expect(http.StatusOK, s.Call("GET", apitest.MePath, access, nil))
	})
}

// withKid returns a token with another key ID, which makes its signature invalid.
func withKid(t *testing.T, token, kid string) string {
	t.Helper()
	_, rest, _ := strings.Cut(token, ".")
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"` + kid + `"}`))
	return header + "." + rest
}
