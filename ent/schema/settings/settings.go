package settings

// Registration says who may create an account in a tenant.
type Registration string

const (
	// RegistrationOpen lets anyone register.
	RegistrationOpen Registration = "open"
	// RegistrationClosed leaves accounts to administrators. It is what an unset value means.
	RegistrationClosed Registration = "closed"
)

// Tenant is the value of tenants.settings. Absent members mean the server's defaults.
type Tenant struct {
	Registration Registration `json:"registration,omitempty"`
	// PasswordMinLength is the least number of code points of a new password, from
	// MinPasswordLength to MaxPasswordMinLength.
	PasswordMinLength int `json:"password_min_length,omitempty"`
	// AccessTokenTTL, RefreshTokenTTL and RefreshIdleTTL are lifetimes in seconds. They shorten the
	// server's and never extend them.
	AccessTokenTTL  int `json:"access_token_ttl,omitempty"`
	RefreshTokenTTL int `json:"refresh_token_ttl,omitempty"`
	RefreshIdleTTL  int `json:"refresh_idle_ttl,omitempty"`
	// RedirectURIs are where a sign-in at a provider may lead back to. They are compared letter by
	// letter (RFC 9700 §2.1).
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	// LinkByEmail lets a provider that has proved an e-mail address sign in to the account of that
	// address.
	LinkByEmail bool `json:"link_by_email,omitempty"`
}

const (
	// MinPasswordLength is the lowest that a tenant may set (NIST SP 800-63B-4 §3.1.1.2).
	MinPasswordLength = 8
	// DefaultPasswordMinLength holds where a password is the only factor and the tenant has set
	// nothing.
	DefaultPasswordMinLength = 15
	// MaxPasswordMinLength is the highest that a tenant may set: no longer password may be
	// demanded.
	MaxPasswordMinLength = 64
)

// RegistrationOpen reports whether anyone may register.
func (t Tenant) RegistrationOpen() bool { return t.Registration == RegistrationOpen }

// MinPassword returns the least number of code points of a new password. A stored value out of
// bounds counts as unset.
func (t Tenant) MinPassword() int {
	if t.PasswordMinLength < MinPasswordLength || t.PasswordMinLength > MaxPasswordMinLength {
		return DefaultPasswordMinLength
	}
	return t.PasswordMinLength
}
