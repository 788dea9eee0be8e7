package apitest

import (
	"flag"
	"net/netip"
	"time"

	"tenantry/internal/config"
	"tenantry/internal/database"
)

// OwnerEmail and OwnerPassword are the credentials of the first user. Secret is the secret of every
// server.
const (
	OwnerEmail    = "owner@acme.test"
	OwnerPassword = "correct horse battery staple"
	Secret        = "a secret for tests that is long enough 4711"
)

// Config returns the configuration with which Start runs a server.
func Config(opts database.Options) config.Config {
	return config.Config{
		PublicURL: "https://id.acme.test", DatabaseURL: opts.URL, DataDir: opts.DataDir, Secret: Secret,
		AccessTokenTTL: 15 * time.Minute, RefreshTokenTTL: 720 * time.Hour, RefreshIdleTTL: 168 * time.Hour,
		RefreshGrace: 10 * time.Second, SessionsPerUser: 100, JWTAlgorithm: "ES256", KeyRotation: 720 * time.Hour,
		PasswordHashConcurrency: 2, DefaultTenant: "acme",
		SignInAccountAttempts: 10, SignInAddressAttempts: 100, PasswordHashMemory: 64, PasswordHashTime: 1,
		CacheMemory: 16384, DBPoolSize: 4, DBMaxOverflow: 4, DBPrepared: true, ServerTiming: true,
		BootstrapEmail: OwnerEmail, BootstrapPassword: OwnerPassword,
	}
}

// ProductionHashes makes password hashes as expensive as by default. Otherwise they are cheap, since
// most tests sign in.
func ProductionHashes(c *config.Config) { c.PasswordHashMemory, c.PasswordHashTime = 19456, 2 }

// Long is the flag -long: tests run with the documented numbers of requests, clients and rows.
var Long = flag.Bool("long", false, "test with the documented numbers of malformed requests and slow clients")

// AllowLoopback allows providers on this machine.
func AllowLoopback(c *config.Config) {
	c.OutboundNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// BehindProxy makes the address of the tests that of a trusted proxy.
func BehindProxy(c *config.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}
