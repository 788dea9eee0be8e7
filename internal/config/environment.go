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

// notSettings are variables with the prefix that are not settings of the server: those of
// `tenantry load` and of the tests.
var notSettings = []string{Prefix + "LOAD_PASSWORD", Prefix + "TEST_POSTGRES_URL"}

// environment returns the variables with the prefix, without the newlines at the end of their
// values. An empty variable counts as unset, since compose files write ${X:-}.
func environment(environ []string) map[string]string {
	values := map[string]string{}
	for key, value := range env.ToMap(environ) {
		value = Trim(value)
		if strings.HasPrefix(key, Prefix) && value != "" && !fromKubernetes(key, value) {
			values[key] = value
		}
	}
	return values
}

// Trim returns a value without the newlines at its end, which editors and commands add. It keeps
// blanks.
func Trim(value string) string { return strings.TrimRight(value, "\r\n") }

var (
	serviceVariable = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|` +
		`_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)
	serviceURL = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// fromKubernetes reports whether a variable is one that Kubernetes sets in every container for a
// service whose name has the prefix.
func fromKubernetes(key, value string) bool {
	return serviceVariable.MatchString(key) || (strings.HasSuffix(key, "_PORT") && serviceURL.MatchString(value))
}

// Unknown returns a warning for each variable that has the prefix and is not a setting, with the
// nearest setting, and for DATABASE_URL, which other programs read, if no variable sets the
// database. Load refuses unknown variables that begin like a setting of an OAuth provider.
func Unknown(environ []string) []string {
	known := slices.Clone(notSettings)
	for f := range fields() {
		known = append(known, Prefix+f.Tag.Get("env"))
		if f.Tag.Get("file") == "true" {
			known = append(known, Prefix+f.Tag.Get("env")+"_FILE")
		}
	}
	var warnings []string
	values := environment(environ)
	if values[Prefix+"DATABASE_URL"]+values[Prefix+"DATABASE_URL_FILE"] == "" &&
		env.ToMap(environ)["DATABASE_URL"] != "" {
		warnings = append(warnings, "DATABASE_URL is ignored: set "+Prefix+
			"DATABASE_URL or --database-url, otherwise SQLite is used")
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, key) && !strings.HasPrefix(key, Prefix+oauthPrefix) {
			warnings = append(warnings, fmt.Sprintf("%s is not a setting and is ignored%s", key,
				didYouMean(key, known)))
		}
	}
	return warnings
}

// didYouMean returns a question with the name that is nearest, or an empty string if none is near.
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
