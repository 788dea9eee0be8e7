package server_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	entschema "entgo.io/ent/dialect/sql/schema"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/migrate"
	"tenantry/internal/api"
	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
	"tenantry/internal/sessions"
)

// privateColumns are the columns of each table that no response shows. A new column is either a
// member of the schema of the contract, or listed here with the reason.
var privateColumns = map[string]map[string]string{
	"User": {
		"password_hash":     "secret",
		"password_version":  "internal: revokes sessions",
		"full_name_folded":  "internal: search",
		"email_verified_at": "shown as email_verified",
		"oauth_provider":    "shown by the operations of identities",
		"oauth_id":          "shown by the operations of identities",
	},
	"Role":   {"tenant_id": "that of the signed-in user"},
	"Tenant": {"is_deleting": "a deleted tenant is 404"},
	"Session": {
		"tenant_id": "that of the user", "user_id": "the user of the path", "updated_at": "internal",
		"counter": "internal: rotation", "rotated_at": "shown as last_used_at", "password_version": "internal",
		"provider_id": "internal: revocation", "provider_generation": "internal: revocation",
		"revoked": "revoked sessions are not listed", "revoked_reason": "revoked sessions are not listed",
		"authenticated_at": "internal: assurance", "amr": "internal: assurance",
	},
	"OAuthProvider": {
		"tenant_id": "that of the signed-in user", "client_secret": "secret", "generation": "internal: revocation",
	},
}

// tablesOfSchemas are the tables whose rows the schemas of the contract show.
var tablesOfSchemas = map[string]string{
	"User": "users", "Role": "roles", "Tenant": "tenants", "Session": "refresh_tokens",
	"OAuthProvider": "oauth_providers",
}

func TestColumns_areInTheContractOrPrivate(t *testing.T) {
	t.Parallel()
	contract, err := api.Contract()
	if err != nil {
		t.Fatal(err)
	}
	for schema, name := range tablesOfSchemas {
		members := contract.Components.Schemas[schema].Value.Properties
		at := slices.IndexFunc(migrate.Tables, func(table *entschema.Table) bool { return table.Name == name })
		for _, column := range migrate.Tables[at].Columns {
			_, private := privateColumns[schema][column.Name]
			if _, shown := members[column.Name]; shown == private {
				t.Errorf("%s.%s: in the schema %s: %t, in privateColumns: %t", name, column.Name, schema, shown,
					private)
			}
		}
	}
}

// notProjected are the columns of a user that the auth projection does not read.
var notProjected = []string{"password_hash", "full_name_folded", "oauth_provider", "oauth_id"}

// The projection and the response of a user are written by hand. A column that either forgets would
// be answered by one operation and be empty in another.
func TestColumns_ofAUserAreProjectedAndAnswered(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		ctx := principal.System(t.Context(), "test")
		u := s.CreateUser("acme", "ada@acme.test", "owner").User
		u = s.DB.Client.User.UpdateOne(u).SetFullName("Ada Lovelace").SetIsSuperuser(true).SetPasswordVersion(7).
			SetEmailVerifiedAt(u.CreatedAt).SaveX(ctx)
		account := s.SignIn("acme", u)
		stored := s.DB.Client.User.GetX(ctx, u.ID)
		byUser, err := sessions.ProjectionOfUser(ctx, s.DB.Client, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		byCredentials, err := sessions.ProjectionOfCredentials(ctx, s.DB.Client, "acme", u.Email)
		if err != nil {
			t.Fatal(err)
		}
		bySession, err := s.Server.Sessions.OfSession(ctx, s.Sessions(account.Access)[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		for name, projected := range map[string]*ent.User{
			"user": byUser.User, "credentials": byCredentials.User, "session": bySession.User,
		} {
			compareColumns(t, name, stored, projected)
		}
		for path, answer := range map[string]apitest.Answer{
			"me":      s.Call("GET", "/api/v1/users/me", account.Access, nil),
			"by id":   s.Call("GET", "/api/v1/users/"+u.ID.String(), account.Access, nil),
			"include": s.Call("GET", "/api/v1/users/me?include=roles,tenant", account.Access, nil),
		} {
			answered(t, path, answer.Body)
		}
	})
}

// compareColumns fails the test for each column, by its Go field, that is empty or differs.
func compareColumns(t *testing.T, name string, stored, projected *ent.User) {
	t.Helper()
	for i := range reflect.TypeFor[ent.User]().NumField() {
		field := reflect.TypeFor[ent.User]().Field(i)
		column, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || field.Name == "Edges" || field.Name == "PasswordHash" ||
			slices.Contains(notProjected, column) {
			continue
		}
		want, got := reflect.ValueOf(*stored).Field(i), reflect.ValueOf(*projected).Field(i)
		if want.IsZero() {
			t.Errorf("the test does not set %s", column)
		}
		wantJSON, _ := json.Marshal(want.Interface())
		gotJSON, _ := json.Marshal(got.Interface())
		if string(wantJSON) != string(gotJSON) {
			t.Errorf("the projection by %s has %s = %s, want %s", name, column, gotJSON, wantJSON)
		}
	}
}

// answered fails the test for each member of the schema User that a response lacks or leaves empty.
func answered(t *testing.T, path string, body []byte) {
	t.Helper()
	contract, err := api.Contract()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		t.Fatal(err)
	}
	for name := range contract.Components.Schemas["User"].Value.Properties {
		included := slices.Contains([]string{"roles", "tenant", "identities"}, name)
		if value, ok := members[name]; !included &&
			(!ok || value == "" || value == false || value == uuid.Nil.String()) {
			t.Errorf("%s answers %s = %v", path, name, value)
		}
	}
}
