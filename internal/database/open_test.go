package database_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

const password = "s3cr3t-of-the-operator"

// openError opens a database that must not open, and returns the error and the log.
func openError(t *testing.T, opts database.Options) (log string, err error) {
	t.Helper()
	var out bytes.Buffer
	db, err := database.Open(t.Context(), opts, slog.New(slog.NewTextHandler(&out, nil)))
	if err == nil {
		db.Close()
		t.Fatal("the database was opened")
	}
	return out.String(), err
}

func TestOpen_unreachableServerTimesOut(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	start := time.Now()
	_, err := database.Open(t.Context(), database.Options{
		URL:      "postgres://tenantry:" + password + "@" + unused(t) + "/tenantry?sslmode=disable",
		PoolSize: 1, Prepared: true, ConnectTimeout: 500 * time.Millisecond,
	}, slog.New(slog.NewTextHandler(&log, nil)))
	if err == nil || !strings.Contains(err.Error(), "did not answer within 500ms") || !database.Unavailable(err) {
		t.Errorf("open: %v", err)
	}
	// The bound allows for a busy machine, and is below the default of 30 seconds.
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("gave up after %s", took)
	}
	if !strings.Contains(log.String(), "trying again") {
		t.Errorf("no second attempt: %s", &log)
	}
	if strings.Contains(err.Error()+log.String(), password) {
		t.Errorf("the password is in the message: %v\n%s", err, &log)
	}
}

func TestOpen_endsWhenContextIsDone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := database.Open(ctx, database.Options{URL: "postgres://tenantry@" + unused(t) + "/tenantry", PoolSize: 1},
		slog.New(slog.DiscardHandler))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
	}
}

func TestOpen_refusedConnectionFailsAtOnce(t *testing.T) {
	t.Parallel()
	opts := dbtest.EmptyPostgres(t)
	dsn, err := url.Parse(opts.URL)
	if err != nil {
		t.Fatal(err)
	}
	dsn.User, dsn.Path = url.UserPassword(dsn.User.Username(), password), "/no-such-database"
	opts.URL = dsn.String()
	var log bytes.Buffer
	_, err = database.Open(t.Context(), opts, slog.New(slog.NewTextHandler(&log, nil)))
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Fatalf("open: %v", err)
	}
	if strings.Contains(log.String(), "trying again") {
		t.Errorf("tried again: %s", &log)
	}
	if strings.Contains(err.Error()+log.String(), password) {
		t.Errorf("the password is in the message: %v\n%s", err, &log)
	}
}

func TestOpen_errorOfMalformedDSNHidesPassword(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{
		"other scheme":       "mysql://tenantry:" + password + "@db/tenantry",
		"no scheme":          "host=db user=tenantry password=" + password,
		"broken escape":      "postgres://tenantry:" + password + "%zz@db/tenantry",
		"word for a port":    "postgres://tenantry:" + password + "@db:port/tenantry",
		"slash in password":  "postgres://tenantry:" + password + "/x@db/tenantry",
		"hash in password":   "postgres://tenantry:" + password + "#x@db/tenantry",
		"space in password":  "postgres://tenantry:" + password + " x@db/tenantry",
		"control character":  "postgres://tenantry:" + password + "@db/tenantry\n",
		"unknown TLS mode":   "postgres://tenantry:" + password + "@db/tenantry?sslmode=sometimes",
		"word for a timeout": "postgres://tenantry:" + password + "@db/tenantry?connect_timeout=soon",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := database.Open(t.Context(), database.Options{URL: dsn, PoolSize: 1}, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), "database URL") {
				t.Fatalf("open: %v", err)
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("the password is in the message: %v", err)
			}
		})
	}
}

func TestUnprepared_everyColumnTypeIsRead(t *testing.T) {
	t.Parallel()
	opts := dbtest.Postgres(t)
	opts.Prepared = false
	db := dbtest.Open(t, opts)
	ctx, acme := newTenant(t, db)
	expires := time.Now().Add(time.Hour)
	err := database.WithTx(ctx, db.Client, func(tx *ent.Client) error {
		u := tx.User.Create().SetTenantID(acme).SetEmail("a@acme.test").SaveX(ctx)
		r := tx.Role.Create().SetTenantID(acme).SetName("admin").SetPermissions([]string{"users:read"}).SaveX(ctx)
		tx.RoleAssignment.Create().SetTenantID(acme).SetUserID(u.ID).SetRoleID(r.ID).ExecX(ctx)
		return tx.OneTimeToken.Create().SetTenantID(acme).SetPurpose("invitation").SetTokenHash(make([]byte, 32)).
			SetPayload([]byte(`{"to":"a"}`)).SetExpiresAt(expires).Exec(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	roles, err := db.Client.User.Query().WithRoles().OnlyX(ctx).Edges.RolesOrErr()
	if err != nil || len(roles) != 1 || !slices.Equal(roles[0].Permissions, []string{"users:read"}) {
		t.Errorf("roles %v, %v", roles, err)
	}
	token := db.Client.OneTimeToken.Query().OnlyX(ctx)
	if len(token.TokenHash) != 32 || !token.ExpiresAt.Equal(expires.UTC().Truncate(time.Microsecond)) ||
		len(token.Payload) == 0 {
		t.Errorf("token %v", token)
	}
	if n := db.Client.Tenant.Query().Where(tenant.Slug("acme"), tenant.IsActive(true)).CountX(ctx); n != 1 {
		t.Errorf("%d tenants", n)
	}
}

// unused returns an address of this machine where nothing listens.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
