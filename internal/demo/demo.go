package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"tenantry/ent/refreshtoken"
	"tenantry/ent/role"
	"tenantry/ent/roleassignment"
	"tenantry/ent/tenant"
	"tenantry/ent/user"
	"tenantry/internal/database"
	"tenantry/internal/principal"
)

// usersAtOnce is how many users are made before their roles and sessions are.
const usersAtOnce = 5_000

// Options say what Fill makes. Equal options make equal rows, on either database.
type Options struct {
	// Tenants is at least 1, and Users at least as many: every tenant has an owner.
	Tenants, Users int
	Seed           uint64
	// PasswordHash is that of every user; "" leaves them without a password.
	PasswordHash string
	// Now is when the past ends that the data tell of, in UTC.
	Now time.Time
	// Progress is told how many users were made since it was told last. It may be nil.
	Progress func(users int)
}

// Summary is what Fill has made.
type Summary struct {
	Tenants, Users, Roles, Assignments, Sessions int
	// Largest is the slug of the tenant that has the most users, and Owner the address of its
	// owner.
	Largest, Owner string
	// LargestUsers is how many users it has.
	LargestUsers int
}

// Fill makes tenants named demo-1, demo-2 and so on, all in one transaction: the first has a fifth
// of all users, and the others are the smaller the later. It refuses a database that has such
// tenants.
func Fill(ctx context.Context, db *database.DB, opts Options) (Summary, error) {
	if opts.Tenants < 1 || opts.Users < opts.Tenants {
		return Summary{}, errors.New("there must be at least one tenant, and a user for each")
	}
	there, err := db.Client.Tenant.Query().Where(tenant.Slug(slug(0))).Exist(principal.System(ctx,
		"demo: looks for its tenants"))
	if err != nil {
		return Summary{}, fmt.Errorf("look for tenants: %w", err)
	}
	if there {
		return Summary{}, fmt.Errorf("there is a tenant %s already", slug(0))
	}
	homes := plan(opts)
	largest := slices.MaxFunc(homes, func(a, b *home) int { return cmp.Compare(a.users, b.users) })
	made := Summary{
		Tenants: opts.Tenants, Users: opts.Users, Largest: slug(largest.number), LargestUsers: largest.users,
		Owner: ownerEmail(largest.number),
	}
	err = database.Load(ctx, db, func(b *database.Bulk) error {
		if err := b.Insert(ctx, tenant.Table, tenantColumns, tenantRows(homes)); err != nil {
			return err
		}
		if err := b.Insert(ctx, role.Table, roleColumns, counted(&made.Roles, roleRows(homes))); err != nil {
			return err
		}
		for some := range inParts(people(homes, opts), usersAtOnce) {
			if err := b.Insert(ctx, user.Table, userColumns, userRows(some, opts.PasswordHash)); err != nil {
				return err
			}
			if err := b.Insert(ctx, roleassignment.Table, assignmentColumns,
				counted(&made.Assignments, assignmentRows(some))); err != nil {
				return err
			}
			if err := b.Insert(ctx, refreshtoken.Table, sessionColumns,
				counted(&made.Sessions, sessionRows(some))); err != nil {
				return err
			}
			if opts.Progress != nil {
				opts.Progress(len(some))
			}
		}
		return nil
	})
	return made, err
}

func inParts[T any](all iter.Seq[T], size int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		part := make([]T, 0, size)
		for item := range all {
			if part = append(part, item); len(part) == size {
				if !yield(part) {
					return
				}
				part = part[:0]
			}
		}
		if len(part) > 0 {
			yield(part)
		}
	}
}

func counted(n *int, rows iter.Seq[[]any]) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for row := range rows {
			*n++
			if !yield(row) {
				return
			}
		}
	}
}
