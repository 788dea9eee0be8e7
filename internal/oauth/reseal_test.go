package oauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/oauthprovider"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/keyring"
	"tenantry/internal/principal"
)

func sealer(t *testing.T, secret, previous string) *keyring.Sealer {
	t.Helper()
	s, err := keyring.New([]byte(secret), []byte(previous)).Sealer(keyring.ClientSecret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every client secret is encrypted again, in pages, except one that was set meanwhile; a row that
// cannot be decrypted is named.
func TestResealer_encryptsEverySecretUnderTheCurrentOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		const n, secret, next = resealPage + 3, "the previous secret", "the current secret"
		before, ctx := sealer(t, secret, ""), principal.System(t.Context(), "test")
		home := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(ctx)
		create := func(name string, sealed func(id string) []byte) uuid.UUID {
			id := uuid.Must(uuid.NewV7())
			db.Client.OAuthProvider.Create().SetID(id).SetTenantID(home.ID).SetName(name).
				SetKind(oauthprovider.KindOidc).SetLabel("x").
				SetClientID("x").SetClientSecret(sealed(id.String())).ExecX(ctx)
			return id
		}
		for i := range n {
			create(fmt.Sprint("p", i), func(id string) []byte { return before.Seal([]byte("canary"), id) })
		}
		stolen := create("stolen", func(string) []byte { return []byte("sealed elsewhere") })

		var logged bytes.Buffer
		o, err := New(db.Client, Options{Sealer: sealer(t, next, secret),
			Log: slog.New(slog.NewTextHandler(&logged, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := o.NewResealer().Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		today := sealer(t, next, "")
		for _, row := range db.Client.OAuthProvider.Query().Where(oauthprovider.IDNEQ(stolen)).AllX(ctx) {
			if plain, _, err := today.Open(*row.ClientSecret, row.ID.String()); err != nil ||
				string(plain) != "canary" {
				t.Fatalf("%s: %q, %v", row.Name, plain, err)
			}
		}
		for _, want := range []string{"provider_id=" + stolen.String(), fmt.Sprint("encrypted=", n), "unreadable=1"} {
			if !strings.Contains(logged.String(), want) {
				t.Errorf("%s is not in the log: %s", want, logged.String())
			}
		}
	})
}

// A client secret that is set between the read and the write stays.
func TestResealer_keepsSecretThatWasSetMeanwhile(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := principal.System(t.Context(), "test")
		home := db.Client.Tenant.Create().SetSlug("acme").SetName("Acme").SaveX(ctx)
		row := db.Client.OAuthProvider.Create().SetTenantID(home.ID).SetName("x").SetKind(oauthprovider.KindOidc).
			SetLabel("x").SetClientID("x").SaveX(ctx)
		old := sealer(t, "the previous secret", "").Seal([]byte("old"), row.ID.String())
		db.Client.OAuthProvider.UpdateOne(row).SetClientSecret([]byte("set meanwhile")).ExecX(ctx)
		o := &OAuth{client: db.Client, opts: Options{Sealer: sealer(t, "the current secret", "the previous secret")}}
		if err := o.NewResealer().row(ctx, &ent.OAuthProvider{ID: row.ID, ClientSecret: &old}); err != nil {
			t.Fatal(err)
		}
		if got := *db.Client.OAuthProvider.GetX(ctx, row.ID).ClientSecret; string(got) != "set meanwhile" {
			t.Errorf("the client secret is %q", got)
		}
	})
}

// Without a previous secret nothing is read, whatever the number of providers.
func TestResealer_readsNothingWithoutPreviousSecret(t *testing.T) {
	t.Parallel()
	db := dbtest.Open(t, dbtest.SQLite(t))
	db.Client.OAuthProvider.Intercept(ent.InterceptFunc(func(ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(context.Context, ent.Query) (ent.Value, error) {
			t.Error("the providers are read")
			return nil, errors.New("read")
		})
	}))
	o, err := New(db.Client, Options{Sealer: sealer(t, "the current secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.NewResealer().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}
