package settings

// Registration says who may create an account in a tenant.
type Registration string

const (
	// RegistrationOpen lets anyone register.
	RegistrationOpen Registration = "open"
	// RegistrationClosed lets only administrators create accounts. An unset value means closed.
	RegistrationClosed Registration = "closed"
)

// Tenant is the value of tenants.settings. The server's default applies to each absent member.
type Tenant struct {
	Registration Registration `json:"registration,omitempty"`
	// PasswordMinLength is the minimum number of code points of a new password, from
	// MinPasswordLength to MaxPasswordMinLength.
	PasswordMinLength int `json:"password_min_length,omitempty"`
	// AccessTokenTTL, RefreshTokenTTL and RefreshIdleTTL are lifetimes in seconds. They can
	// shorten the server's lifetimes, but not extend them.
	AccessTokenTTL  int `json:"access_token_ttl,omitempty"`
	RefreshTokenTTL int `json:"refresh_token_ttl,omitempty"`
	RefreshIdleTTL  int `json:"refresh_idle_ttl,omitempty"`
	// RedirectURIs are the addresses that a sign-in at a provider may redirect to. They are
	// compared exactly (RFC 9700 §2.1).
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	// LinkByEmail lets a user sign in to an existing account through a provider that has verified
	// the same e-mail address.
	LinkByEmail bool `json:"link_by_email,omitempty"`
}

const (
	// MinPasswordLength is the lowest minimum that a tenant may set (NIST SP 800-63B-4 §3.1.1.2).
	MinPasswordLength = 8
	// DefaultPasswordMinLength is the minimum for a password as the only factor, unless the tenant
	// has set one.
	DefaultPasswordMinLength = 15
	// MaxPasswordMinLength is the highest minimum that a tenant may set.
	MaxPasswordMinLength = 64
)

// RegistrationOpen reports whether anyone may register.
func (t Tenant) RegistrationOpen() bool { return t.Registration == RegistrationOpen }

// MinPassword returns the minimum number of code points of a new password. A stored value out of
// bounds counts as unset.
func (t Tenant) MinPassword() int {
	if t.PasswordMinLength < MinPasswordLength || t.PasswordMinLength > MaxPasswordMinLength {
		return DefaultPasswordMinLength
	}
	return t.PasswordMinLength
}
