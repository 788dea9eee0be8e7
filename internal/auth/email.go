package auth

import (
	"errors"
	"regexp"
	"strings"
)

// errEmail is the only thing that is said of an e-mail address that is not taken.
var errEmail = errors.New("must be one plain e-mail address in ASCII, such as ada@example.com")

// addrSpec is the dot-atom form of an addr-spec (RFC 5322 §3.4.1) with a host name of at least two
// labels: no display name, no quotes, no comment, no address literal, nothing outside ASCII.
// Letters outside ASCII are what makes two addresses look or fold alike (CVE-2019-19844); an
// internationalised domain is written in its A-label form.
var addrSpec = regexp.MustCompile(
	"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*" +
		"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$")

// CanonicalEmail returns the one form of an address that is stored, compared and mailed to: the
// ASCII addr-spec in lower case. Local parts are folded too, although RFC 5321 §2.4 would keep them
// apart: no provider of note does, and two accounts that differ in case alone are a trap. Anything
// else, a space at the end included, is an error.
func CanonicalEmail(email string) (string, error) {
	local, _, _ := strings.Cut(email, "@")
	if len(email) > 254 || len(local) > 64 || !addrSpec.MatchString(email) {
		return "", errEmail
	}
	return strings.ToLower(email), nil
}
