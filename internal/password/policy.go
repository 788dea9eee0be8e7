package password

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tenantry/ent"
)

const (
	// maxPassword is the maximum length of a password, in code points. A longer one is refused and
	// never truncated.
	maxPassword = 1024
	// maxGuessed is the maximum length, in bytes, of a password that is compared with the lists.
	maxGuessed = 64
	// minContext is the minimum length, in bytes, of a word that a password must not consist of.
	minContext = 3
	// freeDigits is the number of digits before or after a word that do not make it harder to
	// guess, such as a year.
	freeDigits = 4

	digits = "0123456789"
)

//go:embed common_passwords.txt
var commonPasswords string

// walks are common sequences of keys and letters.
var walks = []string{
	"01234567890", "09876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm",
	"zxcvbnmasdfghjklqwertyuiop",
	"1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
	"qazwsxedcrfvtgbyhnujmikolp",
}

// Check fails for a new password that is too short for the tenant, too long, or easy to guess (NIST
// SP 800-63B-4 §3.1.1.2). It counts code points and requires no particular characters. It refuses
// the characters that a sign-in must not send, so that a password from a command line or file can
// be used.
func Check(password string, tenant *ent.Tenant, email string) error {
	if !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl) {
		return errors.New("must be UTF-8 without control characters such as a tab or a line break")
	}
	switch n, minimum := utf8.RuneCountInString(password), tenant.Settings.MinPassword(); {
	case n < minimum:
		return fmt.Errorf("must have at least %d characters", minimum)
	case n > maxPassword:
		return fmt.Errorf("must have at most %d characters", maxPassword)
	case len(password) > maxGuessed:
		return nil
	}
	local, domain, _ := strings.Cut(email, "@")
	context := []string{"tenantry", tenant.Slug, plain(tenant.Slug), plain(tenant.Name), email, plain(email),
		plain(local), plain(domain)}
	lower := strings.ToLower(password)
	switch {
	case guessed(lower, inList) || guessed(plain(password), inList):
		return errors.New("is a common password, or a simple variation of one")
	case guessed(lower, among(context)) || composed(plain(password), context):
		return errors.New("consists of the name of the service, of the tenant or of the account")
	}
	return nil
}

// guessed reports whether a password is a known word, once or repeated, with up to freeDigits
// digits before and after it.
func guessed(password string, known func(word string) bool) bool {
	front := strings.TrimLeft(password, digits)
	word := strings.TrimRight(front, digits)
	before, after := len(password)-len(front), front[len(word):]
	return repeats(password, known) ||
		(repeats(word, known) && before <= freeDigits && (len(after) <= freeDigits || repeats(after, inList)))
}

// composed reports whether a password is one of the words with an easily guessed text before and
// after it.
func composed(password string, words []string) bool {
	easy := func(rest string) bool {
		return rest == "" || (len(rest) <= freeDigits && strings.Trim(rest, digits) == "") || guessed(rest, inList) ||
			guessed(rest, among(words))
	}
	return slices.ContainsFunc(words, func(word string) bool {
		before, after, found := strings.Cut(password, word)
		return found && len(word) >= minContext && easy(before) && easy(after)
	})
}

// repeats reports whether s is a known word, repeated any number of times. The last one may be
// truncated.
func repeats(s string, known func(word string) bool) bool {
	for n := minContext; n <= len(s); n++ {
		if s[n:] == s[:len(s)-n] && known(s[:n]) {
			return true
		}
	}
	return false
}

func inList(word string) bool {
	return strings.Contains(commonPasswords, "\n"+word+"\n") ||
		slices.ContainsFunc(walks, func(walk string) bool { return strings.Contains(walk, word) })
}

func among(words []string) func(string) bool {
	return func(word string) bool { return slices.Contains(words, word) }
}

// plain returns the letters and digits of a text, in lower case.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}
