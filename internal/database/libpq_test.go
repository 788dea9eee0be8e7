package database

import (
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
)

func parsed(t *testing.T, dsn string) *url.URL {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// URLs of cloud providers contain parameters of libpq. The harmless ones must not be sent to the
// server, which refuses them.
func TestConnector_harmlessLibpqParametersAreDropped(t *testing.T) {
	t.Parallel()
	for _, parameters := range []string{
		"channel_binding=prefer", "channel_binding=disable", "gssencmode=disable", "gssencmode=prefer",
		"keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3",
		"tcp_user_timeout=5000", "sslcompression=0", "sslcertmode=allow", "gssdelegation=0", "requiressl=0",
		"replication=false", "gsslib=gssapi",
	} {
		dsn, err := complete(parsed(t, "postgres://db/x?search_path=y&"+parameters), func(url.Values) {})
		if err != nil {
			t.Errorf("%s: %v", parameters, err)
			continue
		}
		cfg, err := pq.NewConfig(dsn)
		if err != nil || len(cfg.Runtime) != 1 || cfg.Runtime["search_path"] != "y" {
			t.Errorf("%s: sent %v, %v", parameters, cfg.Runtime, err)
		}
	}
}

func TestConnector_unsupportedLibpqParameterIsRefused(t *testing.T) {
	t.Parallel()
	for parameter, want := range map[string]string{
		"channel_binding=require": "sslmode=verify-full", "gssencmode=require": "sslmode=verify-full",
		"sslcrl=/x": "revocation", "require_auth=scram-sha-256": "pg_hba.conf",
		"sslcertmode=require": "sslcert", "requirepeer=postgres": "socket", "sslpassword=canary": "passphrase",
		"scram_client_key=canary": "password",
		"servicefile=/x":          "PGSERVICEFILE", "requiressl=1": "sslmode=require",
		"replication=database": "replication",
	} {
		_, err := newConnector(parsed(t, "postgres://db/x?"+parameter), func(url.Values) {}, 0, false)
		name, _, _ := strings.Cut(parameter, "=")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) ||
			strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", parameter, err)
		}
	}
}

// The tests of variables change the environment of the process, so they do not run in parallel.

func TestDropVariables_unsetsHarmlessVariables(t *testing.T) {
	for _, v := range []string{"PGCHANNELBINDING=prefer", "PGGSSENCMODE=disable", "PGSSLCOMPRESSION=0",
		"PGREQUIRESSL=0", "PGSSLCERTMODE=allow", "PGPORT=", "PGSSLMODE=", "PGCONNECT_TIMEOUT=", "PGHOSTADDR="} {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	if err := DropVariables(); err != nil {
		t.Fatal(err)
	}
	if _, err := newConnector(parsed(t, "postgres://db/x"), func(url.Values) {}, 0, false); err != nil {
		t.Error(err)
	}
	t.Setenv("PGCHANNELBINDING", "require")
	if err := DropVariables(); err == nil || !strings.Contains(err.Error(), "PGCHANNELBINDING=require") ||
		!strings.Contains(err.Error(), "verify-full") {
		t.Errorf("%v", err)
	}
}

// Parameters that the URL lacks come from the variables, as with libpq. The URL takes precedence.
func TestVariables_completeTheURL(t *testing.T) {
	for name, value := range map[string]string{
		"PGHOST": "db1,db2", "PGPORT": "5433", "PGUSER": "ada", "PGPASSWORD": "canary", "PGDATABASE": "identity",
		"PGAPPNAME": "fleet", "PGCONNECT_TIMEOUT": "2", "PGSSLMODE": "disable",
	} {
		t.Setenv(name, value)
	}
	open := func(dsn string) (*connector, pq.Config) {
		t.Helper()
		text, err := complete(parsed(t, dsn), func(url.Values) {})
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := pq.NewConfig(text)
		if err != nil {
			t.Fatal(err)
		}
		c, err := newConnector(parsed(t, dsn), func(url.Values) {}, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		return c, cfg
	}
	c, cfg := open("postgres://")
	if cfg.Host != "db1" || cfg.Port != 5433 || cfg.User != "ada" || cfg.Password != "canary" ||
		cfg.Database != "identity" || cfg.SSLMode != "disable" ||
		cfg.ApplicationName != "fleet" || cfg.ConnectTimeout != 2*time.Second {
		t.Errorf("%+v", cfg)
	}
	if len(c.hosts) != 2 || c.unfit == "" {
		t.Errorf("%d hosts of PGHOST, of which one must accept writes: %q", len(c.hosts), c.unfit)
	}
	if _, cfg = open("postgres://grace@db3:1/x?application_name=a&connect_timeout=7"); cfg.Host != "db3" ||
		cfg.Port != 1 || cfg.User != "grace" || cfg.Database != "x" ||
		cfg.ApplicationName != "a" || cfg.ConnectTimeout != 7*time.Second {
		t.Errorf("%+v", cfg)
	}
}

// A password file is read as libpq reads it: ~/.pgpass, PGPASSFILE or passfile, for the host, port,
// database and user.
func TestPasswordFile_givesThePassword(t *testing.T) {
	server := asksForPassword(t)
	host, port, _ := net.SplitHostPort(server.address)
	file := filepath.Join(t.TempDir(), "pgpass")
	if err := os.WriteFile(file, []byte("other:*:*:*:wrong\n"+host+":"+port+":identity:ada:canary\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	dsn := "postgres://ada@" + server.address + "/identity?sslmode=disable"
	for name, open := range map[string]func() string{
		"parameter": func() string { return dsn + "&passfile=" + url.QueryEscape(file) },
		"variable":  func() string { t.Setenv("PGPASSFILE", file); return dsn },
	} {
		_, err := Open(t.Context(), Options{URL: open(), PoolSize: 1, ConnectTimeout: time.Second},
			slog.New(slog.DiscardHandler))
		if got := <-server.passwords; got != "canary" || err == nil {
			t.Errorf("%s: sent %q, %v", name, got, err)
		}
	}
}

// passwordServer imitates a Postgres server that requests a password and refuses it.
type passwordServer struct {
	address   string
	passwords chan string
}

func asksForPassword(t *testing.T) passwordServer {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	s := passwordServer{listener.Addr().String(), make(chan string, 100)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			_, _ = conn.Read(buf) // the start-up packet
			_, _ = conn.Write([]byte{'R', 0, 0, 0, 8, 0, 0, 0, 3})
			if n, _ := io.ReadAtLeast(conn, buf, 6); n > 6 {
				s.passwords <- string(buf[5 : n-1])
			}
			_, _ = conn.Write([]byte("E\x00\x00\x00\x1cSFATAL\x00C28P01\x00Mrefused\x00\x00"))
			_ = conn.Close()
		}
	}()
	return s
}
