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

// reserved are slugs that could conflict with host names of other services, if slugs become host
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

// Options are the dependencies and rules of Tenants.
type Options struct {
	Hasher  *password.Hasher
	Auth    *auth.Auth
	Limiter *ratelimit.Limiter
	Cursors page.Cursors
	// Lifetimes are the server's defaults. A tenant may set shorter ones.
	Lifetimes sessions.Lifetimes
	// Signup allows clients without a credential to create a tenant.
	Signup bool
}

// Tenants manages all tenants. It does not check permissions: the contract requires those of
// superusers for /tenants. Own and UpdateOwn use the tenant of the context.
type Tenants struct {
	client *ent.Client
	opts   Options
}

// New returns the Tenants of a database.
func New(client *ent.Client, opts Options) *Tenants { return &Tenants{client, opts} }

// Page is one page of a list.
type Page struct {
	Items []*ent.Tenant
	// Next is the cursor of the next page, "" on the last.
	Next string
}

// List returns a page of tenants, newest first: 400 for a cursor of another list.
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

// Create creates a tenant with its first owner: 422 for a reserved slug and for an invalid name or
// account, 409 for a slug that is taken.
func (t *Tenants) Create(ctx context.Context, slug, name string, owner auth.Account) (*ent.Tenant, error) {
	leave, err := t.opts.Hasher.Admit(ctx, auth.ShareOf(ctx))
	if err != nil {
		return nil, err
	}
	defer leave()
	unsaved, err := newTenant(slug, name)
	if err != nil {
		return nil, err
	}
	prepared, err := owner.Prepare(ctx, t.opts.Hasher, unsaved)
	if err != nil {
		return nil, problem.Under(err, "/owner")
	}
	ctx = ofPlatform(ctx)
	var created *ent.Tenant
	err = database.WithTx(ctx, t.client, func(tx *ent.Client) error {
		created, _, err = Insert(ctx, tx, unsaved, prepared)
		return err
	})
	return created, slugTaken(err)
}

// SignUp creates a tenant and its owner, and signs the owner in: 403 if sign-up is closed, 422 and
// 409 as for Create.
func (t *Tenants) SignUp(ctx context.Context, slug, name string, owner auth.Account,
	from sessions.Origin) (*auth.Result, error) {
	if !t.opts.Signup {
		return nil, problem.Forbidden("signup_closed", "Only an operator can create tenants on this server.")
	}
	leave, err := t.opts.Hasher.Admit(ctx, password.Share{Network: from.IP, Account: owner.Email})
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := t.opts.Limiter.SpendRegistration(ctx, from.IP, ""); err != nil {
		return nil, err
	}
	unsaved, err := newTenant(slug, name)
	if err != nil {
		return nil, problem.Under(err, "/tenant")
	}
	result, err := t.opts.Auth.Enroll(ctx, unsaved, owner, from,
		func(tx *ent.Client, prepared *auth.PreparedAccount) (*ent.User, error) {
			_, created, err := Insert(principal.System(ctx, "sign-up: the tenant does not exist yet"), tx, unsaved,
				prepared)
			return created, err
		})
	return result, slugTaken(err)
}

// newTenant returns a tenant to insert: 422 for a reserved slug and for a name that is not visible
// text.
func newTenant(slug, name string) (*ent.Tenant, error) {
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

// checkName returns a tenant's name in the form in which it is stored.
func checkName(name string) (string, error) {
	name, err := names.Text(name)
	switch {
	case err != nil:
	case name == "":
		err = errors.New("must not be empty")
	case utf8.RuneCountInString(name) > maxName: // NFC can make a name longer than the contract's limit
		err = errors.New("is too long")
	}
	return name, err
}

// slugTaken converts a unique violation to a 409. In a new tenant only the slug can conflict, not
// the owner's address.
func slugTaken(err error) error {
	if sqlgraph.IsUniqueConstraintError(err) {
		return problem.Conflict("slug_taken", "A tenant with this slug exists.")
	}
	return err
}

// Insert stores a tenant with its system roles and its first owner. The context's principal must be
// the system.
func Insert(ctx context.Context, tx *ent.Client, t *ent.Tenant, owner *auth.PreparedAccount) (*ent.Tenant, *ent.User,
	error) {
	created, err := tx.Tenant.Create().SetSlug(t.Slug).SetName(t.Name).SetSettings(t.Settings).Save(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("create tenant: %w", err)
	}
	ctx = principal.NewContext(ctx, principal.InTenant(created.ID))
	if err := roles.CreateSystem(ctx, tx); err != nil {
		return nil, nil, err
	}
	u, err := owner.Insert(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	return created, u, roles.AssignSystem(ctx, tx, u.ID, roles.Owner)
}

// Get returns a tenant: 404 if there is no such tenant.
func (t *Tenants) Get(ctx context.Context, id uuid.UUID) (*ent.Tenant, error) {
	return t.get(ofPlatform(ctx), id)
}

// Own returns the context's tenant.
func (t *Tenants) Own(ctx context.Context) (*ent.Tenant, error) {
	p, _ := principal.FromContext(ctx)
	return t.get(ctx, p.TenantID)
}

func (t *Tenants) get(ctx context.Context, id uuid.UUID) (*ent.Tenant, error) {
	fetched, err := t.client.Tenant.Get(ctx, id)
	if ent.IsNotFound(err) {
		return nil, problem.NotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("read tenant: %w", err)
	}
	return fetched, nil
}

// Update changes a tenant: 404 if there is no such tenant, 422 for a name or settings that the
// server does not allow.
func (t *Tenants) Update(ctx context.Context, id uuid.UUID, change Change) (*ent.Tenant, error) {
	return t.update(ofPlatform(ctx), id, change)
}

// UpdateOwn changes the context's tenant: 422 for a name or settings that the server does not
// allow.
func (t *Tenants) UpdateOwn(ctx context.Context, change Change) (*ent.Tenant, error) {
	p, _ := principal.FromContext(ctx)
	return t.update(ctx, p.TenantID, change)
}

// update reads and writes in one transaction: the settings are one column, and the change replaces
// only some of their members.
func (t *Tenants) update(ctx context.Context, id uuid.UUID, change Change) (changed *ent.Tenant, err error) {
	if change.Name != nil {
		if _, err := checkName(*change.Name); err != nil { // the schema's hook stores the normalized name
			return nil, problem.Invalid(problem.Field{Pointer: "/name", Detail: err.Error()})
		}
	}
	err = database.WithTx(ctx, t.client, func(tx *ent.Client) error {
		q := tx.Tenant.Query().Where(tenant.ID(id))
		q.Modify(database.LockRow)
		old, err := q.Only(ctx)
		if ent.IsNotFound(err) {
			return problem.NotFound()
		}
		if err != nil {
			return fmt.Errorf("read tenant: %w", err)
		}
		next := change.Settings.apply(old.Settings)
		if err := t.check(change.Settings, next); err != nil {
			return err
		}
		update := tx.Tenant.UpdateOne(old).SetSettings(next).SetNillableName(change.Name)
		if changed, err = update.Save(ctx); err != nil {
			return fmt.Errorf("update tenant: %w", err)
		}
		return nil
	})
	return changed, err
}

// ofPlatform removes the tenant filter for a superuser: the operation requires a permission that
// only superusers have.
func ofPlatform(ctx context.Context) context.Context {
	return principal.System(ctx, "superuser: operation on any tenant")
}
