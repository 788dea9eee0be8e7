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

// userBatch is how many users are inserted before their roles and sessions.
const userBatch = 5_000

// Options are the parameters of Fill. Equal options yield equal rows, on either database.
type Options struct {
	// Tenants is at least 1, and Users at least as many: every tenant has an owner.
	Tenants, Users int
	Seed           uint64
	// PasswordHash is the password hash of every user. Without it users have no password.
	PasswordHash string
	// Now is the end of the generated history, in UTC.
	Now time.Time
	// Progress, if not nil, is called with the number of users inserted since the last call.
	Progress func(users int)
}

// Summary counts the rows that Fill has inserted.
type Summary struct {
	Tenants, Users, Roles, Assignments, Sessions int
	// Largest is the slug of the tenant with the most users, and Owner the address of its owner.
	Largest, Owner string
	// LargestUsers is the number of users of that tenant.
	LargestUsers int
}

// Fill inserts tenants with the slugs demo-1, demo-2 and so on, in one transaction. The first has a
// fifth of all users; the size of the others decreases with their number. It refuses a database
// that has demo tenants.
func Fill(ctx context.Context, db *database.DB, opts Options) (Summary, error) {
	if opts.Tenants < 1 || opts.Users < opts.Tenants {
		return Summary{}, errors.New("there must be at least one tenant, and a user for each")
	}
	exists, err := db.Client.Tenant.Query().Where(tenant.Slug(slug(0))).Exist(principal.System(ctx,
		"demo: checks for demo tenants"))
	if err != nil {
		return Summary{}, fmt.Errorf("check for tenants: %w", err)
	}
	if exists {
		return Summary{}, fmt.Errorf("the tenant %s already exists", slug(0))
	}
	all := plan(opts)
	largest := slices.MaxFunc(all, func(a, b *demoTenant) int { return cmp.Compare(a.users, b.users) })
	filled := Summary{
		Tenants: opts.Tenants, Users: opts.Users, Largest: slug(largest.number), LargestUsers: largest.users,
		Owner: ownerEmail(largest.number),
	}
	err = database.Load(ctx, db, func(b *database.Bulk) error {
		if err := b.Insert(ctx, tenant.Table, tenantColumns, tenantRows(all)); err != nil {
			return err
		}
		if err := b.Insert(ctx, role.Table, roleColumns, counted(&filled.Roles, roleRows(all))); err != nil {
			return err
		}
		for batch := range inBatches(people(all, opts), userBatch) {
			if err := b.Insert(ctx, user.Table, userColumns, userRows(batch, opts.PasswordHash)); err != nil {
				return err
			}
			if err := b.Insert(ctx, roleassignment.Table, assignmentColumns,
				counted(&filled.Assignments, assignmentRows(batch))); err != nil {
				return err
			}
			if err := b.Insert(ctx, refreshtoken.Table, sessionColumns,
				counted(&filled.Sessions, sessionRows(batch))); err != nil {
				return err
			}
			if opts.Progress != nil {
				opts.Progress(len(batch))
			}
		}
		return nil
	})
	return filled, err
}

func inBatches[T any](all iter.Seq[T], size int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		batch := make([]T, 0, size)
		for item := range all {
			if batch = append(batch, item); len(batch) == size {
				if !yield(batch) {
					return
				}
				batch = batch[:0]
			}
		}
		if len(batch) > 0 {
			yield(batch)
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
