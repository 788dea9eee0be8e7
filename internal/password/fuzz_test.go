package password

import (
	"strings"
	"testing"
	"unicode/utf8"

	"tenantry/ent"
)

// FuzzParsePHC checks that an accepted hash has one spelling and parameters within the bounds.
func FuzzParsePHC(f *testing.F) {
	h := NewHasher(HashOptions{})
	f.Add(h.parameters([]byte("sixteen bytes..."), []byte("thirty-two bytes make one key...")).String())
	const salt, key = "$AAAAAAAAAAA", "$AAAAAAAAAAAAAAAAAAAAAA"
	for _, s := range []string{
		"", "$", "$$$$$", "$2a$10$abcdefghijklmnopqrstuu", "$argon2id$v=19$m=4194304,t=2,p=1" + salt + key,
		"$argon2id$v=19$m=19456,t=2,p=0" + salt + key,
		"$argon2id$v=19$m=+19456,t=2,p=1" + salt + key, "$argon2id$v=19$m=019456,t=2,p=1" + salt + key,
		"$argon2id$v=19$m=19456,t=2,p=257" + salt + key,
		"$argon2id$v=16$m=19456,t=2,p=1" + salt + key, "$argon2i$v=19$m=19456,t=2,p=1" + salt + key,
		"$argon2id$v=19$m=19456,t=2,p=1$" + key,
		"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAB" + key, "$argon2id$v=19$m=19456,t=2,p=1" + salt + "\n" + key,
		"$argon2id$v=19$m=8,t=1,p=1" + salt + key,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err != nil {
			return
		}
		if p.String() != s {
			t.Errorf("%q is read as %q", s, p)
		}
		if p.memory < 8 || p.memory > maxArgonMemory || p.time < 1 || p.time > maxArgonTime || p.threads < 1 ||
			p.threads > 16 ||
			int(p.size) != len(p.key) || len(p.key) < 16 || len(p.key) > 64 || len(p.salt) < 8 || len(p.salt) > 64 {
			t.Errorf("out of bounds: %+v", p)
		}
	})
}

// FuzzCheckPassword checks that Check ends for every password, and that a tenant's names do not
// change the limits of length.
func FuzzCheckPassword(f *testing.F) {
	for _, password := range []string{
		"", "correct horse battery staple", "fourteen chars", strings.Repeat("😀", 15), strings.Repeat("x", 1025),
		"passwordpassword", "123456789012345",
		"acme-toolsacme-tools", "Ada Lovelace 1815", "\xff\xfe\xfd",
		"İİİİİİİİİİİİİİİ", "e\u0301e\u0301e\u0301e\u0301",
		strings.Repeat("\u0000", 15), "aaaaaaaaaaaaaaaaaaa1",
	} {
		f.Add(password, "acme-tools", "Acme Tools of Sofia", "ada.lovelace@acme.test", 0)
		f.Add(password, "", "", "", 8)
	}
	f.Fuzz(func(t *testing.T, password, slug, name, email string, minimum int) {
		tenant := &ent.Tenant{Slug: slug, Name: name}
		tenant.Settings.PasswordMinLength = minimum
		if n := utf8.RuneCountInString(password); Check(password, tenant, email) == nil &&
			(n < tenant.Settings.MinPassword() || n > maxPassword) {
			t.Errorf("%d characters are enough", n)
		}
	})
}
