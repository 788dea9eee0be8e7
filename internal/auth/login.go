package auth

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"tenantry/ent/user"
	"tenantry/internal/password"
	"tenantry/internal/principal"
	"tenantry/internal/ratelimit"
	"tenantry/internal/sessions"
)

// Credentials are the credentials of a sign-in with a password.
type Credentials struct {
	// Tenant is a slug; "" is the default tenant.
	Tenant, Email, Password string
	// Device is the device token of an earlier sign-in, or "".
	Device string
}

// Login signs a user in with a password. Every failure is the same 401 after the same number of
// hashes, whatever its cause (ASVS 6.3.8). The tokens include a device token.
func (a *Auth) Login(ctx context.Context, c Credentials, from sessions.Origin) (*Result, error) {
	result, err := a.login(ctx, c, from)
	a.signIns.Count(passwordOutcome(err))
	return result, err
}

func (a *Auth) login(ctx context.Context, c Credentials, from sessions.Origin) (*Result, error) {
	c.Tenant = a.slug(c.Tenant)
	account := accountOf(c.Tenant, c.Email)
	system := principal.System(ctx, "sign-in: the user is not authenticated yet")
	d, known := a.devices.decode(c.Device, account, a.opts.Clock())
	leave, err := a.admit(system, password.Share{Network: from.IP, Tenant: c.Tenant, Account: account, Known: known})
	if err != nil {
		return nil, err
	}
	defer leave()
	try, p, err := a.spend(system, c, account, d, known, from)
	if err != nil {
		return nil, err
	}
	var hash *string
	if p != nil && !try.Blind {
		hash = p.PasswordHash
	}
	matches, err := a.opts.Hasher.Verify(ctx, hash, c.Password)
	if err != nil {
		try.Refund(system)
		return nil, err
	}
	if !matches {
		return nil, try.Failed(system, sessions.ErrCredentials)
	}
	principal.Identify(ctx, p.TenantID, p.ID)
	if !p.Live() {
		if err := a.opts.Hasher.Equalise(ctx, *hash, c.Password); err != nil {
			return nil, err
		}
		return nil, try.Failed(system, errDisabled)
	}
	if err := try.Reset(system); err != nil {
		return nil, err
	}
	a.renewHash(principal.NewContext(ctx, principal.InTenant(p.TenantID)), p, c.Password)
	proof := a.passwordProof(p.User, from)
	proof.user = p
	result, err := a.Finish(ctx, proof)
	if err != nil || result.Tokens == nil {
		return result, err
	}
	if !known || !d.of(p) {
		d.id = uuid.New()
	}
	d = device{p.ID, p.PasswordVersion, d.id, a.opts.Clock().Add(deviceKnown)}
	result.Tokens.Device = a.devices.encode(d, account)
	return result, nil
}

// accountOf returns the key of the counter of an account. An account that does not exist has one
// too (ASVS 6.3.8). All spellings of an e-mail address have one key.
func accountOf(slug, email string) string {
	canonical, err := CanonicalEmail(email)
	if err != nil {
		canonical = strings.ToLower(email)
	}
	return "name\n" + slug + "\n" + canonical
}

// admit waits for a permit of the hasher. If the queue is full for an account that has signed in
// from this network before, admit waits in the queue of known clients. That costs one statement,
// which only a sign-in needs that would otherwise be refused.
func (a *Auth) admit(ctx context.Context, share password.Share) (leave func(), err error) {
	leave, err = a.opts.Hasher.Admit(ctx, share)
	if share.Known || !errors.Is(err, password.ErrBusy) || !a.opts.Limiter.KnowsNetwork(ctx, share.Network,
		share.Account) {
		return leave, err
	}
	share.Known = true
	return a.opts.Hasher.Admit(ctx, share)
}

// spend counts an attempt to sign in to an account. It returns the user, nil for an account that
// does not exist. A known device has a counter of its own unless the password has changed since.
func (a *Auth) spend(
	ctx context.Context, c Credentials, account string, d device, known bool, from sessions.Origin,
) (try *ratelimit.Attempt, p *sessions.Projection, err error) {
	if known {
		if try, err = a.opts.Limiter.SpendDevice(ctx, from.IP, account, d.id); err != nil {
			return nil, nil, err
		}
	}
	ofDevice := try != nil
	if !ofDevice {
		if try, err = a.opts.Limiter.SpendSignIn(ctx, from.IP, account); err != nil {
			return nil, nil, err
		}
	}
	if canonical, err := CanonicalEmail(c.Email); err == nil {
		if p, err = sessions.ProjectionOfCredentials(ctx, a.client, c.Tenant, canonical); err != nil {
			try.Refund(ctx)
			return nil, nil, err
		}
	}
	if ofDevice && !d.of(p) {
		try.Refund(ctx)
		try, err = a.opts.Limiter.SpendSignIn(ctx, from.IP, account)
	}
	return try, p, err
}

// renewHash hashes the password again if it was hashed under lower parameters than the configured
// ones (OWASP Password Storage Cheat Sheet). A failure is logged and not returned: the next sign-in
// tries again.
func (a *Auth) renewHash(ctx context.Context, p *sessions.Projection, password string) {
	old := *p.PasswordHash
	if !a.opts.Hasher.Outdated(old) {
		return
	}
	hash, err := a.opts.Hasher.Hash(ctx, password)
	if err == nil {
		err = a.client.User.Update().Where(user.ID(p.ID), user.PasswordHash(old)).SetPasswordHash(hash).Exec(ctx)
	}
	if err != nil {
		a.opts.Log.WarnContext(ctx, "password not hashed under the configured parameters, retrying at the next sign-in",
			"user_id", p.ID, "error", err)
	}
}
