package auth

import (
	"strings"
	"testing"
)

func TestCanonicalEmail(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ada@example.com": "ada@example.com", "Ada.Lovelace+x@Example.COM": "ada.lovelace+x@example.com",
		"o'hara@xn--bcher-kva.example": "o'hara@xn--bcher-kva.example",
		"admin@tenantry.internal":      "admin@tenantry.internal",
		"":                             "", "@": "", "a@": "", "@b.test": "", "a@localhost": "", "a@[127.0.0.1]": "",
		"a@b..test": "",
		".a@b.test": "", "a.@b.test": "",
		"a b@c.test": "", `"a"@b.test`: "", "Ada <a@b.test>": "", "a@b.test ": "", " a@b.test": "", "a@b@c.test": "",
		"a@b.test\n":       "",
		"mi\u212ae@b.test": "", "m\u0131ke@b.test": "", "v\u0130ctim@b.test": "", "a@b\u00fccher.test": "",
		"a@-b.test": "", "a@b.test.": "",
		strings.Repeat("a", 65) + "@b.test": "", "a@" + strings.Repeat("b.", 130) + "test": "", "a\x00@b.test": "",
		"a@b.c0m": "a@b.c0m",
	} {
		got, err := CanonicalEmail(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
		if again, err := CanonicalEmail(got); want != "" && (again != got || err != nil) {
			t.Errorf("%q is not canonical: %q, %v", got, again, err)
		}
	}
}
