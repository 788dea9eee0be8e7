package database_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestChangeLog_recordsRowsThatCachedValuesDependOn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		p := populate(t, db)
		reader := database.NewChangeReader(t, db)
		if _, everything := reader.Read(t); !everything {
			t.Fatal("the first read must invalidate everything")
		}
		for _, step := range cachedDataSteps(t, p) {
			step.do()
			keys, everything := reader.Read(t)
			if db.Dialect() == dialect.SQLite {
				// Its triggers do not read other tables: the deletion of the user records the
				// session too.
				keys = slices.DeleteFunc(keys, func(id uuid.UUID) bool {
					return step.name == "deletion of a user with a session" && id != p.user.ID
				})
			}
			if everything || !slices.Equal(slices.Compact(keys), step.want) {
				t.Errorf("%s: %v, want %v (everything: %t)", step.name, keys, step.want, everything)
			}
		}
	})
}

// A password change raises the version of the user in one row. Marking the sessions afterwards
// records nothing.
func TestChangeLog_markingSessionsOfAnOlderPasswordRecordsNothing(t *testing.T) {
	t.Parallel()
	p, ctx := populate(t, dbtest.Open(t, dbtest.Postgres(t))), principal.System(t.Context(), "test")
	reader := database.NewChangeReader(t, p.DB)
	reader.Read(t)
	p.Client.User.UpdateOne(p.user).AddPasswordVersion(1).ExecX(ctx)
	if keys, _ := reader.Read(t); !slices.Equal(keys, []uuid.UUID{p.user.ID}) {
		t.Fatalf("the change of the password recorded %v", keys)
	}
	p.Client.RefreshToken.Update().Where(refreshtoken.UserID(p.user.ID)).SetRevoked(true).ExecX(ctx)
	p.Client.RefreshToken.Delete().Where(refreshtoken.UserID(p.user.ID)).ExecX(ctx)
	if keys, everything := reader.Read(t); len(keys) != 0 || everything {
		t.Errorf("marking recorded %v", keys)
	}
}

func TestChangeLog_transactionThatCommitsLateIsNotSkipped(t *testing.T) {
	t.Parallel()
	p, ctx := populate(t, dbtest.Open(t, dbtest.Postgres(t))), principal.System(t.Context(), "test")
	reader := database.NewChangeReader(t, p.DB)
	other := p.signIn(t)
	reader.Read(t)
	early, err := p.Client.Tx(ctx)
	if err != nil {
		t.Fatal(err)
	}
	early.RefreshToken.UpdateOne(p.session).SetRevoked(true).ExecX(ctx)
	for range 3 {
		if keys, everything := reader.Read(t); len(keys) != 0 || everything {
			t.Fatalf("read %v before the commit", keys)
		}
	}
	p.Client.RefreshToken.UpdateOne(other).SetRevoked(true).ExecX(ctx)
	for _, want := range [][]uuid.UUID{{other.ID}, nil} {
		if keys, _ := reader.Read(t); !slices.Equal(keys, want) {
			t.Fatalf("read %v, want %v", keys, want)
		}
	}
	if err := early.Commit(); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]uuid.UUID{{p.session.ID}, nil} {
		if keys, _ := reader.Read(t); !slices.Equal(keys, want) {
			t.Fatalf("read %v, want %v", keys, want)
		}
	}
}

// A statement that changes many rows records only their tenants, so that it does not fill the log.
func TestChangeLog_manyRowsAreRecordedAsTheirTenants(t *testing.T) {
	t.Parallel()
	p, ctx := populate(t, dbtest.Open(t, dbtest.Postgres(t))), principal.System(t.Context(), "test")
	var users []*ent.UserCreate
	for i := range 250 {
		users = append(users, p.Client.User.Create().SetTenantID(p.tenant.ID).SetEmail(fmt.Sprintf("u%d@acme.test", i)))
	}
	p.Client.User.CreateBulk(users...).ExecX(ctx)
	p.exec(t, `INSERT INTO refresh_tokens
		SELECT (jsonb_populate_record(r, jsonb_build_object('id', gen_random_uuid()))).*
		FROM refresh_tokens AS r, generate_series(1, 250)`)
	reader := database.NewChangeReader(t, p.DB)
	reader.Read(t)
	for _, statement := range []string{
		`INSERT INTO user_roles (tenant_id, user_id, role_id, created_at, updated_at) SELECT tenant_id, id, '` +
			p.role.ID.String() + `', now(), now() FROM users`,
		`UPDATE users SET full_name = 'x'`, `DELETE FROM roles`, `DELETE FROM refresh_tokens`,
	} {
		p.exec(t, statement)
		keys, everything := reader.Read(t)
		slices.SortFunc(keys, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
		if keys = slices.Compact(keys); everything || !slices.Equal(keys, []uuid.UUID{p.tenant.ID}) {
			t.Errorf("%s: %d keys", statement, len(keys))
		}
	}
}

func TestChangeLog_incomparablePositionInvalidatesEverything(t *testing.T) {
	t.Parallel()
	p := populate(t, dbtest.Open(t, dbtest.Postgres(t)))
	reader := database.NewChangeReader(t, p.DB)
	for name, change := range map[string]func(){
		"another file":      func() { p.exec(t, "VACUUM FULL changes") },
		"a long pause":      func() { reader.Age(31 * time.Second) },
		"a suspended clock": func() { reader.AgeServer(31 * time.Second) },
		"IDs used again":    func() { reader.Ahead(1000) },
		"a truncated table": func() { p.exec(t, "TRUNCATE refresh_tokens") },
	} {
		reader.Read(t)
		if _, everything := reader.Read(t); everything {
			t.Errorf("%s: everything is invalidated before", name)
		}
		change()
		if _, everything := reader.Read(t); !everything {
			t.Errorf("%s: not everything is invalidated", name)
		}
	}
}

// While the reader has no connection, the server may crash and assign the same transaction IDs
// again.
func TestChangeLog_lostConnectionInvalidatesEverything(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	proxy, through := dbtest.ThroughProxyOf(t, opts, database.ChangeLogName)
	p := populate(t, dbtest.Open(t, through))
	reader := database.NewChangeReader(t, p.DB)
	reader.Read(t)
	proxy.Cut()
	if err := reader.ReadError(t); !database.Unavailable(err) {
		t.Fatalf("read without a connection: %v", err)
	}
	proxy.Restore()
	if _, everything := reader.Read(t); !everything {
		t.Error("not everything is invalidated after the connection was lost")
	}
}

// The trigger functions run as their owner. Temporary tables of the caller's session must not
// replace their tables.
func TestChangeLog_temporaryTablesDoNotHideChanges(t *testing.T) {
	t.Parallel()
	p := populate(t, dbtest.Open(t, dbtest.Postgres(t)))
	reader := database.NewChangeReader(t, p.DB)
	reader.Read(t)
	conn, err := p.SQL.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, statement := range []string{
		`CREATE TEMPORARY TABLE users (id uuid, password_version bigint)`,
		`CREATE TEMPORARY TABLE changes ("key" uuid, xid bigint)`,
		`CREATE TEMPORARY TABLE settings (name text, value text)`, `UPDATE refresh_tokens SET revoked = true`,
		`DROP TABLE pg_temp.users, pg_temp.changes, pg_temp.settings`,
	} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if keys, everything := reader.Read(t); everything || !slices.Equal(keys, []uuid.UUID{p.session.ID}) {
		t.Errorf("read %v (everything: %t)", keys, everything)
	}
	var public bool
	if err := p.SQL.QueryRowContext(t.Context(), `SELECT bool_or(has_function_privilege('pg_monitor', oid, 'EXECUTE'))
		FROM pg_proc WHERE proname LIKE 'change_log_%'`).Scan(&public); err != nil || public {
		t.Errorf("another role may attach the functions to its own table: %t, %v", public, err)
	}
}

func TestChangeLog_readOnlyServerIsRefused(t *testing.T) {
	t.Parallel()
	p := populate(t, dbtest.Open(t, dbtest.Postgres(t)))
	reader := database.NewChangeReader(t, p.DB)
	reader.Read(t)
	// The session of this connection stays writable. The pool does not discard it, since it is in
	// use.
	writable, err := p.SQL.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer writable.Close()
	var name string
	if err := p.SQL.QueryRowContext(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	p.exec(t, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	p.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "+
		"application_name = '"+database.ChangeLogName+"'")
	for reader.ReadError(t) == nil || !strings.Contains(reader.ReadError(t).Error(), "read-only") {
		time.Sleep(time.Millisecond)
	}
	if _, err := writable.ExecContext(t.Context(), "ALTER DATABASE "+name+
		" RESET default_transaction_read_only"); err != nil {
		t.Fatal(err)
	}
	if _, everything := reader.Read(t); !everything {
		t.Error("a server that was read-only must invalidate everything")
	}
}

// The index must also be used before the first ANALYZE: the table may be filled within a minute.
func TestChangeLog_readsByTheIndex(t *testing.T) {
	t.Parallel()
	p := populate(t, dbtest.Open(t, dbtest.Postgres(t)))
	p.exec(t, `INSERT INTO changes ("key", xid) SELECT gen_random_uuid(), n % 500 FROM generate_series(1, 20000) AS n`)
	plan := dbtest.Plan(t, p.DB, database.ReadChanges, 10_000, "{501,502}")
	if strings.Count(plan, "idx_change_xid") != 2 || regexp.MustCompile(`Seq Scan on changes|Sort`).MatchString(plan) {
		t.Error(plan)
	}
}

// On SQLite, a write of this process invalidates its rows, and a write of another program
// everything.
func TestChangeLog_SQLiteCommitOfAnotherProgramInvalidatesEverything(t *testing.T) {
	t.Parallel()
	opts := dbtest.SQLite(t)
	p, ctx := populate(t, dbtest.Open(t, opts)), principal.System(t.Context(), "test")
	reader := database.NewChangeReader(t, p.DB)
	reader.Read(t)
	for range 3 {
		p.Client.User.UpdateOne(p.user).SetFullName("Ada").ExecX(ctx)
		if keys, everything := reader.Read(t); everything || !slices.Equal(keys, []uuid.UUID{p.user.ID}) {
			t.Fatalf("own commit: %v (everything: %t)", keys, everything)
		}
	}
	dbtest.Open(t, opts).Client.User.UpdateOne(p.user).SetFullName("Ada L.").ExecX(ctx)
	if _, everything := reader.Read(t); !everything {
		t.Error("a commit of another program must invalidate everything")
	}
	if keys, everything := reader.Read(t); everything || len(keys) != 0 {
		t.Errorf("read %v again", keys)
	}
}
