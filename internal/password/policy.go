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
	// maxPassword bounds what is hashed, in code points. A longer one is refused and never cut.
	maxPassword = 1024
	// maxGuessed is how long a password may be, in bytes, to be on anybody's list, repetitions
	// included.
	maxGuessed = 64
	// minContext is how long a word must be, in bytes, to be one that a password must not be made
	// of.
	minContext = 3
	// freeDigits is how many digits may be before or behind a word and leave it as easy to guess as
	// it was: a year, most often.
	freeDigits = 4

	digits = "0123456789"
)

//go:embed common_passwords.txt
var commonPasswords string

// walks are the ways over the keys and the alphabet that people take for a password.
var walks = []string{
	"01234567890", "09876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm",
	"zxcvbnmasdfghjklqwertyuiop",
	"1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
	"qazwsxedcrfvtgbyhnujmikolp",
}

// Check refuses a new password that is too short for the tenant, too long, or guessed by everybody
// (NIST SP 800-63B-4 §3.1.1.2). It counts code points, changes nothing and asks for no particular
// characters, but refuses those that no sign-in may send: whatever a command line or a file accepts
// must be of use.
func Check(password string, home *ent.Tenant, email string) error {
	if !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl) {
		return errors.New("must be UTF-8 without control characters such as a tab or a line break")
	}
	switch n, least := utf8.RuneCountInString(password), home.Settings.MinPassword(); {
	case n < least:
		return fmt.Errorf("must have at least %d characters", least)
	case n > maxPassword:
		return fmt.Errorf("must have at most %d characters", maxPassword)
	case len(password) > maxGuessed:
		return nil
	}
	local, domain, _ := strings.Cut(email, "@")
	context := []string{"tenantry", home.Slug, plain(home.Slug), plain(home.Name), email, plain(email), plain(local),
		plain(domain)}
	lower := strings.ToLower(password)
	switch {
	case guessed(lower, inList) || guessed(plain(password), inList):
		return errors.New("is a common password, or is easily made of one")
	case guessed(lower, among(context)) || composed(plain(password), context):
		return errors.New("is made of the name of the service, of the tenant or of the account")
	}
	return nil
}

// guessed reports whether a password is a known word, once or repeated, with digits around it that
// add little.
func guessed(password string, known func(word string) bool) bool {
	front := strings.TrimLeft(password, digits)
	word := strings.TrimRight(front, digits)
	before, after := len(password)-len(front), front[len(word):]
	return repeats(password, known) ||
		(repeats(word, known) && before <= freeDigits && (len(after) <= freeDigits || repeats(after, inList)))
}

// composed reports whether a password is one of the words with what everybody guesses before and
// behind it.
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

// repeats reports whether s is a known word over and over; the last time may be cut short.
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

// plain is what remains of a text when case and everything but letters and digits are taken away.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}
