package auth

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// FuzzCanonicalEmail holds that what is taken has one form, which can neither be read nor sent in
// two ways.
func FuzzCanonicalEmail(f *testing.F) {
	for _, email := range []string{
		"ada@example.com", "Ada.Lovelace+x@Example.COM", "o'hara@xn--bcher-kva.example", "", "@", "a@b@c.test",
		"mi\u212ae@b.test", "m\u0131ke@b.test",
		"a@b.test\nBcc: x@y.test", "a@b.test\x00.evil.test", `"a@b"@c.test`, "a@[127.0.0.1]", "Ada <a@b.test>",
		"a@b.test (x)", "=?utf-8?q?a?=@b.test",
		"e\u0301@b.test", "a@\uff45xample.test", "\u202ea@b.test", "a@b..test", "a%b@c.test", "a!b@c.test",
		strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 94) + "t",
		strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 95) + "t", strings.Repeat("a", 65) + "@b.test",
	} {
		f.Add(email)
	}
	f.Fuzz(func(t *testing.T, email string) {
		got, err := CanonicalEmail(email)
		if err != nil {
			if got != "" {
				t.Fatalf("%q and %v", got, err)
			}
			return
		}
		if again, err := CanonicalEmail(got); again != got || err != nil {
			t.Errorf("%q is not canonical: %q, %v", got, again, err)
		}
		if got != strings.ToLower(got) || !norm.NFC.IsNormalString(got) || len(got) > 254 ||
			strings.Count(got, "@") != 1 || strings.ContainsAny(got, " \r\n\x00,;<>\"()") {
			t.Errorf("%q became %q", email, got)
		}
		if !strings.EqualFold(got, email) {
			t.Errorf("%q became another address: %q", email, got)
		}
	})
}
