package auth

import (
	"context"
	"errors"
	"fmt"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/database"
	"tenantry/internal/keyring"
	"tenantry/internal/outcomes"
	"tenantry/internal/password"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
	"tenantry/internal/sessions"
)

// Auth signs users in and registers them.
type Auth struct {
	client  *ent.Client
	devices deviceTokens
	opts    Options
	// signIns counts sign-ins with a password.
	signIns outcomes.Counters
}

// New returns the Auth of a database.
func New(client *ent.Client, opts Options) (*Auth, error) {
	devices, err := opts.Keyring.Keys(keyring.Device)
	if err != nil {
		return nil, fmt.Errorf("derive the keys of device tokens: %w", err)
	}
	return &Auth{
		client: client, devices: deviceTokens{devices}, opts: opts,
		signIns: outcomes.NewCounters(
			outcomes.OK, outcomes.WrongCredentials, outcomes.Disabled, outcomes.Throttled, outcomes.Busy,
			outcomes.Failed,
		),
	}, nil
}

// Register creates an account in a tenant with open registration, and signs the user in. An empty
// slug means the default tenant. A refused attempt counts against the client address. It fails with
// 429 for a network with too many registrations.
func (a *Auth) Register(ctx context.Context, slug string, account Account, from sessions.Origin) (*Result, error) {
	leave, err := a.opts.Hasher.Admit(ctx, password.Share{Network: from.IP, Tenant: a.slug(slug),
		Account: accountOf(a.slug(slug), account.Email)})
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := a.opts.Limiter.SpendRegistration(ctx, from.IP, a.slug(slug)); err != nil {
		return nil, err
	}
	system := principal.System(ctx, "registration: the user does not exist yet")
	home, err := a.client.Tenant.Query().Where(tenant.Slug(a.slug(slug))).Only(system)
	if err != nil && !ent.IsNotFound(err) {
		return nil, fmt.Errorf("find tenant: %w", err)
	}
	if err != nil || !home.IsActive || !home.Settings.RegistrationOpen() {
		return nil, errRegistrationClosed
	}
	return a.Enroll(ctx, home, account, from, func(tx *ent.Client, prepared *PreparedAccount) (*ent.User, error) {
		acting := principal.NewContext(ctx, principal.InTenant(home.ID))
		created, err := prepared.Insert(acting, tx)
		if err != nil {
			return nil, err
		}
		return created, roles.AssignSystem(acting, tx, created.ID, roles.Member)
	})
}

var errRegistrationClosed = problem.Forbidden("registration_closed", "The tenant does not take registrations.")

// Enroll creates an account by the rules of a tenant, stores it with store, and signs the user in,
// in one transaction. A refused attempt counts against the client address. The caller has a permit
// of the hasher.
func (a *Auth) Enroll(ctx context.Context, home *ent.Tenant, account Account, from sessions.Origin,
	store func(*ent.Client, *PreparedAccount) (*ent.User, error)) (*Result, error) {
	system := principal.System(ctx, "registration: the user does not exist yet")
	try, err := a.opts.Limiter.SpendAddress(system, from.IP)
	if err != nil {
		return nil, err
	}
	prepared, err := account.Prepare(ctx, a.opts.Hasher, home)
	if err != nil {
		try.Refund(system)
		return nil, err
	}
	var result *Result
	err = database.WithTx(system, a.client, func(tx *ent.Client) error {
		created, err := store(tx, prepared)
		if err != nil {
			return err
		}
		proof := a.passwordProof(created, from)
		proof.client = tx
		result, err = a.Finish(ctx, proof)
		if errors.Is(err, sessions.ErrCredentials) {
			return errRegistrationClosed // the tenant was suspended at the same time
		}
		return err
	})
	if err == nil {
		try.Refund(system) // the account exists: an error of the counter does not matter
	}
	return result, err
}

func (a *Auth) slug(named string) string {
	if named == "" {
		return a.opts.DefaultTenant
	}
	return named
}
