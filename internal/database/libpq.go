package database

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// libpqParameter is a connection parameter of libpq that lib/pq does not support. lib/pq would send
// the parameter to the server, which refuses it, or fail because of its environment variable.
type libpqParameter struct {
	name, variable string
	// harmless are the values that may be ignored. Nil means every value.
	harmless []string
	// instead is the advice for any other value.
	instead string
}

// libpqParameters are the parameters that change how a connection is opened.
var libpqParameters = []libpqParameter{
	{"channel_binding", "PGCHANNELBINDING", []string{"", "prefer", "disable"},
		"the driver has no channel binding; sslmode=verify-full with sslrootcert also prevents a man in the middle"},
	{"gssencmode", "PGGSSENCMODE", []string{"", "prefer", "disable"},
		"the driver does not support encryption with GSSAPI; use sslmode=verify-full"},
	{"sslcompression", "PGSSLCOMPRESSION", nil, ""},
	{"requiressl", "PGREQUIRESSL", []string{"", "0"}, "write sslmode=require"},
	{"keepalives", "", nil, ""}, {"keepalives_idle", "", nil, ""}, {"keepalives_interval", "", nil, ""},
	{"keepalives_count", "", nil, ""},
	{"tcp_user_timeout", "", nil, ""}, {"sslkeylogfile", "", []string{""},
		"the driver does not write TLS keys to a file"},
	{"gsslib", "PGGSSLIB", nil, ""}, {"gssdelegation", "PGGSSDELEGATION", []string{"", "0"},
		"the driver does not delegate credentials"},
	{"", "PGREALM", nil, ""},
	{"sslcertmode", "PGSSLCERTMODE", []string{"", "allow"},
		"the driver sends the certificate that sslcert names whenever the server asks for one"},
	{"sslcrl", "PGSSLCRL", []string{""}, "the driver reads no revocation lists"},
	{"sslcrldir", "PGSSLCRLDIR", []string{""}, "the driver reads no revocation lists"},
	{"sslpassword", "", []string{""}, "the driver reads only keys without a passphrase"},
	{"require_auth", "PGREQUIREAUTH", []string{""},
		"the driver accepts every authentication method that it supports; set the method in pg_hba.conf"},
	{"requirepeer", "PGREQUIREPEER", []string{""}, "the driver does not check the owner of a socket"},
	{"scram_client_key", "", []string{""}, "use the password"},
	{"scram_server_key", "", []string{""}, "use the password"},
	{"servicefile", "", []string{""}, "name the file in PGSERVICEFILE"},
	{"replication", "", []string{"", "false", "off", "no", "0"}, "Tenantry opens no replication connections"},
}

// dropLibpqParameters removes the unsupported parameters of a DSN. It fails, with advice, for a
// value that is not harmless.
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
	return fmt.Errorf("%s=%s is not supported: %s", as, value, p.instead)
}

// DropVariables unsets the environment variables of libpq that lib/pq refuses although they are
// harmless, and empty ones, which libpq treats as unset. It fails for a value that the driver does
// not support. A program calls it once, before it opens a database.
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
