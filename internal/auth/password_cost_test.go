package auth_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// phc is the hash of the owner's password under a cost.
func phc(memory, passes uint32) string {
	salt := []byte("a salt for tests")
	key := argon2.IDKey([]byte(apitest.OwnerPassword), salt, passes, memory, 1, 32)
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", memory, passes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// P-06: a sign-in stores the password under the configured cost if it was hashed under a lower one,
// and keeps a hash of a higher one. Parameters beyond every configuration are not computed.
func TestSignIn_renewsAHashOfLowerCost(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, apitest.ProductionHashes)
		plant := func(hash string) {
			s.DB.Client.User.UpdateOne(s.Owner()).SetPasswordHash(hash).ExecX(principal.System(t.Context(), "test"))
		}
		for planted, want := range map[string]string{
			phc(8192, 1): "$argon2id$v=19$m=19456,t=2,p=1$", phc(40<<10, 3): "$argon2id$v=19$m=40960,t=3,p=1$",
		} {
			plant(planted)
			s.Expect(http.StatusUnauthorized,
				s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(apitest.OwnerEmail, "a wrong password")))
			if now := *s.Owner().PasswordHash; now != planted {
				t.Errorf("a wrong password has changed the hash to %s", now)
			}
			s.Login()
			if now := *s.Owner().PasswordHash; !strings.HasPrefix(now, want) {
				t.Errorf("%s was renewed as %s", planted, now)
			}
			s.Login()
		}
		plant(strings.Replace(phc(8192, 1), "m=8192", "m=4194304", 1))
		s.Expect(http.StatusUnauthorized,
			s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
	})
}

// P-02: at least 128 code points count, every one of them, and a password that is too long is
// refused before it is hashed.
func TestPassword_countsEveryCharacter(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts, func(c *config.Config) { c.SignInAccountAttempts = 100 })
		long := strings.Repeat("correct horse ", 9) + "ฬฬ" // 128 code points, 132 bytes
		for i, password := range []string{long, strings.Repeat("🐎🔋", 64), strings.Repeat("x", 1009) +
			"correct horse b"} {
			email := fmt.Sprintf("ada%d@acme.test", i)
			runes := []rune(password)
			s.Expect(http.StatusCreated,
				s.Call("POST", "/api/v1/auth/register", "", apitest.Credentials(email, password)))
			for _, cut := range []string{string(runes[:len(runes)-1]), password[:72], password + "x"} {
				a := s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(email, cut))
				if len([]rune(cut)) > 1024 {
					s.Expect(http.StatusUnprocessableEntity, a)
					continue
				}
				s.Expect(http.StatusUnauthorized, a)
			}
			s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/login", "", apitest.Credentials(email, password)))
		}
		access, _ := s.Login()
		const hashes = `tenantry_password_hash_wait_seconds_count{stage="turn"}`
		before, tooLong := apitest.Metric(t, s.Server.Operations, hashes), strings.Repeat("correct horse b", 69)[:1025]
		for path, body := range map[string]any{
			"/api/v1/auth/login":    apitest.Credentials(apitest.OwnerEmail, tooLong),
			"/api/v1/auth/register": apitest.Credentials("long@acme.test", tooLong),
			"/api/v1/auth/password": map[string]string{"current_password": apitest.OwnerPassword,
				"new_password": tooLong},
		} {
			s.Expect(http.StatusUnprocessableEntity, s.Call("POST", path, access, body))
		}
		if after := apitest.Metric(t, s.Server.Operations, hashes); after != before || before < 1 {
			t.Errorf("%v hashes were computed, %v before", after-before, before)
		}
	})
}
