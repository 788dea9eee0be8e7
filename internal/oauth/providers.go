package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/oauthprovider"
	"tenantry/ent/useridentity"
	"tenantry/internal/auth"
	"tenantry/internal/cache"
	"tenantry/internal/database"
	"tenantry/internal/keyring"
	"tenantry/internal/outcomes"
	"tenantry/internal/problem"
	"tenantry/internal/ratelimit"
	"tenantry/internal/sessions"
)

const (
	// maxProviders is how many providers a tenant may set up.
	maxProviders = 20
	// unlinkedAtOnce is how many identities one statement deletes.
	unlinkedAtOnce = 500
)

// Options are the rules of sign-in at providers.
type Options struct {
	Auth     *auth.Auth
	Sessions *sessions.Sessions
	Limiter  *ratelimit.Limiter
	Sealer   *keyring.Sealer
	// Providers are those that the server offers to every tenant.
	Providers []Provider
	Rules     Rules
	// DefaultTenant is the slug of the tenant that is meant when a request names none.
	DefaultTenant string
	// PublicURL is where providers lead browsers back to.
	PublicURL string

	// Dialect is that of the database.
	Dialect string
	// Cache holds the providers of tenants.
	Cache *cache.Cache
	Clock func() time.Time
	Log   *slog.Logger
}

// OAuth is sign-in at other providers.
type OAuth struct {
	client          *ent.Client
	opts            Options
	providerClients *providerClients
	// signIns counts the flows that sign a user in, by outcome.
	signIns outcomes.Counters
}

// New returns the sign-in of a database. The error says what is wrong with the server's providers.
func New(client *ent.Client, opts Options) (*OAuth, error) {
	opts.Providers = slices.Clone(opts.Providers)
	var wrong []error
	for i := range opts.Providers {
		p := &opts.Providers[i]
		for _, field := range opts.Rules.complete(p) {
			wrong = append(wrong, fmt.Errorf("the OAuth provider %s: %s %s", p.Name,
				strings.TrimPrefix(field.Pointer, "/"), field.Detail))
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	providerClients, err := newProviderClients(opts.Rules.Networks)
	if err != nil {
		return nil, err
	}
	return &OAuth{client, opts, providerClients, outcomes.NewCounters(outcomes.OK, outcomes.Refused, endProviderFailed,
		outcomes.Failed)}, nil
}

// Change is what may be changed of a provider; nil leaves a field as it is.
type Change struct {
	Label, ClientID, ClientSecret *string
	Enabled                       *bool
	Scopes                        *[]string
}

// List returns the providers that the tenant has set up, by name.
func (o *OAuth) List(ctx context.Context) ([]*ent.OAuthProvider, error) {
	all, err := o.client.OAuthProvider.Query().Order(oauthprovider.ByName()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list OAuth providers: %w", err)
	}
	return all, nil
}

// Get returns a provider: 404 if there is no such provider.
func (o *OAuth) Get(ctx context.Context, id uuid.UUID) (*ent.OAuthProvider, error) {
	found, err := o.client.OAuthProvider.Get(ctx, id)
	if ent.IsNotFound(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("read OAuth provider: %w", err)
	}
	return found, nil
}

// Create sets up a provider: 422 for what does not make one of its kind, 409 for a name that is
// taken.
func (o *OAuth) Create(ctx context.Context, p Provider, enabled bool) (*ent.OAuthProvider, error) {
	if wrong := o.opts.Rules.complete(&p); len(wrong) > 0 {
		return nil, problem.Invalid(wrong...)
	}
	n, err := o.client.OAuthProvider.Query().Count(ctx)
	if err != nil {
		return nil, fmt.Errorf("count OAuth providers: %w", err)
	}
	if n >= maxProviders {
		return nil, problem.Conflict("too_many_providers", "The tenant has "+strconv.Itoa(maxProviders)+
			" providers, and can have no more.")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	create := o.client.OAuthProvider.Create().SetID(id).SetName(p.Name).SetKind(p.Kind).SetLabel(p.Label).
		SetEnabled(enabled).
		SetClientID(p.ClientID).SetIssuer(p.Issuer).SetAuthorizationEndpoint(p.Endpoints.Authorization).
		SetTokenEndpoint(p.Endpoints.Token).SetUserinfoEndpoint(p.Endpoints.Userinfo).SetScopes(p.Scopes)
	if p.ClientSecret != "" {
		create.SetClientSecret(o.opts.Sealer.Seal([]byte(p.ClientSecret), id.String()))
	}
	created, err := create.Save(ctx)
	if sqlgraph.IsUniqueConstraintError(err) {
		return nil, problem.Conflict("provider_name_taken", "There is a provider of this name.")
	}
	if err != nil {
		return nil, fmt.Errorf("create OAuth provider: %w", err)
	}
	return created, nil
}

// Update changes a provider: 404 if there is no such provider, 422 for what does not make one of
// its kind. To disable it, or to give it another client, revokes the sessions, codes and flows that
// it has started (O-09).
func (o *OAuth) Update(ctx context.Context, id uuid.UUID, change Change) (*ent.OAuthProvider, error) {
	found, err := o.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	update := o.client.OAuthProvider.UpdateOneID(id).SetNillableEnabled(change.Enabled)
	if change.ClientID != nil && *change.ClientID != found.ClientID {
		update.SetClientID(*change.ClientID)
	}
	if change.Label != nil {
		label, err := checkLabel(*change.Label)
		if err != nil {
			return nil, problem.Invalid(problem.Field{Pointer: "/label", Detail: err.Error()})
		}
		update.SetLabel(label)
	}
	if change.ClientSecret != nil {
		update.SetClientSecret(o.opts.Sealer.Seal([]byte(*change.ClientSecret), id.String()))
	}
	if change.Scopes != nil {
		p := Provider{Kind: found.Kind, Scopes: *change.Scopes}
		if wrong := p.checkScopes(); len(wrong) > 0 {
			return nil, problem.Invalid(wrong...)
		}
		update.SetScopes(p.Scopes)
	}
	changed, err := update.Save(ctx)
	if ent.IsNotFound(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("update OAuth provider: %w", err)
	}
	return changed, nil
}

// Delete deletes a provider and the links to it, and revokes the sessions, codes and flows that it
// has started: 404 if there is no such provider. It disables the provider first and then deletes
// its identities in batches; a deletion that was interrupted continues when it is requested again.
func (o *OAuth) Delete(ctx context.Context, id uuid.UUID) error {
	disabled, err := o.client.OAuthProvider.Update().Where(oauthprovider.ID(id)).SetEnabled(false).Save(ctx)
	if err != nil {
		return fmt.Errorf("disable OAuth provider: %w", err)
	}
	if disabled == 0 {
		return problem.NotFound()
	}
	for more := true; more; {
		if more, err = o.unlinkSome(ctx, id); err != nil {
			return err
		}
	}
	err = o.client.OAuthProvider.DeleteOneID(id).Exec(ctx)
	if ent.IsNotFound(err) {
		return problem.NotFound()
	}
	if err != nil {
		return fmt.Errorf("delete OAuth provider: %w", err)
	}
	return nil
}

// unlinkSome deletes the identities of a provider, at most unlinkedAtOnce, and reports whether
// there may be more.
func (o *OAuth) unlinkSome(ctx context.Context, id uuid.UUID) (more bool, err error) {
	linked, err := o.client.UserIdentity.Query().Where(useridentity.Provider(id.String())).Limit(unlinkedAtOnce).
		IDs(ctx)
	if err != nil {
		return false, fmt.Errorf("find identities of OAuth provider: %w", err)
	}
	if len(linked) == 0 {
		return false, nil
	}
	// A trigger locks the users. A concurrent request that locks in another order is retried.
	err = database.WithTx(ctx, o.client, func(tx *ent.Client) error {
		_, err := tx.UserIdentity.Delete().Where(useridentity.IDIn(linked...)).Exec(ctx)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("unlink users of OAuth provider: %w", err)
	}
	return len(linked) == unlinkedAtOnce, nil
}
