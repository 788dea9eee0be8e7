package sessions_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/ent/refreshtoken"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestRefresh_parallelRequestsGetOneSuccessor(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := apitest.Start(t, opts), apitest.Start(t, opts)
		_, token := first.Login()
		var (
			wait       sync.WaitGroup
			mu         sync.Mutex
			successors = map[string]int{}
		)
		for i := range 40 {
			s := []*apitest.Instance{first, second}[i%2]
			wait.Go(func() {
				a := s.Refresh(token)
				if a.Status != http.StatusOK {
					t.Errorf("status %d: %s", a.Status, a.Body)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				successors[a.Field(t, "refresh_token")]++
			})
		}
		wait.Wait()
		if len(successors) != 1 {
			t.Fatalf("%d successors: %v", len(successors), successors)
		}
		for successor := range successors {
			first.Expect(http.StatusOK, second.Refresh(successor))
		}
		if n := first.DB.Client.RefreshToken.Query().CountX(principal.System(t.Context(), "test")); n != 1 {
			t.Errorf("%d rows for one session", n)
		}
	})
}

func TestRefresh_reusedTokenRevokesSession(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		grace time.Duration
		// between is the number of refreshes between the first use of the token and its reuse.
		between int
	}{
		"a grandparent, within the grace window": {10 * time.Second, 2},
		"a parent, without a grace window":       {0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
				s := apitest.Start(t, opts, func(c *config.Config) { c.RefreshGrace = test.grace })
				access, stolen := s.Login()
				live := stolen
				for range test.between {
					live = s.Expect(http.StatusOK, s.Refresh(live)).Field(t, "refresh_token")
				}
				s.Expect(http.StatusUnauthorized, s.Refresh(stolen))
				s.Expect(http.StatusUnauthorized, s.Refresh(live))
				s.Expect(http.StatusUnauthorized, s.Call("GET", "/api/v1/users/me", access, nil))
				row := s.DB.Client.RefreshToken.Query().OnlyX(principal.System(t.Context(), "test"))
				if !row.Revoked || row.RevokedReason == nil || *row.RevokedReason != refreshtoken.RevokedReasonReuse {
					t.Errorf("the session is not marked as reused: %v", row)
				}
				if !strings.Contains(s.Logs.String(), `"event":"refresh_reuse"`) {
					t.Error("the log has no refresh_reuse event")
				}
			})
		})
	}
}

func TestRefresh_endedSessionIsRefused(t *testing.T) {
	t.Parallel()
	set := map[string]func(*database.DB, *testing.T){
		"idle": func(db *database.DB, t *testing.T) {
			db.Client.RefreshToken.Update().SetRotatedAt(time.Now().Add(-168 * time.Hour)).
				ExecX(principal.System(t.Context(), "test"))
		},
		"revoked": func(db *database.DB, t *testing.T) {
			db.Client.RefreshToken.Update().SetRevoked(true).ExecX(principal.System(t.Context(), "test"))
		},
		"restored from an older copy": func(db *database.DB, t *testing.T) {
			db.Client.RefreshToken.Update().AddCounter(-1).ExecX(principal.System(t.Context(), "test"))
		},
		"deleted": func(db *database.DB, t *testing.T) {
			db.Client.RefreshToken.Delete().ExecX(principal.System(t.Context(), "test"))
		},
	}
	for name, end := range set {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
				s := apitest.Start(t, opts)
				_, refresh := s.Login()
				refresh = s.Expect(http.StatusOK, s.Refresh(refresh)).Field(t, "refresh_token")
				end(s.DB, t)
				s.Expect(http.StatusUnauthorized, s.Refresh(refresh))
			})
		})
	}
}

func TestRefresh_alteredTokenIsRefused(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t))
	_, token := s.Login()
	for i := range len(token) {
		s.Expect(http.StatusUnauthorized, s.Refresh(token[:max(i, 1)]))
		flipped := []byte(token)
		flipped[i] ^= 1
		a := s.Refresh(string(flipped))
		if a.Status != http.StatusUnauthorized {
			t.Fatalf("bit flipped at %d: %d", i, a.Status)
		}
	}
	s.Expect(http.StatusOK, s.Refresh(token))
}

func TestAccessToken_expiresWithItsSession(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t), func(c *config.Config) {
		c.RefreshTokenTTL, c.RefreshIdleTTL = 5*time.Minute, 5*time.Minute
	})
	access, _ := s.Login()
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
	a := s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/login", "",
		apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
	if !strings.Contains(string(a.Body), `"expires_in":300`) && !strings.Contains(string(a.Body), `"expires_in":299`) {
		t.Errorf("the access token expires after its session: %s", a.Body)
	}
}

// A client that receives a 503 keeps its token, so the token must still be valid: no statement may
// fail after the one that rotates it.
func TestRefresh_rotatesTheTokenInItsLastStatement(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.Postgres(t))
	_, refresh := s.Login()
	refresh = s.Expect(http.StatusOK, s.Refresh(refresh)).Field(t, "refresh_token") // prepares the statements
	statements := dbtest.StatementLog(t, s.DB.SQL, func() {
		s.Forget()
		s.Expect(http.StatusOK, s.Refresh(refresh))
	})
	read := slices.IndexFunc(statements, func(s string) bool { return strings.Contains(s, "JOIN refresh_tokens") })
	rotated := slices.IndexFunc(statements, func(s string) bool { return strings.Contains(s, "UPDATE refresh_tokens") })
	if read < 0 || rotated < read {
		t.Errorf("the user is read at %d, the token is rotated at %d: %q", read, rotated, statements)
	}
}

// Without a grace window a token is used once, even if the clocks of two instances differ.
func TestRefresh_withoutGraceWindowTokenIsUsedOnce(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		strict := func(c *config.Config) { c.RefreshGrace = 0 }
		now := time.Now().UTC()
		first := apitest.StartAt(t, opts, func() time.Time { return now }, strict)
		second := apitest.StartAt(t, opts, func() time.Time { return now.Add(-time.Second) }, strict)
		_, refresh := first.Login()
		first.Expect(http.StatusOK, first.Refresh(refresh))
		second.Expect(http.StatusUnauthorized, second.Refresh(refresh))
	})
}
