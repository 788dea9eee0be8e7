package password

import (
	"strings"
	"testing"

	"tenantry/ent"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	tenant := &ent.Tenant{Slug: "acme-tools", Name: "Acme Tools of Sofia"}
	tests := map[string]struct {
		password string
		reason   string
	}{
		"passphrase":                   {"correct horse battery staple", ""},
		"letters":                      {"qnvwpzrtkxmbdlg", ""},
		"spaces and Thai":              {"รหัสผ่านของฉันยาวมาก", ""},
		"emoji":                        {strings.Repeat("😀", 15), ""},
		"word and number of one's own": {"monkey847261940583", ""},
		"contains the tenant":          {"the acme-tools are heavy", ""},
		"as long as no list":           {strings.Repeat("x", 128), ""},
		"tab":                          {"correct horse\tbattery staple", "control"},
		"line break":                   {"correct horse\nbattery staple", "control"},
		"control of C1":                {"correct horse\u0085battery staple", "control"},
		"not UTF-8":                    {"correct horse\xffbattery staple", "UTF-8"},
		"blanks around":                {"  correct horse battery staple ", ""},
		"14 code points":               {"fourteen chars", "at least 15"},
		"14 code points, 56 bytes":     {strings.Repeat("😀", 14), "at least 15"},
		"longer than anything":         {strings.Repeat("x", 1025), "at most 1024"},
		"own address":                  {"ada.lovelace@acme.test", "account"},
		"own name":                     {"Ada Lovelace 1815", "account"},
		"slug":                         {"acme-toolsacme-tools", "tenant"},
		"name of the tenant":           {"Acme Tools of Sofia", "tenant"},
		"name of the tenant, spelled":  {"ACME_TOOLS_OF_SOFIA!2026", "tenant"},
		"product and common word":      {"password-tenantry", "service"},
		"product, word and year":       {"tenantryadmin2026", "service"},
		"tenant and common number":     {"acme-tools 123456789", "tenant"},
		"product":                      {"Tenantry-Tenantry", "service"},
	}
	for name, tt := range tests {
		err := Check(tt.password, tenant, "ada.lovelace@acme.test")
		if (err == nil) != (tt.reason == "") || (err != nil && !strings.Contains(err.Error(), tt.reason)) {
			t.Errorf("%s: %v, want %q", name, err, tt.reason)
		}
	}
}

// ASVS 6.2.4: the list has at least 3000 passwords that the policy would otherwise accept, at the
// lowest minimum length that a tenant may set.
func TestCheck_commonPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	minimum := 8
	tenant := &ent.Tenant{}
	tenant.Settings.PasswordMinLength = minimum
	refused := 0
	for word := range strings.Lines(commonPasswords) {
		if word = strings.TrimSuffix(word, "\n"); len(word) < minimum || strings.HasPrefix(word, "# ") {
			continue
		}
		if err := Check(strings.ToUpper(word), tenant, ""); err == nil {
			t.Errorf("%q is accepted", word)
		}
		refused++
	}
	if refused < 3000 {
		t.Errorf("a list of %d", refused)
	}
	for _, password := range []string{
		"passwordpassword", "Password Password!", "password12345678", "Monkey123456789", "123456789012345",
		"abc123abc123abc",
		"qwerty qwerty qwerty", "2026passwordpassword", "1qaz2wsx3edc4rfv", "!!!letmein!!!letmein",
	} {
		if err := Check(password, &ent.Tenant{}, ""); err == nil {
			t.Errorf("%q is accepted", password)
		}
	}
}
