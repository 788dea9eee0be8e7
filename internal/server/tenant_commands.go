package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"tenantry/ent"
	"tenantry/ent/role"
	"tenantry/ent/tenant"
	"tenantry/internal/auth"
	"tenantry/internal/database"
	"tenantry/internal/principal"
	"tenantry/internal/tenants"
)

// NewTenant is what TenantCreate makes a tenant of.
type NewTenant struct{ Slug, Name, Owner string }

// TenantCreate makes a tenant with its first owner, with a password as UserCreate.
func (c Commands) TenantCreate(ctx context.Context, t NewTenant, in io.Reader) error {
	password, err := readPassword(in)
	if err != nil {
		return err
	}
	if t.Name == "" {
		t.Name = t.Slug
	}
	return c.database(ctx, func(db *database.DB) error {
		made, err := tenants.New(db.Client, tenants.Options{Hasher: newHasher(c.Config)}).
			Create(ctx, t.Slug, t.Name, auth.Account{Email: t.Owner, Password: &password})
		if err != nil {
			return errors.New(reasons(err))
		}
		fmt.Fprintf(c.Out, "created tenant %s, id %s\n", made.Slug, made.ID)
		c.show(password, in == nil)
		return nil
	})
}

// TenantList lists the tenants, the newest first.
func (c Commands) TenantList(ctx context.Context, asJSON bool) error {
	return c.database(ctx, func(db *database.DB) error {
		list := c.list(asJSON, "id", "slug", "name", "active")
		last := uuid.Max
		for {
			some, err := db.Client.Tenant.Query().Where(tenant.IDLT(last)).Order(tenant.ByID(sql.OrderDesc())).Limit(listedAtOnce).
				All(principal.System(ctx, "command line: the operator lists every tenant"))
			if err != nil {
				return fmt.Errorf("list tenants: %w", err)
			}
			for _, t := range some {
				list.add(t.ID, t.Slug, t.Name, t.IsActive)
				last = t.ID
			}
			if len(some) < listedAtOnce {
				return list.end()
			}
		}
	})
}

// TenantSetActive suspends a tenant or lets it go on.
func (c Commands) TenantSetActive(ctx context.Context, slug string, active bool) error {
	return c.inTenant(ctx, slug, func(_ context.Context, db *database.DB, home *ent.Tenant) error {
		if err := tenants.New(db.Client, tenants.Options{}).SetActive(ctx, home.ID, active); err != nil {
			return errors.New(reasons(err))
		}
		state := "suspended"
		if active {
			state = "active"
		}
		fmt.Fprintf(c.Out, "tenant %s is %s\n", home.Slug, state)
		return nil
	})
}

// RoleList lists the roles of a tenant by name.
func (c Commands) RoleList(ctx context.Context, slug string, asJSON bool) error {
	return c.inTenant(ctx, slug, func(ctx context.Context, db *database.DB, _ *ent.Tenant) error {
		all, err := db.Client.Role.Query().Order(role.ByName()).All(ctx)
		if err != nil {
			return fmt.Errorf("list roles: %w", err)
		}
		list := c.list(asJSON, "id", "name", "system", "permissions")
		for _, r := range all {
			list.add(r.ID, r.Name, r.IsSystem, strings.Join(r.Permissions, ","))
		}
		return list.end()
	})
}

// inTenant runs do for an operator, who may do everything in the tenant of a slug, or in the default tenant.
func (c Commands) inTenant(ctx context.Context, slug string, do func(context.Context, *database.DB, *ent.Tenant) error) error {
	return c.database(ctx, func(db *database.DB) error {
		home, err := c.home(ctx, db, slug)
		if err != nil {
			return err
		}
		return do(principal.NewContext(ctx, &principal.Principal{TenantID: home.ID, Superuser: true}), db, home)
	})
}

// home returns the tenant of a slug, or the default tenant.
func (c Commands) home(ctx context.Context, db *database.DB, slug string) (*ent.Tenant, error) {
	if slug == "" {
		slug = c.Config.DefaultTenant
	}
	home, err := db.Client.Tenant.Query().Where(tenant.Slug(slug)).
		Only(principal.System(ctx, "command line: the operator names the tenant"))
	if ent.IsNotFound(err) {
		return nil, fmt.Errorf("there is no tenant %q", slug)
	}
	if err != nil {
		return nil, fmt.Errorf("find tenant: %w", err)
	}
	return home, nil
}

func names(all []*ent.Role) string {
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	return strings.Join(names, ",")
}
