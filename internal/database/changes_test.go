package database

import "testing"

func TestChanges_are_told_from_what_nobody_remembers(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{
		`UPDATE "users" SET "email" = $1`: true, "UPDATE `users` SET `email` = ?": true, "UPDATE users SET email = $1": true,
		`DELETE FROM "tenants" WHERE "id" = $1`: true, `INSERT INTO "user_roles" ("user_id") VALUES ($1)`: true, "INSERT INTO user_roles (tenant_id)\nSELECT 1": true,
		`INSERT INTO "oauth_providers" ("id") VALUES ($1)`: true, "DELETE FROM `refresh_tokens`": true, `UPDATE "roles" SET "name" = $1`: true,
		`INSERT INTO "refresh_tokens" ("id") VALUES ($1)`: false, `SELECT "users"."id" FROM "users"`: false, `INSERT INTO throttles (id) SELECT 1`: false,
		`UPDATE "signing_keys" SET "state" = $1`: false, `DELETE FROM "oauth_states" WHERE 1`: false, `UPDATE "users_of_old" SET x = 1`: false, "": false, "UPDATE": false,
	} {
		if got := changes(t.Context(), query); got != want {
			t.Errorf("%s: %t", query, got)
		}
		if changes(Quiet(t.Context()), query) {
			t.Errorf("%s: told although it is quiet", query)
		}
	}
}
