package config_test

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tenantry/internal/config"
)

func TestLoad_refusesInvalidValue(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, environ, want string }{
		{"address_without_port", "LISTEN=127.0.0.1", "LISTEN"},
		{"public_url_with_trailing_slash", "PUBLIC_URL=https://id.acme.test/", "PUBLIC_URL"},
		{"public_url_with_trailing_slash_after_a_path", "PUBLIC_URL=https://acme.test/id/", "PUBLIC_URL"},
		{"public_url_without_scheme", "PUBLIC_URL=id.acme.test", "PUBLIC_URL"},
		{"public_url_of_another_scheme", "PUBLIC_URL=ftp://id.acme.test", "PUBLIC_URL"},
		{"public_url_without_host", "PUBLIC_URL=https:", "PUBLIC_URL"},
		{"log_format", "LOG_FORMAT=xml", "LOG_FORMAT"},
		{"any_origin", "CORS_ORIGINS=*", "CORS_ORIGINS"},
		{"pattern_of_origins", "CORS_ORIGINS=https://*.acme.test", "CORS_ORIGINS"},
		{"any_host", "CORS_ORIGINS=https://*", "CORS_ORIGINS"},
		{"null_origin", "CORS_ORIGINS=null", "CORS_ORIGINS"},
		{"origin_with_path", "CORS_ORIGINS=https://acme.test/app", "CORS_ORIGINS"},
		{"origin_with_slash", "CORS_ORIGINS=https://acme.test/", "CORS_ORIGINS"},
		{"origin_without_scheme", "CORS_ORIGINS=acme.test", "CORS_ORIGINS"},
		{"one_bad_origin_of_two", "CORS_ORIGINS=https://acme.test, https://other.test", "CORS_ORIGINS"},
		{"collector_without_scheme", "OTLP_ENDPOINT=localhost:4318", "OTLP_ENDPOINT"},
		{"collector_of_another_scheme", "OTLP_ENDPOINT=grpc://localhost:4317", "OTLP_ENDPOINT"},
		{"collector_with_a_password", "OTLP_ENDPOINT=http://me:hunter2@localhost:4318", "OTLP_ENDPOINT"},
		{"collector_with_a_query", "OTLP_ENDPOINT=http://localhost:4318?token=hunter2", "OTLP_ENDPOINT"},
		{"negative_sample", "OTLP_SAMPLE=-0.1", "OTLP_SAMPLE"},
		{"sample_above_1", "OTLP_SAMPLE=1.1", "OTLP_SAMPLE"},
		{"sample_that_is_not_a_number", "OTLP_SAMPLE=NaN", "OTLP_SAMPLE"},
		{"operations_without_port", "OPERATIONS_LISTEN=127.0.0.1", "OPERATIONS_LISTEN"},
		{"negative_memory", "CACHE_MEMORY=-1", "CACHE_MEMORY"},
		{"redis_url_of_another_scheme", "REDIS_URL=memcached://cache", "REDIS_URL"},
		{"unknown_proxy_header", "PROXY_HEADER=X-Real-IP", "PROXY_HEADER"},
		{"proxy_without_length", "TRUSTED_PROXIES=10.0.0.1", "TRUSTED_PROXIES"},
		{"empty_pool", "DB_POOL_SIZE=0", "DB_POOL_SIZE"},
		{"negative_overflow", "DB_MAX_OVERFLOW=-1", "DB_MAX_OVERFLOW"},
		{"long_access_token", "ACCESS_TOKEN_TTL=15m1s", "ACCESS_TOKEN_TTL"},
		{"no_access_token", "ACCESS_TOKEN_TTL=0s", "ACCESS_TOKEN_TTL"},
		{"idle_shorter_than_access_token", "REFRESH_IDLE_TTL=14m", "REFRESH_IDLE_TTL"},
		{"session_shorter_than_idle", "REFRESH_TOKEN_TTL=24h", "REFRESH_TOKEN_TTL"},
		{"no_sessions", "SESSIONS_PER_USER=0", "SESSIONS_PER_USER"},
		{"too_many_sessions", "SESSIONS_PER_USER=10001", "SESSIONS_PER_USER"},
		{"negative_grace", "REFRESH_GRACE=-1s", "REFRESH_GRACE"},
		{"long_grace", "REFRESH_GRACE=61s", "REFRESH_GRACE"},
		{"symmetric_algorithm", "JWT_ALGORITHM=HS256", "JWT_ALGORITHM"},
		{"no_algorithm", "JWT_ALGORITHM=none", "JWT_ALGORITHM"},
		{"algorithm_in_another_case", "JWT_ALGORITHM=es256", "JWT_ALGORITHM"},
		{"negative_hash_concurrency", "PASSWORD_HASH_CONCURRENCY=-1", "PASSWORD_HASH_CONCURRENCY"},
		{"postgres_without_secret", "DATABASE_URL=postgres://db/tenantry", "SECRET"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, nil, "TENANTRY_"+test.environ)
			if err == nil {
				t.Fatalf("%s is accepted", test.environ)
			}
			if !strings.Contains(err.Error(), "TENANTRY_"+test.want+": ") {
				t.Errorf("the error does not name TENANTRY_%s: %v", test.want, err)
			}
		})
	}
}

func TestLoad_acceptsValidValue(t *testing.T) {
	t.Parallel()
	for _, environ := range []string{
		"LISTEN=:8080", "LISTEN=[::]:0", "PUBLIC_URL=https://acme.test/id", "PUBLIC_URL=http://localhost:8080",
		"CORS_ORIGINS=http://localhost:5173", "TRUSTED_PROXIES=10.1.2.3/32", "ACCESS_TOKEN_TTL=1s", "REFRESH_GRACE=1m",
		"REFRESH_GRACE=0",
		"JWT_ALGORITHM=RS256", "LOG_LEVEL=WARN", "LOG_FORMAT=text", "UNKNOWN=any value",
	} {
		t.Run(environ, func(t *testing.T) {
			t.Parallel()
			if _, err := load(t, nil, "TENANTRY_"+environ); err != nil {
				t.Error(err)
			}
		})
	}
}

// badSecrets are refused on every database (P-21). No message contains one.
var badSecrets = map[string]string{
	"one_byte_short":       goodSecret[:32-1],
	"word":                 "hunter2",
	"example":              "xQ-change-me-9vK3yT7wPz5mLd8RfB2n",
	"example_in_capitals":  "xQ-CHANGE-ME-9vK3yT7wPz5mLd8RfB2n",
	"example_of_a_library": "your-secret-key-for-jwt-goes-in-here",
	"counting":             "0123456789abcdef0123456789abcdef",
	"one_character":        strings.Repeat("k", 48),
	"one_letter_two_cases": strings.Repeat("kK", 24),
	"spaces":               strings.Repeat(" ", 48),
}

func TestSecret_weakIsRefusedAndNotRepeated(t *testing.T) {
	t.Parallel()
	for name, secret := range badSecrets {
		for _, database := range []string{"", "postgres://db/tenantry"} {
			t.Run(name+"/"+database, func(t *testing.T) {
				t.Parallel()
				_, err := load(t, nil, "TENANTRY_SECRET="+secret, "TENANTRY_DATABASE_URL="+database)
				if err == nil || !strings.Contains(err.Error(), "TENANTRY_SECRET: ") {
					t.Fatalf("error %v", err)
				}
				if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(secret)) {
					t.Errorf("the error repeats the secret: %v", err)
				}
			})
		}
	}
}

func TestSecret_weakInFileIsRefused(t *testing.T) {
	t.Parallel()
	for name, secret := range badSecrets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, nil, "TENANTRY_SECRET_FILE="+write(t, secret+"\n"))
			if err == nil || strings.Contains(strings.ToLower(err.Error()), strings.ToLower(secret)) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestSecret_emptyFileIsRefused(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"", "postgres://db/tenantry"} {
		if _, err := load(t, nil, "TENANTRY_SECRET_FILE="+write(t, "\n"), "TENANTRY_DATABASE_URL="+
			database); err == nil {
			t.Errorf("with database %q, an empty secret is accepted", database)
		}
	}
}

func TestSecret_of32BytesIsAccepted(t *testing.T) {
	t.Parallel()
	if len(goodSecret) != 32 {
		t.Fatalf("the test's secret has %d bytes", len(goodSecret))
	}
	if err := config.CheckSecret(goodSecret); err != nil {
		t.Error(err)
	}
}

func TestLoad_withoutServerNeedsNoSecret(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("migrate", pflag.ContinueOnError)
	config.AddFlags(flags)
	if _, err := config.Load(flags, []string{"TENANTRY_DATABASE_URL=postgres://db/tenantry"}); err != nil {
		t.Error(err)
	}
	if _, err := config.Load(flags, []string{"TENANTRY_SECRET=short"}); err == nil {
		t.Error("a short secret is accepted")
	}
}
