package database

import "testing"

func TestInvalidates_statementsOnCachedTablesAndUnclassifiedOnes(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{
		`UPDATE "users" SET "email" = $1`: true, "UPDATE `users` SET `email` = ?": true,
		"UPDATE users SET email = $1":           true,
		`DELETE FROM "tenants" WHERE "id" = $1`: true, `INSERT INTO "user_roles" ("user_id") VALUES ($1)`: true,
		"INSERT INTO user_roles (tenant_id)\nSELECT 1": true, "INSERT INTO user_roles(tenant_id) SELECT 1": true,
		`INSERT INTO "oauth_providers" ("id") VALUES ($1)`: true, "DELETE FROM `refresh_tokens`": true,
		`UPDATE "roles" SET "name" = $1`: true, "DELETE FROM refresh_tokens": true,
		"UPDATE users\nSET email = $1": true,
		// A statement that cannot be classified counts as a change.
		"WITH old AS (SELECT 1) UPDATE users SET email = $1": true, `UPDATE "public"."users" SET email = $1`: true,
		"UPDATE ONLY users SET email = $1": true, "update users set email = $1": true,
		"\nUPDATE users SET email = $1": true,
		"UPDATE\nusers SET email = $1":  true, "MERGE INTO users USING x ON true": true, "TRUNCATE users": true,
		"/* a comment */ DELETE FROM users": true, "": true, "UPDATE": true, "CALL disable_all()": true,
		`INSERT INTO "refresh_tokens" ("id") VALUES ($1)`: false, `SELECT "users"."id" FROM "users"`: false,
		`INSERT INTO throttles (id) SELECT 1`: false, `UPDATE "signing_keys" SET "state" = $1`: false,
		`DELETE FROM "oauth_states" WHERE 1`: false, `UPDATE "users_of_old" SET x = 1`: false,
	} {
		if got := invalidates(t.Context(), query); got != want {
			t.Errorf("%s: %t", query, got)
		}
		if invalidates(WithoutInvalidation(t.Context()), query) {
			t.Errorf("%s: reported although the context is without invalidation", query)
		}
	}
}
