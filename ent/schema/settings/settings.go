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
}

// RegistrationOpen reports whether anyone may register.
func (t Tenant) RegistrationOpen() bool { return t.Registration == RegistrationOpen }
