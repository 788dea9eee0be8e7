package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"

	"tenantry/internal/database"
)

// invariants are statements that find no row after any test.
var invariants = map[string]string{
	liveOfInactive: `SELECT s.id FROM refresh_tokens s JOIN users u ON u.id = s.user_id JOIN tenants t ON t.id = s.tenant_id
		WHERE NOT s.revoked AND s.expires_at > {now} AND s.password_version = u.password_version AND t.is_active AND NOT u.is_active`,
	"a session of another tenant than its user's": `SELECT s.id FROM refresh_tokens s JOIN users u ON u.id = s.user_id WHERE u.tenant_id <> s.tenant_id`,
	"a session without a user":                    `SELECT id FROM refresh_tokens s WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = s.user_id)`,
	"a role of another tenant than its holder's": `SELECT a.user_id FROM user_roles a JOIN users u ON u.id = a.user_id JOIN roles r ON r.id = a.role_id
		WHERE u.tenant_id <> a.tenant_id OR r.tenant_id <> a.tenant_id`,
	"a state of another tenant than its user's":  `SELECT s.id FROM oauth_states s JOIN users u ON u.id = s.user_id WHERE u.tenant_id <> s.tenant_id`,
	"a code of another tenant than its user's":   `SELECT c.id FROM one_time_tokens c JOIN users u ON u.id = c.user_id WHERE u.tenant_id <> c.tenant_id`,
	"two users with one address":                 `SELECT tenant_id, email FROM users GROUP BY tenant_id, email HAVING count(*) > 1`,
	"an address that is not canonical":           `SELECT id FROM users WHERE email <> lower(trim(email))`,
	"two users with one identity":                `SELECT tenant_id, oauth_provider, oauth_id FROM users WHERE oauth_id IS NOT NULL GROUP BY tenant_id, oauth_provider, oauth_id HAVING count(*) > 1`,
	"an identity without its provider":           `SELECT id FROM users WHERE (oauth_id IS NULL) <> (oauth_provider IS NULL)`,
	"a password hash that is not argon2id":       `SELECT id FROM users WHERE password_hash IS NOT NULL AND password_hash NOT LIKE '$argon2id$v=19$m=%'`,
	"a tenant with superusers and without roles": `SELECT u.id FROM users u WHERE u.is_superuser AND NOT EXISTS (SELECT 1 FROM roles r WHERE r.tenant_id = u.tenant_id)`,
}

// liveOfInactive is the invariant that does not hold where a test deactivates a user past the API.
const liveOfInactive = "a live session of a user who is not active"

// holdInvariants fails the test if a row contradicts the invariants, except some.
func holdInvariants(t testing.TB, db *database.DB, except []string) {
	t.Helper()
	if err := db.SQL.Ping(); err != nil {
		return // the test has closed the database, or stopped it
	}
	now := "now()"
	if db.Dialect() == dialect.SQLite {
		now = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
	}
	for what, query := range invariants {
		if slices.Contains(except, what) {
			continue
		}
		var found int
		err := db.SQL.QueryRow("SELECT count(*) FROM (" + strings.ReplaceAll(query, "{now}", now) + ") AS found").Scan(&found)
		if err != nil || found > 0 {
			t.Errorf("%s: %d rows, error %v", what, found, err)
		}
	}
}

// secrets collects what must not be in a log.
type secrets struct {
	mu     sync.Mutex
	values []string
}

// secretMembers are the members of requests and answers whose values are secret.
var secretMembers = []string{
	"access_token", "client_secret", "code", "code_verifier", "current_password", "device_token", "new_password", "password", "refresh_token",
}

// observe collects the secrets of a JSON object, whose members may be objects, and of headers.
func (c *secrets) observe(content []byte, header http.Header) {
	var members map[string]any
	if json.Unmarshal(content, &members) != nil {
		members = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.collect(members)
	if token, found := strings.CutPrefix(header.Get("Authorization"), "Bearer "); found {
		c.add(token)
	}
	for _, name := range []string{"Cookie", "Set-Cookie"} {
		for _, line := range header.Values(name) {
			_, value, _ := strings.Cut(line, "=")
			value, _, _ = strings.Cut(value, ";")
			c.add(value)
		}
	}
}

func (c *secrets) collect(members map[string]any) {
	for name, value := range members {
		switch v := value.(type) {
		case string:
			if slices.Contains(secretMembers, name) {
				c.add(v)
			}
		case map[string]any:
			c.collect(v)
		}
	}
}

// add adds a secret, and the parts of a token after the first, which names no secret.
func (c *secrets) add(value string) {
	parts := strings.Split(value, ".")
	if len(parts) == 3 {
		parts = parts[1:]
	}
	for _, part := range parts {
		if len(part) >= 12 && uuid.Validate(part) != nil && !publicValue.MatchString(part) {
			c.values = append(c.values, part)
		}
	}
}

// publicValue matches problem codes, which have the member name of an authorization code.
var publicValue = regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`)

// hold fails the test if a secret that was sent or received is in a text, such as the log (L-01).
func (c *secrets) hold(t testing.TB, text string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.values)
	c.values = slices.Compact(c.values)
	for _, value := range c.values {
		if at := strings.Index(text, value); at >= 0 {
			line := text[strings.LastIndexByte(text[:at], '\n')+1:]
			line, _, _ = strings.Cut(line, "\n")
			t.Errorf("the secret %q is in: %s", value, line)
		}
	}
}

// sent returns the body of a request, which can be read again.
func sent(r *http.Request) []byte {
	if r.GetBody == nil {
		return nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil
	}
	defer body.Close()
	content, _ := io.ReadAll(io.LimitReader(body, 1<<20))
	return bytes.TrimSpace(content)
}
