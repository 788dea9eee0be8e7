package database

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// libpqParameter is a connection parameter of libpq that lib/pq does not know. It would send it to
// the server, which refuses what is no setting of a session, or fail because of its variable.
type libpqParameter struct {
	name, variable string
	// harmless are the values without which the connection is as good. Nil means every value.
	harmless []string
	// instead says what to do about another value.
	instead string
}

// libpqParameters are those that change how a connection is made, and no session.
var libpqParameters = []libpqParameter{
	{"channel_binding", "PGCHANNELBINDING", []string{"", "prefer", "disable"},
		"the driver has no channel binding; sslmode=verify-full with sslrootcert also keeps a server in between out"},
	{"gssencmode", "PGGSSENCMODE", []string{"", "prefer", "disable"},
		"the driver does not encrypt with GSSAPI; use sslmode=verify-full"},
	{"sslcompression", "PGSSLCOMPRESSION", nil, ""},
	{"requiressl", "PGREQUIRESSL", []string{"", "0"}, "write sslmode=require"},
	{"keepalives", "", nil, ""}, {"keepalives_idle", "", nil, ""}, {"keepalives_interval", "", nil, ""},
	{"keepalives_count", "", nil, ""},
	{"tcp_user_timeout", "", nil, ""}, {"sslkeylogfile", "", []string{""},
		"the driver writes no keys of TLS to a file"},
	{"gsslib", "PGGSSLIB", nil, ""}, {"gssdelegation", "PGGSSDELEGATION", []string{"", "0"},
		"the driver delegates no credentials"},
	{"", "PGREALM", nil, ""},
	{"sslcertmode", "PGSSLCERTMODE", []string{"", "allow"},
		"the driver sends the certificate that sslcert names whenever the server asks for one"},
	{"sslcrl", "PGSSLCRL", []string{""}, "the driver reads no revocation lists"},
	{"sslcrldir", "PGSSLCRLDIR", []string{""}, "the driver reads no revocation lists"},
	{"sslpassword", "", []string{""}, "the driver reads only keys without a passphrase"},
	{"require_auth", "PGREQUIREAUTH", []string{""},
		"the driver accepts every method of authentication that it knows; set the method in pg_hba.conf"},
	{"requirepeer", "PGREQUIREPEER", []string{""}, "the driver does not look at the owner of a socket"},
	{"scram_client_key", "", []string{""}, "give the password"},
	{"scram_server_key", "", []string{""}, "give the password"},
	{"servicefile", "", []string{""}, "name the file in PGSERVICEFILE"},
	{"replication", "", []string{"", "false", "off", "no", "0"}, "Tenantry opens no replication connections"},
}

// dropLibpqParameters removes what does no harm from the parameters of a DSN, and refuses the rest
// with what to do instead.
func dropLibpqParameters(q url.Values) error {
	for _, p := range libpqParameters {
		if p.name == "" || !q.Has(p.name) {
			continue
		}
		if err := p.check(p.name, q.Get(p.name)); err != nil {
			return err
		}
		q.Del(p.name)
	}
	return nil
}

func (p libpqParameter) check(as, value string) error {
	if p.harmless == nil || slices.Contains(p.harmless, strings.ToLower(value)) {
		return nil
	}
	if strings.Contains(as, "key") || strings.Contains(as, "password") {
		value = "…"
	}
	return fmt.Errorf("%s=%s cannot be kept: %s", as, value, p.instead)
}

// DropVariables removes variables of libpq that lib/pq refuses, although they do no harm, from the
// environment of the process, and empty ones, which count as unset. A program calls it once, before
// it opens a database. It fails where a variable asks for what the driver cannot do.
func DropVariables() error {
	for _, p := range libpqParameters {
		value, set := os.LookupEnv(p.variable)
		if p.variable == "" || !set {
			continue
		}
		if err := p.check(p.variable, value); err != nil {
			return err
		}
		if err := os.Unsetenv(p.variable); err != nil {
			return fmt.Errorf("unset %s: %w", p.variable, err)
		}
	}
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); value == "" && strings.HasPrefix(name, "PG") {
			if err := os.Unsetenv(name); err != nil {
				return fmt.Errorf("unset %s: %w", name, err)
			}
		}
	}
	return nil
}
