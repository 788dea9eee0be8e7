package config_test

import (
	"log/slog"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"tenantry/internal/config"
)

// settings are the settings with their defaults, as the help shows them, and a value that differs
// from the default.
var settings = []struct {
	name, standard, other string
	get                   func(config.Config) any
	want                  any
	secret                bool
}{
	{name: "LISTEN", standard: "127.0.0.1:8080", other: "[::1]:9090", want: "[::1]:9090",
		get: func(c config.Config) any {
			return c.Listen
		}},
	{name: "PUBLIC_URL", other: "https://id.acme.test", want: "https://id.acme.test", get: func(c config.Config) any {
		return c.PublicURL
	}},
	{name: "DATABASE_URL", other: "postgres://db/tenantry", want: "postgres://db/tenantry",
		get: func(c config.Config) any {
			return c.DatabaseURL
		}},
	{name: "DATA_DIR", standard: "./data", other: "/var/lib/tenantry", want: "/var/lib/tenantry",
		get: func(c config.Config) any {
			return c.DataDir
		}},
	{name: "SECRET", secret: true, other: goodSecret, want: goodSecret, get: func(c config.Config) any {
		return c.Secret
	}},
	{name: "SECRET_PREVIOUS", secret: true, other: goodSecret, want: goodSecret, get: func(c config.Config) any {
		return c.SecretPrevious
	}},
	{name: "LOG_LEVEL", standard: "info", other: "debug", want: slog.LevelDebug, get: func(c config.Config) any {
		return c.LogLevel
	}},
	{name: "LOG_FORMAT", other: "json", want: "json", get: func(c config.Config) any { return c.LogFormat }},
	{name: "CORS_ORIGINS", other: "https://a.test,http://localhost:5173",
		want: []string{"https://a.test", "http://localhost:5173"},
		get:  func(c config.Config) any { return c.CORSOrigins }},
	{name: "TRUSTED_PROXIES", other: "10.0.0.0/8,fd00::/8", want: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("fd00::/8")},
		get: func(c config.Config) any { return c.TrustedProxies }},
	{name: "PROXY_HEADER", standard: "X-Forwarded-For", other: "Forwarded", want: "Forwarded",
		get: func(c config.Config) any {
			return c.ProxyHeader
		}},
	{name: "HSTS_SUBDOMAINS", standard: "false", other: "true", want: true, get: func(c config.Config) any {
		return c.HSTSSubdomains
	}},
	{name: "OPERATIONS_LISTEN", other: "127.0.0.1:9090", want: "127.0.0.1:9090", get: func(c config.Config) any {
		return c.OperationsListen
	}},
	{name: "OTLP_ENDPOINT", other: "https://collector.acme.test:4318", want: "https://collector.acme.test:4318",
		get: func(c config.Config) any {
			return c.OTLPEndpoint
		}},
	{name: "OTLP_SAMPLE", standard: "1", other: "0.25", want: 0.25, get: func(c config.Config) any {
		return c.OTLPSample
	}},
	{name: "SERVER_TIMING", standard: "false", other: "true", want: true, get: func(c config.Config) any {
		return c.ServerTiming
	}},
	{name: "MIGRATE", standard: "false", other: "true", want: true, get: func(c config.Config) any {
		return c.Migrate
	}},
	{name: "CACHE_MEMORY", standard: "16384", other: "0", want: 0, get: func(c config.Config) any {
		return c.CacheMemory
	}},
	{name: "REDIS_URL", other: "redis://cache/1", want: "redis://cache/1", get: func(c config.Config) any {
		return c.RedisURL
	}},
	{name: "NOTIFY_URL", other: "postgres://db/tenantry", want: "postgres://db/tenantry",
		get: func(c config.Config) any {
			return c.NotifyURL
		}},
	{name: "DB_POOL_SIZE", standard: "25", other: "7", want: 7, get: func(c config.Config) any { return c.DBPoolSize }},
	{name: "DB_MAX_OVERFLOW", standard: "50", other: "0", want: 0, get: func(c config.Config) any {
		return c.DBMaxOverflow
	}},
	{name: "DB_PREPARED", standard: "true", other: "false", want: false, get: func(c config.Config) any {
		return c.DBPrepared
	}},
	{name: "ACCESS_TOKEN_TTL", standard: "15m", other: "90s", want: 90 * time.Second, get: func(c config.Config) any {
		return c.AccessTokenTTL
	}},
	{name: "REFRESH_TOKEN_TTL", standard: "720h", other: "1000h", want: 1000 * time.Hour,
		get: func(c config.Config) any {
			return c.RefreshTokenTTL
		}},
	{name: "REFRESH_IDLE_TTL", standard: "168h", other: "20m", want: 20 * time.Minute, get: func(c config.Config) any {
		return c.RefreshIdleTTL
	}},
	{name: "REFRESH_GRACE", standard: "10s", other: "0s", want: time.Duration(0), get: func(c config.Config) any {
		return c.RefreshGrace
	}},
	{name: "SESSIONS_PER_USER", standard: "100", other: "5", want: 5, get: func(c config.Config) any {
		return c.SessionsPerUser
	}},
	{name: "JWT_ALGORITHM", standard: "ES256", other: "EdDSA", want: "EdDSA", get: func(c config.Config) any {
		return c.JWTAlgorithm
	}},
	{name: "KEY_ROTATION", standard: "720h", other: "24h", want: 24 * time.Hour, get: func(c config.Config) any {
		return c.KeyRotation
	}},
	{name: "SIGN_IN_ACCOUNT_ATTEMPTS", standard: "10", other: "5", want: 5, get: func(c config.Config) any {
		return c.SignInAccountAttempts
	}},
	{name: "SIGN_IN_ADDRESS_ATTEMPTS", standard: "100", other: "50", want: 50, get: func(c config.Config) any {
		return c.SignInAddressAttempts
	}},
	{name: "NETWORK_FLOWS", standard: "300", other: "0", want: 0, get: func(c config.Config) any {
		return c.NetworkFlows
	}},
	{name: "NETWORK_REGISTRATIONS", standard: "60", other: "0", want: 0, get: func(c config.Config) any {
		return c.NetworkRegistrations
	}},
	{name: "PASSWORD_HASH_MEMORY", standard: "19456", other: "65536", want: 65536, get: func(c config.Config) any {
		return c.PasswordHashMemory
	}},
	{name: "PASSWORD_HASH_TIME", standard: "2", other: "3", want: 3, get: func(c config.Config) any {
		return c.PasswordHashTime
	}},
	{name: "PASSWORD_HASH_CONCURRENCY", other: "3", want: 3, get: func(c config.Config) any {
		return c.PasswordHashConcurrency
	}},
	{name: "OUTBOUND_NETWORKS", other: "127.0.0.0/8,fd00::/8",
		want: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
		get:  func(c config.Config) any { return c.OutboundNetworks }},
	{name: "SIGNUP", standard: "closed", other: "open", want: "open", get: func(c config.Config) any {
		return c.Signup
	}},
	{name: "DEFAULT_TENANT", standard: "default", other: "acme", want: "acme", get: func(c config.Config) any {
		return c.DefaultTenant
	}},
	{name: "BOOTSTRAP_EMAIL", other: "ada@acme.test", want: "ada@acme.test", get: func(c config.Config) any {
		return c.BootstrapEmail
	}},
	{name: "BOOTSTRAP_PASSWORD", secret: true, other: "fifteen letters", want: "fifteen letters",
		get: func(c config.Config) any {
			return c.BootstrapPassword
		}},
}

// goodSecret is long enough and not publicly known.
const goodSecret = "Yh3v9kQ0sWm5uXb7Lr2dTg8nPc4eJz6f"

// load returns the configuration of a command line and an environment.
func load(t *testing.T, args []string, environ ...string) (config.Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return config.LoadServer(flags, environ)
}

func flagOf(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "-")) }

// companions are the variables that a setting requires.
func companions(name string) []string {
	switch name {
	case "DATABASE_URL":
		return []string{"TENANTRY_SECRET=" + goodSecret}
	case "BOOTSTRAP_PASSWORD":
		return []string{"TENANTRY_BOOTSTRAP_EMAIL=ada@acme.test"}
	}
	return nil
}

func TestSettings_tableListsEveryField(t *testing.T) {
	t.Parallel()
	var listed, declared []string
	for _, s := range settings {
		listed = append(listed, s.name)
	}
	for i := range reflect.TypeFor[config.Config]().NumField() {
		if name := reflect.TypeFor[config.Config]().Field(i).Tag.Get("env"); name != "-" {
			declared = append(declared, name)
		}
	}
	slices.Sort(listed)
	slices.Sort(declared)
	if !slices.Equal(listed, declared) {
		t.Errorf("the settings are\n%v, and the test knows\n%v", declared, listed)
	}
}

func TestLoad_readsEnvironment(t *testing.T) {
	t.Parallel()
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, nil, append(companions(s.name), "TENANTRY_"+s.name+"="+s.other)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.get(c); !reflect.DeepEqual(got, s.want) {
				t.Errorf("%v, want %v", got, s.want)
			}
		})
	}
}

func TestLoad_flagPrecedesEnvironment(t *testing.T) {
	t.Parallel()
	for _, s := range settings {
		if s.secret {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			ignored := "/" // another value, or an invalid one
			if on, ok := s.want.(bool); ok {
				ignored = strconv.FormatBool(!on)
			}
			c, err := load(t, []string{"--" + flagOf(s.name) + "=" + s.other},
				append(companions(s.name), "TENANTRY_"+s.name+"="+ignored)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.get(c); !reflect.DeepEqual(got, s.want) {
				t.Errorf("%v, want %v", got, s.want)
			}
		})
	}
}

func TestLoad_emptyEnvironmentReturnsDefaults(t *testing.T) {
	t.Parallel()
	c, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Listen: "127.0.0.1:8080", PublicURL: "http://127.0.0.1:8080", PublicURLDefault: true, DataDir: "./data",
		LogLevel: slog.LevelInfo, ProxyHeader: "X-Forwarded-For",
		OTLPSample: 1, DBPoolSize: 25, DBMaxOverflow: 50, DBPoolDefault: true, DBPrepared: true,
		AccessTokenTTL: 15 * time.Minute, RefreshTokenTTL: 30 * 24 * time.Hour, RefreshIdleTTL: 7 * 24 * time.Hour,
		RefreshGrace: 10 * time.Second, SessionsPerUser: 100, JWTAlgorithm: "ES256", KeyRotation: 720 * time.Hour,
		Signup: "closed", SignInAccountAttempts: 10, SignInAddressAttempts: 100,
		NetworkFlows: 300, NetworkRegistrations: 60,
		CacheMemory:             16384,
		PasswordHashConcurrency: runtime.GOMAXPROCS(0), PasswordHashMemory: 19456, PasswordHashTime: 2,
		DefaultTenant: "default",
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("defaults\n%+v, want\n%+v", c, want)
	}
}

func TestLoad_emptyVariableCountsAsUnset(t *testing.T) {
	t.Parallel()
	unset, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	var environ []string
	for _, s := range settings {
		environ = append(environ, "TENANTRY_"+s.name+"=")
	}
	if empty, err := load(t, nil, environ...); err != nil || !reflect.DeepEqual(empty, unset) {
		t.Errorf("%v\n%+v, want\n%+v", err, empty, unset)
	}
}
