package server_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/ent/refreshtoken"
	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestRefresh_of_parallel_tabs_has_one_successor(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := start(t, opts), start(t, opts)
		_, token := first.login()
		var (
			wait       sync.WaitGroup
			mu         sync.Mutex
			successors = map[string]int{}
		)
		for i := range 40 {
			s := []*instance{first, second}[i%2]
			wait.Go(func() {
				a := s.refresh(token)
				if a.status != http.StatusOK {
					t.Errorf("status %d: %s", a.status, a.body)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				successors[a.field(t, "refresh_token")]++
			})
		}
		wait.Wait()
		if len(successors) != 1 {
			t.Fatalf("%d successors: %v", len(successors), successors)
		}
		for successor := range successors {
			first.expect(http.StatusOK, second.refresh(successor))
		}
		if n := first.db.Client.RefreshToken.Query().CountX(principal.System(t.Context(), "test")); n != 1 {
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
				s := start(t, opts, func(c *config.Config) { c.RefreshGrace = test.grace })
				access, stolen := s.login()
				live := stolen
				for range test.between {
					live = s.expect(http.StatusOK, s.refresh(live)).field(t, "refresh_token")
				}
				s.expect(http.StatusUnauthorized, s.refresh(stolen))
				s.expect(http.StatusUnauthorized, s.refresh(live))
				s.expect(http.StatusUnauthorized, s.call("GET", "/api/v1/users/me", access, nil))
				row := s.db.Client.RefreshToken.Query().OnlyX(principal.System(t.Context(), "test"))
				if !row.Revoked || row.RevokedReason == nil || *row.RevokedReason != refreshtoken.RevokedReasonReuse {
					t.Errorf("the session is not marked as reused: %v", row)
				}
				if !strings.Contains(s.log.String(), `"event":"refresh_reuse"`) {
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
			db.Client.RefreshToken.Update().SetRotatedAt(time.Now().Add(-168 * time.Hour)).ExecX(principal.System(t.Context(), "test"))
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
				s := start(t, opts)
				_, refresh := s.login()
				refresh = s.expect(http.StatusOK, s.refresh(refresh)).field(t, "refresh_token")
				end(s.db, t)
				s.expect(http.StatusUnauthorized, s.refresh(refresh))
			})
		})
	}
}

func TestRefresh_refuses_every_altered_token(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t))
	_, token := s.login()
	for i := range len(token) {
		s.expect(http.StatusUnauthorized, s.refresh(token[:max(i, 1)]))
		flipped := []byte(token)
		flipped[i] ^= 1
		a := s.refresh(string(flipped))
		if a.status != http.StatusUnauthorized {
			t.Fatalf("bit flipped at %d: %d", i, a.status)
		}
	}
	s.expect(http.StatusOK, s.refresh(token))
}

func TestSession_never_outlives_its_end(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.SQLite(t), func(c *config.Config) { c.RefreshTokenTTL, c.RefreshIdleTTL = 5*time.Minute, 5*time.Minute })
	access, _ := s.login()
	s.expect(http.StatusOK, s.call("GET", "/api/v1/users/me", access, nil))
	a := s.expect(http.StatusOK, s.call("POST", "/api/v1/auth/login", "", credentials(ownerEmail, ownerPassword)))
	if !strings.Contains(string(a.body), `"expires_in":300`) && !strings.Contains(string(a.body), `"expires_in":299`) {
		t.Errorf("an access token that outlives its session: %s", a.body)
	}
}

// A client that hears of an outage keeps its token, and the token is still the live one: nothing may fail after it was moved.
func TestRefresh_moves_the_session_last(t *testing.T) {
	t.Parallel()
	s := start(t, dbtest.Postgres(t))
	_, refresh := s.login()
	refresh = s.expect(http.StatusOK, s.refresh(refresh)).field(t, "refresh_token") // prepares the statements
	statements := dbtest.StatementLog(t, s.db.SQL, func() {
		s.server.Forget()
		s.expect(http.StatusOK, s.refresh(refresh))
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
		first := startAt(t, opts, func() time.Time { return now }, strict)
		second := startAt(t, opts, func() time.Time { return now.Add(-time.Second) }, strict)
		_, refresh := first.login()
		first.expect(http.StatusOK, first.refresh(refresh))
		second.expect(http.StatusUnauthorized, second.refresh(refresh))
	})
}
