package tenants

import (
	"fmt"
	"time"

	"tenantry/ent/schema/settings"
	"tenantry/internal/problem"
)

// leastTTL is the shortest lifetime that a tenant may set, so that clients do not refresh without
// end.
const leastTTL = time.Minute

// Change is what may be changed of a tenant; nil leaves a field as it is.
type Change struct {
	Name     *string
	Settings SettingsChange
}

// SettingsChange is what may be changed of the settings; nil leaves a field as it is.
type SettingsChange struct {
	Registration *settings.Registration
	// Lifetimes are in seconds.
	PasswordMinLength, AccessTokenTTL, RefreshTokenTTL, RefreshIdleTTL *int
	RedirectURIs                                                       *[]string
	LinkByEmail                                                        *bool
}

// of returns the settings with the change.
func (c SettingsChange) of(s settings.Tenant) settings.Tenant {
	set(&s.Registration, c.Registration)
	set(&s.PasswordMinLength, c.PasswordMinLength)
	set(&s.AccessTokenTTL, c.AccessTokenTTL)
	set(&s.RefreshTokenTTL, c.RefreshTokenTTL)
	set(&s.RefreshIdleTTL, c.RefreshIdleTTL)
	set(&s.RedirectURIs, c.RedirectURIs)
	set(&s.LinkByEmail, c.LinkByEmail)
	return s
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// check refuses with 422 what is changed to something that the server does not allow. What was
// stored before the server's bounds were lowered is no reason to refuse another change.
func (t *Tenants) check(c SettingsChange, changed settings.Tenant) error {
	var wrong []problem.Field
	refuse := func(member, detail string) {
		wrong = append(wrong, problem.Field{Pointer: "/settings/" + member, Detail: detail})
	}
	for _, ttl := range []struct {
		name    string
		seconds *int
		longest time.Duration
	}{
		{"access_token_ttl", c.AccessTokenTTL, t.opts.Lifetimes.AccessToken},
		{"refresh_token_ttl", c.RefreshTokenTTL, t.opts.Lifetimes.RefreshToken},
		{"refresh_idle_ttl", c.RefreshIdleTTL, t.opts.Lifetimes.RefreshIdle},
	} {
		least, most := int(min(leastTTL, ttl.longest).Seconds()), int(ttl.longest.Seconds())
		if ttl.seconds != nil && (*ttl.seconds < least || *ttl.seconds > most) {
			refuse(ttl.name, fmt.Sprintf("must be from %d to %d", least, most))
		}
	}
	if c.RedirectURIs != nil {
		for i, uri := range *c.RedirectURIs {
			if err := settings.CheckRedirectURI(uri); err != nil {
				refuse(fmt.Sprintf("redirect_uris/%d", i), err.Error())
			}
		}
	}
	hold := t.opts.Lifetimes.In(changed)
	switch shortest := min(hold.RefreshIdle, hold.RefreshToken); {
	case len(wrong) > 0 || hold.AccessToken <= shortest:
	case c.AccessTokenTTL != nil:
		refuse("access_token_ttl", "must not be longer than a session may last")
	case c.RefreshIdleTTL != nil && hold.RefreshIdle < hold.AccessToken:
		refuse("refresh_idle_ttl", "must not be shorter than access_token_ttl")
	case c.RefreshTokenTTL != nil && hold.RefreshToken < hold.AccessToken:
		refuse("refresh_token_ttl", "must not be shorter than access_token_ttl")
	}
	if len(wrong) > 0 {
		return problem.Invalid(wrong...)
	}
	return nil
}
