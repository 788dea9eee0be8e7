package apitest

import (
	"slices"
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"tenantry/internal/database"
)

// invariants are queries that return no row after any test.
var invariants = map[string]string{
	LiveSessionOfInactive: `SELECT s.id FROM refresh_tokens s JOIN users u ON u.id = s.user_id
		JOIN tenants t ON t.id = s.tenant_id
		WHERE NOT s.revoked AND s.expires_at > {now} AND s.password_version = u.password_version
		AND t.is_active AND NOT u.is_active`,
	"a session of another tenant than its user's": `SELECT s.id FROM refresh_tokens s
		JOIN users u ON u.id = s.user_id WHERE u.tenant_id <> s.tenant_id`,
	"a session without a user": `SELECT id FROM refresh_tokens s
		WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = s.user_id)`,
	"a role of another tenant than its holder's": `SELECT a.user_id FROM user_roles a
		JOIN users u ON u.id = a.user_id JOIN roles r ON r.id = a.role_id
		WHERE u.tenant_id <> a.tenant_id OR r.tenant_id <> a.tenant_id`,
	"a state of another tenant than its user's": `SELECT s.id FROM oauth_states s
		JOIN users u ON u.id = s.user_id WHERE u.tenant_id <> s.tenant_id`,
	"a code of another tenant than its user's": `SELECT c.id FROM one_time_tokens c
		JOIN users u ON u.id = c.user_id WHERE u.tenant_id <> c.tenant_id`,
	"two users with one address": `SELECT tenant_id, email FROM users
		GROUP BY tenant_id, email HAVING count(*) > 1`,
	"an address that is not canonical": `SELECT id FROM users WHERE email <> lower(trim(email))`,
	"two users with one identity": `SELECT tenant_id, oauth_provider, oauth_id FROM users
		WHERE oauth_id IS NOT NULL GROUP BY tenant_id, oauth_provider, oauth_id HAVING count(*) > 1`,
	"a primary identity that is not in user_identities": `SELECT u.id FROM users u
		WHERE u.oauth_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM user_identities i WHERE i.user_id = u.id
			AND i.tenant_id = u.tenant_id AND i.provider = u.oauth_provider AND i.subject = u.oauth_id)`,
	"identities without a primary one": `SELECT i.id FROM user_identities i
		JOIN users u ON u.id = i.user_id WHERE u.oauth_id IS NULL`,
	"an identity of another tenant than its user's": `SELECT i.id FROM user_identities i
		JOIN users u ON u.id = i.user_id WHERE u.tenant_id <> i.tenant_id`,
	"an identity without its provider": `SELECT id FROM users WHERE (oauth_id IS NULL) <> (oauth_provider IS NULL)`,
	"a password hash that is not argon2id": `SELECT id FROM users
		WHERE password_hash IS NOT NULL AND password_hash NOT LIKE '$argon2id$v=19$m=%'`,
	"a tenant with superusers and without roles": `SELECT u.id FROM users u
		WHERE u.is_superuser AND NOT EXISTS (SELECT 1 FROM roles r WHERE r.tenant_id = u.tenant_id)`,
}

// LiveSessionOfInactive is the invariant that a test violates if it deactivates a user without the
// API.
const LiveSessionOfInactive = "an active session of a user who is not active"

// checkInvariants fails the test if a row violates an invariant that is not in except.
func checkInvariants(t testing.TB, db *database.DB, except []string) {
	t.Helper()
	if err := db.SQL.Ping(); err != nil {
		return // the test has closed the database, or stopped it
	}
	now := "now()"
	if db.Dialect() == dialect.SQLite {
		now = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
	}
	for violation, query := range invariants {
		if slices.Contains(except, violation) {
			continue
		}
		var rows int
		err := db.SQL.QueryRow("SELECT count(*) FROM (" + strings.ReplaceAll(query, "{now}", now) +
			") AS violations").Scan(&rows)
		if err != nil || rows > 0 {
			t.Errorf("%s: %d rows, error %v", violation, rows, err)
		}
	}
}
