package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/caarlos0/env/v11"
)

// elsewhere are variables with the prefix that are no setting of the server: those of `tenantry
// load` and of the tests.
var elsewhere = []string{Prefix + "LOAD_PASSWORD", Prefix + "TEST_POSTGRES_URL"}

// environment returns the variables of an environment that are set for this program, without the
// newlines at their end. An empty one counts as unset: compose files write ${X:-}.
func environment(environ []string) map[string]string {
	values := map[string]string{}
	for key, value := range env.ToMap(environ) {
		value = Trim(value)
		if strings.HasPrefix(key, Prefix) && value != "" && !ofService(key, value) {
			values[key] = value
		}
	}
	return values
}

// Trim returns a value without the newlines at its end, which editors and commands add. Everything
// else counts, blanks too.
func Trim(value string) string { return strings.TrimRight(value, "\r\n") }

var (
	serviceVariable = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)
	serviceURL      = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// ofService reports whether Kubernetes sets a variable in every container, for a service whose name
// begins as the prefix does.
func ofService(key, value string) bool {
	return serviceVariable.MatchString(key) || (strings.HasSuffix(key, "_PORT") && serviceURL.MatchString(value))
}

// Unknown returns a sentence for each variable of an environment that has the prefix and is no
// setting, with the nearest name, and for DATABASE_URL, which other programs read, where no
// variable names the database. A variable that begins like a setting of an OAuth provider is
// refused by Load.
func Unknown(environ []string) []string {
	known := slices.Clone(elsewhere)
	for f := range fields() {
		known = append(known, Prefix+f.Tag.Get("env"))
		if f.Tag.Get("file") == "true" {
			known = append(known, Prefix+f.Tag.Get("env")+"_FILE")
		}
	}
	var sentences []string
	given := environment(environ)
	if given[Prefix+"DATABASE_URL"]+given[Prefix+"DATABASE_URL_FILE"] == "" &&
		env.ToMap(environ)["DATABASE_URL"] != "" {
		sentences = append(sentences, "DATABASE_URL is ignored: the database is that of "+Prefix+
			"DATABASE_URL or --database-url, or else SQLite")
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(known, key) && !strings.HasPrefix(key, Prefix+oauthPrefix) {
			sentences = append(sentences, fmt.Sprintf("%s is no setting and is ignored%s", key, didYouMean(key, known)))
		}
	}
	return sentences
}

// didYouMean asks for the nearest of the names, or for nothing if none is near.
func didYouMean(name string, names []string) string {
	nearest, least := "", 2+(len(name)-len(Prefix))/4
	for _, n := range names {
		if d := levenshtein.Distance(name, n, nil); d < least {
			nearest, least = n, d
		}
	}
	if nearest == "" {
		return ""
	}
	return ": did you mean " + nearest + "?"
}
