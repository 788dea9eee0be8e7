package tenants

import (
	"fmt"
	"time"

	"tenantry/ent/schema/settings"
	"tenantry/internal/problem"
)

// minTTL is the shortest lifetime that a tenant may set. It bounds the rate of refreshes.
const minTTL = time.Minute

// Change is a change of a tenant. A nil field is unchanged.
type Change struct {
	Name     *string
	Settings SettingsChange
}

// SettingsChange is a change of the settings. A nil field is unchanged.
type SettingsChange struct {
	Registration *settings.Registration
	// Lifetimes are in seconds.
	PasswordMinLength, AccessTokenTTL, RefreshTokenTTL, RefreshIdleTTL *int
	RedirectURIs                                                       *[]string
	LinkByEmail                                                        *bool
}

// apply returns the settings with the change.
func (c SettingsChange) apply(s settings.Tenant) settings.Tenant {
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

// check refuses changed settings that the server does not allow, with 422. It ignores unchanged
// settings: they may date from before the server's limits were lowered.
func (t *Tenants) check(c SettingsChange, changed settings.Tenant) error {
	var wrong []problem.Field
	refuse := func(member, detail string) {
		wrong = append(wrong, problem.Field{Pointer: "/settings/" + member, Detail: detail})
	}
	for _, ttl := range []struct {
		name    string
		seconds *int
		limit   time.Duration
	}{
		{"access_token_ttl", c.AccessTokenTTL, t.opts.Lifetimes.AccessToken},
		{"refresh_token_ttl", c.RefreshTokenTTL, t.opts.Lifetimes.RefreshToken},
		{"refresh_idle_ttl", c.RefreshIdleTTL, t.opts.Lifetimes.RefreshIdle},
	} {
		least, most := int(min(minTTL, ttl.limit).Seconds()), int(ttl.limit.Seconds())
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
	effective := t.opts.Lifetimes.In(changed)
	switch shortest := min(effective.RefreshIdle, effective.RefreshToken); {
	case len(wrong) > 0 || effective.AccessToken <= shortest:
	case c.AccessTokenTTL != nil:
		refuse("access_token_ttl", "must not be longer than a session may last")
	case c.RefreshIdleTTL != nil && effective.RefreshIdle < effective.AccessToken:
		refuse("refresh_idle_ttl", "must not be shorter than access_token_ttl")
	case c.RefreshTokenTTL != nil && effective.RefreshToken < effective.AccessToken:
		refuse("refresh_token_ttl", "must not be shorter than access_token_ttl")
	}
	if len(wrong) > 0 {
		return problem.Invalid(wrong...)
	}
	return nil
}
