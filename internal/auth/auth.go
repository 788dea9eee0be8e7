package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/refreshtoken"
	"tenantry/ent/tenant"
	"tenantry/internal/database"
	"tenantry/internal/keyring"
	"tenantry/internal/password"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/roles"
	"tenantry/internal/signing"
)

// Auth signs people in and keeps them signed in.
type Auth struct {
	client  *ent.Client
	hasher  *password.Hasher
	access  *accessTokens
	refresh refreshTokens
	devices deviceTokens
	batches *sessionBatches
	opts    Options
	// signIns counts sign-ins with a password.
	signIns, refreshes Tally
}

// New returns the Auth of a database.
func New(client *ent.Client, hasher *password.Hasher, keys *signing.Keys, opts Options) (*Auth, error) {
	refresh, err := opts.Keyring.Keys(keyring.RefreshToken)
	if err != nil {
		return nil, fmt.Errorf("derive the keys of refresh tokens: %w", err)
	}
	devices, err := opts.Keyring.Keys(keyring.Device)
	if err != nil {
		return nil, fmt.Errorf("derive the keys of device tokens: %w", err)
	}
	return &Auth{
		devices: deviceTokens{devices},
		client:  client, hasher: hasher, access: newAccessTokens(keys, opts), refresh: refreshTokens{refresh},
		batches:   newSessionBatches(client, opts.Clock),
		opts:      opts,
		signIns:   NewTally(EndOK, EndWrongCredentials, EndDisabled, EndThrottled, EndBusy, EndFailed),
		refreshes: NewTally(EndRotated, EndGrace, EndRefused, EndReuse, EndFailed),
	}, nil
}

// Tokens are the answer to every way of signing in.
type Tokens struct {
	Session   uuid.UUID
	Access    string
	ExpiresIn time.Duration
	Refresh   string
	// Device is the token of the device, where a password was given.
	Device string
	User   *Projection
}

// Origin is where a sign-in came from.
type Origin struct{ IP, UserAgent string }

// SignIns returns how sign-ins with a password have ended so far.
func (a *Auth) SignIns() Tally { return a.signIns }

// Refreshes returns how refreshes have ended so far.
func (a *Auth) Refreshes() Tally { return a.refreshes }

// Verifications returns how many access tokens were verified so far.
func (a *Auth) Verifications() int64 { return a.access.verified.Load() }

// Authenticate verifies an access token and returns who it speaks for, whom nobody may change. It asks the database for a key that it
// does not know, and for nothing else.
func (a *Auth) Authenticate(ctx context.Context, token string) (*principal.Principal, error) {
	return a.access.verify(ctx, token)
}

// Authorize reads the projection of the principal and demands that session, user and tenant are alive and that every scope
// is held: 401 for the one, 403 for the other. The context that it returns carries the projection.
func (a *Auth) Authorize(ctx context.Context, scopes []string) (context.Context, error) {
	p, ok := principal.FromContext(ctx)
	if !ok {
		return nil, problem.Unauthorized("unauthorized", "A bearer token is needed.")
	}
	projection, err := a.ofSession(ctx, p.SessionID)
	if err != nil {
		return nil, err
	}
	if projection == nil || projection.ID != p.UserID || projection.TenantID != p.TenantID || !projection.Live() {
		return nil, errInvalidToken
	}
	who := projection.Principal()
	for _, scope := range scopes {
		if !who.May(scope) {
			return nil, problem.Forbidden("forbidden", "The permission "+scope+" is needed.")
		}
	}
	return &authorized{principal.Acting{Context: ctx, Who: who}, projection}, nil
}

// ActIn lets a superuser act in another tenant than their own: 403 for anybody else, 404 if there is no such tenant. Every
// such act is logged.
func (a *Auth) ActIn(ctx context.Context, slug string) (context.Context, error) {
	p, _ := principal.FromContext(ctx)
	if !p.Superuser {
		return nil, problem.Forbidden("forbidden", "Only a superuser acts in another tenant.")
	}
	id, err := a.client.Tenant.Query().Where(tenant.Slug(slug)).OnlyID(principal.System(ctx, "superuser: names the tenant to act in"))
	if ent.IsNotFound(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("find tenant: %w", err)
	}
	p.TenantID, p.HomeTenantID = id, p.TenantID
	ctx = principal.NewContext(ctx, &p)
	a.opts.Log.InfoContext(ctx, "superuser acts in another tenant", "event", "superuser_act", "user_id", p.UserID)
	return ctx, nil
}

// errInvalidToken is the answer to an access token that is not valid, or not any more.
var errInvalidToken = problem.Unauthorized("invalid_token", "The access token is not valid.")

// ErrCredentials is the answer to everybody who may not sign in, whatever the reason (ASVS 6.3.8).
var ErrCredentials = problem.Unauthorized("invalid_credentials", "The tenant, e-mail address or password is not right.")

// Register makes an account in a tenant that is open for it, and signs in. An empty slug means the default tenant. What is
// refused counts against the address; 429 also for a network that has registered too many.
func (a *Auth) Register(ctx context.Context, slug string, account Account, from Origin) (*Tokens, error) {
	leave, err := a.hasher.Admit(ctx, password.Share{Network: from.IP, Tenant: a.slug(slug), Account: accountOf(a.slug(slug), account.Email)})
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := a.opts.Limiter.SpendRegistration(ctx, from.IP, a.slug(slug)); err != nil {
		return nil, err
	}
	system := principal.System(ctx, "registration: nobody is known yet")
	home, err := a.client.Tenant.Query().Where(tenant.Slug(a.slug(slug))).Only(system)
	if err != nil && !ent.IsNotFound(err) {
		return nil, fmt.Errorf("find tenant: %w", err)
	}
	if err != nil || !home.IsActive || !home.Settings.RegistrationOpen() {
		return nil, problem.Forbidden("registration_closed", "The tenant does not take registrations.")
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

// Enroll makes an account by the rules of a tenant, as store keeps it in one transaction, and signs in. What is refused
// counts against the address. The caller has been admitted.
func (a *Auth) Enroll(ctx context.Context, home *ent.Tenant, account Account, from Origin, store func(*ent.Client, *PreparedAccount) (*ent.User, error)) (*Tokens, error) {
	system := principal.System(ctx, "registration: nobody is known yet")
	try, err := a.opts.Limiter.SpendAddress(system, from.IP)
	if err != nil {
		return nil, err
	}
	prepared, err := account.Prepare(ctx, a.hasher, home)
	if err != nil {
		try.Refund(system)
		return nil, err
	}
	var tokens *Tokens
	err = database.WithTx(system, a.client, func(tx *ent.Client) error {
		created, err := store(tx, prepared)
		if err != nil {
			return err
		}
		acting := principal.NewContext(ctx, &principal.Principal{TenantID: created.TenantID, UserID: created.ID})
		projection, err := loadProjection(acting, tx, byUser(created.ID))
		if err != nil {
			return err
		}
		tokens, err = a.startSession(acting, tx, projection, SessionProvider{}, from)
		return err
	})
	if err == nil {
		try.Refund(system) // the account is there, whatever becomes of the count
	}
	return tokens, err
}

// Refresh exchanges a refresh token for its successor and a new access token. User and tenant are checked again.
func (a *Auth) Refresh(ctx context.Context, presented string) (*Tokens, error) {
	tokens, again, err := a.exchange(ctx, presented)
	a.refreshes.Count(refreshEnd(again, err))
	return tokens, err
}

// exchange says as well whether the successor had been given before.
func (a *Auth) exchange(ctx context.Context, presented string) (tokens *Tokens, again bool, err error) {
	t, err := a.refresh.decode(presented)
	if err != nil {
		return nil, false, errSessionOver
	}
	// The token proves the session, whatever its tenant: this server wrote it.
	ctx = principal.System(ctx, "refresh: the token's MAC names the session")
	user, err := a.ofSession(ctx, t.session)
	if err != nil {
		return nil, false, err
	}
	if user != nil {
		principal.Identify(ctx, user.TenantID, user.ID)
	}
	if user == nil || !user.Live() {
		return nil, false, errSessionOver
	}
	// The last statement: who hears of an outage must find the token as it was.
	next, again, err := a.rotate(ctx, t, a.opts.Lifetimes.In(user.TenantSettings).RefreshIdle)
	if err != nil {
		return nil, false, err
	}
	tokens, err = a.tokens(user, next, user.SessionEnds)
	return tokens, again, err
}

// Logout ends the session of a refresh token. A token that is unknown or dead is no error (RFC 7009 §2.2).
func (a *Auth) Logout(ctx context.Context, presented string) error {
	t, err := a.refresh.decode(presented)
	if err != nil {
		return nil //nolint:nilerr // nothing to end
	}
	ctx = principal.System(ctx, "sign-out: the token's MAC names the session")
	_, err = a.revoke(ctx, refreshtoken.RevokedReasonLogout, refreshtoken.ID(t.session))
	return err
}

func (a *Auth) slug(named string) string {
	if named == "" {
		return a.opts.DefaultTenant
	}
	return named
}
