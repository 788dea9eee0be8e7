package database_test

import (
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"
	"github.com/lib/pq"

	"tenantry/ent"
	"tenantry/ent/user"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

func TestChangeTrimmer_deletesWhatEveryReaderHasRead(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		p, ctx := populate(t, db), principal.System(t.Context(), "test")
		touch := func() { p.Client.User.Update().Where(user.ID(p.user.ID)).AddPasswordVersion(1).ExecX(ctx) }
		trimmer := db.NewChangeTrimmer()
		left := func() int {
			if err := trimmer.Trim(t.Context()); err != nil {
				t.Fatal(err)
			}
			return db.Client.Change.Query().CountX(ctx)
		}
		touch()
		touch()
		var running *ent.Tx
		late := 0
		if db.Dialect() == dialect.Postgres {
			late = 1
			var err error
			if running, err = db.Client.Tx(ctx); err != nil {
				t.Fatal(err)
			}
			running.Role.UpdateOne(p.role).SetDescription("x").ExecX(ctx)
		}
		if n := left(); n != 2 {
			t.Fatalf("%d rows before any is old", n)
		}
		touch() // after the position
		if running != nil {
			if err := running.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		trimmer.Age(59 * time.Second)
		if n := left(); n != 3+late {
			t.Fatalf("%d rows after 59 seconds", n)
		}
		trimmer.Age(time.Second)
		if n := left(); n != 1+late {
			t.Fatalf("%d rows after a minute, want the later ones", n)
		}
		if db.Dialect() == dialect.Postgres {
			// A restored dump may hold later transaction IDs.
			p.exec(t, `INSERT INTO changes ("key", xid) VALUES (gen_random_uuid(), 1000000000000)`)
		}
		trimmer.Age(time.Minute)
		if n := left(); n != 0 {
			t.Errorf("%d rows after another minute", n)
		}
	})
}

// Instances of the previous version listen for notifications until `tenantry migrate finish`.
func TestFinishChangeLog_turnsNotificationsOffOnceNoInstanceListens(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	p, ctx := populate(t, dbtest.Open(t, opts)), principal.System(t.Context(), "test")
	if p.Client.Setting.Query().CountX(ctx) != 0 {
		t.Error("an empty database must not notify")
	}
	p.Client.Setting.Create().SetID("change_log.notify").SetValue("true").ExecX(ctx)
	notices := make(chan *pq.Notification, 16)
	listener, err := pq.NewListenerConn(opts.URL, notices)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listener.Listen("tenantry_changes"); err != nil {
		t.Fatal(err)
	}
	beat := func() {
		if _, err := listener.ExecSimpleQuery(""); err != nil {
			t.Fatal(err)
		}
	}
	p.Client.RefreshToken.UpdateOne(p.session).SetRevoked(true).ExecX(ctx)
	p.Client.User.UpdateOne(p.user).SetFullName("Ada").ExecX(ctx)
	beat()
	for _, want := range []uuid.UUID{p.session.ID, p.user.ID} {
		if n := <-notices; n.Extra != want.String() {
			t.Errorf("notified of %s, want %s", n.Extra, want)
		}
	}
	for began := time.Now(); time.Since(began) < 2100*time.Millisecond; time.Sleep(100 * time.Millisecond) {
		beat()
	}
	if _, err := p.FinishChangeLog(t.Context(), false); err == nil ||
		!strings.Contains(err.Error(), "previous version") {
		t.Errorf("finished beside a listener: %v", err)
	}
	if ended, err := p.FinishChangeLog(t.Context(), true); err != nil || !ended {
		t.Errorf("not finished: %t, %v", ended, err)
	}
	if ended, err := p.FinishChangeLog(t.Context(), true); err != nil || ended {
		t.Errorf("finished twice: %t, %v", ended, err)
	}
	p.Client.User.UpdateOne(p.user).SetFullName("Ada L.").ExecX(ctx)
	beat()
	if len(notices) != 0 {
		t.Errorf("notified after finish: %s", (<-notices).Extra)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
}
