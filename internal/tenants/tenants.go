package tenants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/tenant"
	"tenantry/internal/auth"
	"tenantry/internal/database"
	"tenantry/internal/names"
	"tenantry/internal/page"
	"tenantry/internal/password"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
	"tenantry/internal/ratelimit"
	"tenantry/internal/roles"
	"tenantry/internal/sessions"
)

// reserved slugs are those that a service beside the tenants would want, should slugs become host
// names.
var reserved = []string{
	"account", "accounts", "admin", "api", "app", "assets", "auth", "billing", "cdn", "dashboard", "docs", "ftp",
	"help", "id",
	"identity", "imap", "localhost", "login", "mail", "ns", "oauth", "openid", "platform", "pop", "postmaster", "root",
	"security",
	"signup", "smtp", "sso", "static", "status", "support", "system", "tenant", "tenantry", "tenants", "well-known",
	"www",
}

// maxName is the longest name of a tenant, in code points.
const maxName = 200

// Options are what tenants are made and listed with. Who makes none needs none.
type Options struct {
	Hasher  *password.Hasher
	Auth    *auth.Auth
	Limiter *ratelimit.Limiter
	Cursors page.Cursors
	// Lifetimes are the server's, which a tenant may shorten.
	Lifetimes sessions.Lifetimes
	// Signup says whether anybody may make a tenant.
	Signup bool
}

// Tenants are all tenants. Who may see which is for the contract to say: /tenants is for
// superusers.
type Tenants struct {
	client *ent.Client
	opts   Options
}

// New returns the tenants of a database.
func New(client *ent.Client, opts Options) *Tenants { return &Tenants{client, opts} }

// Page is one page of a list.
type Page struct {
	Items []*ent.Tenant
	// Next is the cursor of the next page, "" on the last.
	Next string
}

// List returns a page of tenants, the newest first: 400 for a cursor of another list.
func (t *Tenants) List(ctx context.Context, window page.Window) (*Page, error) {
	const list = "tenants"
	q := t.client.Tenant.Query().Order(tenant.ByID(sql.OrderDesc())).Limit(window.Limit + 1)
	if window.Cursor != "" {
		after, err := t.opts.Cursors.Decode(list, window.Cursor)
		if err != nil {
			return nil, err
		}
		q.Where(tenant.IDLT(after))
	}
	items, err := q.All(ofPlatform(ctx))
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	items, next := page.Cut(items, window, func(last *ent.Tenant) string {
		return t.opts.Cursors.Encode(list, last.ID)
	})
	return &Page{Items: items, Next: next}, nil
}

// Create makes a tenant with its first owner: 422 for a slug that is reserved and for a name or an
// account that is not acceptable, 409 for a slug that is taken.
func (t *Tenants) Create(ctx context.Context, slug, name string, owner auth.Account) (*ent.Tenant, error) {
	leave, err := t.opts.Hasher.Admit(ctx, auth.ShareOf(ctx))
	if err != nil {
		return nil, err
	}
	defer leave()
	first, err := unmade(slug, name)
	if err != nil {
		return nil, err
	}
	prepared, err := owner.Prepare(ctx, t.opts.Hasher, first)
	if err != nil {
		return nil, problem.Under(err, "/owner")
	}
	ctx = ofPlatform(ctx)
	var made *ent.Tenant
	err = database.WithTx(ctx, t.client, func(tx *ent.Client) error {
		made, _, err = Insert(ctx, tx, first, prepared)
		return err
	})
	return made, slugTaken(err)
}

// SignUp makes a tenant and its owner, and signs in: 403 where signing up is closed, 422 and 409 as
// Create.
func (t *Tenants) SignUp(ctx context.Context, slug, name string, owner auth.Account,
	from sessions.Origin) (*auth.Result, error) {
	if !t.opts.Signup {
		return nil, problem.Forbidden("signup_closed", "Tenants are made by an operator here.")
	}
	leave, err := t.opts.Hasher.Admit(ctx, password.Share{Network: from.IP, Account: owner.Email})
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := t.opts.Limiter.SpendRegistration(ctx, from.IP, ""); err != nil {
		return nil, err
	}
	first, err := unmade(slug, name)
	if err != nil {
		return nil, problem.Under(err, "/tenant")
	}
	result, err := t.opts.Auth.Enroll(ctx, first, owner, from,
		func(tx *ent.Client, prepared *auth.PreparedAccount) (*ent.User, error) {
			_, made, err := Insert(principal.System(ctx, "sign-up: there is no tenant yet"), tx, first, prepared)
			return made, err
		})
	return result, slugTaken(err)
}

// unmade is a tenant that is to be made: 422 for a slug that is reserved and for a name that is not
// visible text.
func unmade(slug, name string) (*ent.Tenant, error) {
	var fields []problem.Field
	if slices.Contains(reserved, slug) {
		fields = append(fields, problem.Field{Pointer: "/slug", Detail: "is reserved"})
	}
	name, err := checkName(name)
	if err != nil {
		fields = append(fields, problem.Field{Pointer: "/name", Detail: err.Error()})
	}
	if len(fields) > 0 {
		return nil, problem.Invalid(fields...)
	}
	return &ent.Tenant{Slug: slug, Name: name}, nil
}

// checkName returns the form of a tenant's name that is stored.
func checkName(name string) (string, error) {
	name, err := names.Text(name)
	switch {
	case err != nil:
	case name == "":
		err = errors.New("must not be empty")
	case utf8.RuneCountInString(name) > maxName: // NFC may lengthen what the contract accepts
		err = errors.New("is too long")
	}
	return name, err
}

// slugTaken is the error of making a tenant. An owner's address cannot be taken in a tenant that is
// new.
func slugTaken(err error) error {
	if sqlgraph.IsUniqueConstraintError(err) {
		return problem.Conflict("slug_taken", "There is a tenant of this slug.")
	}
	return err
}

// Insert stores a tenant with its system roles and its first owner. The context must be the
// system's.
func Insert(ctx context.Context, tx *ent.Client, first *ent.Tenant, owner *auth.PreparedAccount) (*ent.Tenant,
	*ent.User, error) {
	made, err := tx.Tenant.Create().SetSlug(first.Slug).SetName(first.Name).SetSettings(first.Settings).Save(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("create tenant: %w", err)
	}
	acting := principal.NewContext(ctx, principal.InTenant(made.ID))
	if err := roles.CreateSystem(acting, tx); err != nil {
		return nil, nil, err
	}
	created, err := owner.Insert(acting, tx)
	if err != nil {
		return nil, nil, err
	}
	return made, created, roles.AssignSystem(acting, tx, created.ID, roles.Owner)
}

// Get returns a tenant: 404 if there is no such tenant.
func (t *Tenants) Get(ctx context.Context, id uuid.UUID) (*ent.Tenant, error) {
	return t.get(ofPlatform(ctx), id)
}

// Own returns the tenant that the context acts for.
func (t *Tenants) Own(ctx context.Context) (*ent.Tenant, error) {
	p, _ := principal.FromContext(ctx)
	return t.get(ctx, p.TenantID)
}

func (t *Tenants) get(ctx context.Context, id uuid.UUID) (*ent.Tenant, error) {
	found, err := t.client.Tenant.Get(ctx, id)
	if ent.IsNotFound(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("read tenant: %w", err)
	}
	return found, nil
}

// Update changes a tenant: 404 if there is no such tenant, 422 for a name or settings that the
// server does not allow.
func (t *Tenants) Update(ctx context.Context, id uuid.UUID, change Change) (*ent.Tenant, error) {
	return t.update(ofPlatform(ctx), id, change)
}

// UpdateOwn changes the tenant that the context acts for: 422 for a name or settings that the
// server does not allow.
func (t *Tenants) UpdateOwn(ctx context.Context, change Change) (*ent.Tenant, error) {
	p, _ := principal.FromContext(ctx)
	return t.update(ctx, p.TenantID, change)
}

// update reads and writes in one transaction: the settings are one value, of which a part is
// changed.
func (t *Tenants) update(ctx context.Context, id uuid.UUID, change Change) (changed *ent.Tenant, err error) {
	if change.Name != nil {
		if _, err := checkName(*change.Name); err != nil {
			return nil, problem.Invalid(problem.Field{Pointer: "/name", Detail: err.Error()})
		}
	}
	err = database.WithTx(ctx, t.client, func(tx *ent.Client) error {
		q := tx.Tenant.Query().Where(tenant.ID(id))
		q.Modify(database.LockRow)
		found, err := q.Only(ctx)
		if ent.IsNotFound(err) {
			return problem.NotFound()
		}
		if err != nil {
			return fmt.Errorf("read tenant: %w", err)
		}
		changedSettings := change.Settings.of(found.Settings)
		if err := t.check(change.Settings, changedSettings); err != nil {
			return err
		}
		update := tx.Tenant.UpdateOne(found).SetSettings(changedSettings).SetNillableName(change.Name)
		if changed, err = update.Save(ctx); err != nil {
			return fmt.Errorf("update tenant: %w", err)
		}
		return nil
	})
	return changed, err
}

// ofPlatform lifts the tenant filter for a superuser: the permission that the operation demands is
// theirs alone.
func ofPlatform(ctx context.Context) context.Context {
	return principal.System(ctx, "superuser: tenants belong to no tenant")
}
