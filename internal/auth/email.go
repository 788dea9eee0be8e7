package auth

import (
	"errors"
	"regexp"
	"strings"
)

// errEmail is the error of every e-mail address that is not accepted.
var errEmail = errors.New("must be one plain e-mail address in ASCII, such as ada@example.com")

// addrSpec is the dot-atom form of an addr-spec (RFC 5322 §3.4.1) with a host name of at least two
// labels: no display name, no quotes, no comment, no address literal, nothing outside ASCII.
// Letters outside ASCII can make two addresses look alike or fold to one (CVE-2019-19844). An
// internationalised domain is written in its A-label form.
var addrSpec = regexp.MustCompile(
	"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*" +
		"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$")

// CanonicalEmail returns the form of an address that is stored, compared and mailed to: the ASCII
// addr-spec in lower case. Local parts are folded too. RFC 5321 §2.4 distinguishes their case, but
// mail providers do not, and users confuse two accounts that differ only in case. Every other text
// is an error, also one with a space at the end.
func CanonicalEmail(email string) (string, error) {
	local, _, _ := strings.Cut(email, "@")
	if len(email) > 254 || len(local) > 64 || !addrSpec.MatchString(email) {
		return "", errEmail
	}
	return strings.ToLower(email), nil
}
