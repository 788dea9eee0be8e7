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

func TestRefresh_of_parallel_tabs_has_one_successor(t *testing.T) {
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

func TestRefresh_reused_token_ends_the_session(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		grace time.Duration
		// refreshes between the first token and its return
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
					t.Error("reuse was not recorded")
				}
			})
		})
	}
}

func TestRefresh_ends_with_the_session(t *testing.T) {
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
		"gone": func(db *database.DB, t *testing.T) {
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

func TestRefresh_refuses_every_altered_token(t *testing.T) {
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

func TestSession_never_outlives_its_end(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.SQLite(t), func(c *config.Config) {
		c.RefreshTokenTTL, c.RefreshIdleTTL = 5*time.Minute, 5*time.Minute
	})
	access, _ := s.Login()
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
	a := s.Expect(http.StatusOK, s.Call("POST", "/api/v1/auth/login", "",
		apitest.Credentials(apitest.OwnerEmail, apitest.OwnerPassword)))
	if !strings.Contains(string(a.Body), `"expires_in":300`) && !strings.Contains(string(a.Body), `"expires_in":299`) {
		t.Errorf("an access token that outlives its session: %s", a.Body)
	}
}

// A client that hears of an outage keeps its token, and the token is still the live one: nothing
// may fail after it was moved.
func TestRefresh_moves_the_session_last(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, dbtest.Postgres(t))
	_, refresh := s.Login()
	refresh = s.Expect(http.StatusOK, s.Refresh(refresh)).Field(t, "refresh_token") // prepares the statements
	statements := dbtest.StatementLog(t, s.DB.SQL, func() {
		s.Forget()
		s.Expect(http.StatusOK, s.Refresh(refresh))
	})
	read := slices.IndexFunc(statements, func(s string) bool { return strings.Contains(s, "JOIN refresh_tokens") })
	moved := slices.IndexFunc(statements, func(s string) bool { return strings.Contains(s, "UPDATE refresh_tokens") })
	if read < 0 || moved < read {
		t.Errorf("the user is read at %d, the session is moved at %d: %q", read, moved, statements)
	}
}

// Without a grace window a token is used once, whatever the clocks of the instances say.
func TestRefresh_without_a_grace_window_is_strict(t *testing.T) {
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
