package users

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"tenantry/ent"
	"tenantry/ent/predicate"
	"tenantry/ent/role"
	"tenantry/ent/roleassignment"
	"tenantry/ent/user"
	"tenantry/internal/auth"
	"tenantry/internal/database"
	"tenantry/internal/page"
	"tenantry/internal/principal"
	"tenantry/internal/problem"
)

// Filter selects users. A nil field selects all.
type Filter struct {
	IsActive *bool
	// Role is the name of a role of the users.
	Role *string
	// Email is the address, in any spelling of its canonical form.
	Email *string
	// Query is a case-insensitive prefix of the address or the full name.
	Query *string
}

// Page is one page of a list.
type Page struct {
	Items []*ent.User
	// Next is the cursor of the next page, "" on the last.
	Next string
	// Total is the number of users on all pages, if Window.Total is set.
	Total *int
}

// Window selects a page, and whether to count the users on all pages.
type Window struct {
	page.Window
	Total bool
}

// List returns a page of users, newest first, with one statement and one more for roles: 400 for a
// cursor of another list, and for a filter that no user can match.
func (u *Users) List(ctx context.Context, filter Filter, window Window, related edges) (*Page, error) {
	p, _ := principal.FromContext(ctx)
	if err := filter.check(); err != nil {
		return nil, err
	}
	predicates := filter.predicates(p.TenantID)
	list, err := filter.name(p.TenantID)
	if err != nil {
		return nil, err
	}
	q := u.client.User.Query().Where(predicates...).Order(user.ByID(sql.OrderDesc())).Limit(window.Limit + 1)
	if window.Cursor != "" {
		after, err := u.cursors.Decode(list, window.Cursor)
		if err != nil {
			return nil, err
		}
		q.Where(user.IDLT(after))
		if filter.Role != nil {
			q.Where(assignedBefore(after))
		}
	}
	related.load(q)
	if window.Total {
		q.Modify(func(s *sql.Selector) { s.AppendSelectExprAs(count(s.Dialect(), predicates), "total") })
	}
	if filter.Role != nil || filter.Query != nil {
		ctx = database.ReplanEachTime(ctx) // selectivity varies more by role and name than by tenant
	}
	items, err := q.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	listed := &Page{}
	if window.Total {
		if listed.Total, err = u.total(ctx, items, predicates, window.Cursor != ""); err != nil {
			return nil, fmt.Errorf("count users: %w", err)
		}
	}
	listed.Items, listed.Next = page.Cut(items, window.Window, func(last *ent.User) string {
		return u.cursors.Encode(list, last.ID)
	})
	return listed, nil
}

// check refuses a filter that no user can match, with 400. The usual cause is a plus sign, which
// means a space in a query (URL Standard §5.1).
func (f Filter) check() error {
	const plus = ": in a query + means a space, and %2B is a plus sign"
	if f.Email != nil {
		if _, err := auth.CanonicalEmail(*f.Email); strings.Contains(*f.Email, " ") {
			return problem.InvalidParameter("email", "has a space"+plus)
		} else if err != nil {
			return problem.InvalidParameter("email", err.Error())
		}
	}
	for name, text := range map[string]*string{"role": f.Role, "q": f.Query} {
		if text != nil && strings.TrimLeft(*text, " ") != *text {
			return problem.InvalidParameter(name, "begins with a space, as no name does"+plus)
		}
	}
	return nil
}

// name identifies the list of a tenant with this filter.
func (f Filter) name(tenant uuid.UUID) (string, error) {
	filter, err := json.Marshal(f)
	return "users " + tenant.String() + " " + string(filter), err
}

// predicates include the tenant: no privacy policy applies to the query that counts.
func (f Filter) predicates(tenant uuid.UUID) []predicate.User {
	all := []predicate.User{user.TenantID(tenant)}
	if f.IsActive != nil {
		all = append(all, user.IsActive(*f.IsActive))
	}
	if f.Email != nil {
		canonical, err := auth.CanonicalEmail(*f.Email)
		if err != nil { // see check
			canonical = ""
		}
		all = append(all, user.Email(canonical))
	}
	if f.Role != nil {
		all = append(all, hasRole(tenant, norm.NFC.String(*f.Role)))
	}
	if f.Query != nil {
		folded := cases.Fold().String(norm.NFC.String(*f.Query))
		all = append(all, user.Or(hasPrefix(user.FieldEmail, folded), hasPrefix(user.FieldFullNameFolded, folded)))
	}
	return all
}

// assigned is the table of role assignments.
func assigned() *sql.SelectTable { return sql.Table(roleassignment.Table).As("ra") }

// hasRole selects the users with a role of a tenant, in the order of the index that starts with the
// role, so that the cost of a page does not depend on the number of users with the role.
func hasRole(tenant uuid.UUID, name string) predicate.User {
	return func(s *sql.Selector) {
		named := sql.Table(role.Table)
		id := sql.Dialect(s.Dialect()).Select(named.C(role.FieldID)).From(named).
			Where(sql.And(sql.EQ(named.C(role.FieldTenantID), tenant), sql.EQ(named.C(role.FieldName), name)))
		ra := assigned()
		s.Join(ra).On(s.C(user.FieldID), ra.C(roleassignment.FieldUserID))
		s.Where(sql.P(func(b *sql.Builder) {
			b.Ident(ra.C(roleassignment.FieldRoleID)).WriteOp(sql.OpEQ).Wrap(func(b *sql.Builder) { b.Join(id) })
		}))
	}
}

// assignedBefore is IDLT for the table whose index is scanned.
func assignedBefore(id uuid.UUID) predicate.User {
	return func(s *sql.Selector) { s.Where(sql.LT(assigned().C(roleassignment.FieldUserID), id)) }
}

// hasPrefix selects the users whose column has a prefix. It compares bytes, as the index does: LIKE
// would not use an index on SQLite, nor in a plan that is independent of the prefix.
func hasPrefix(column, text string) predicate.User {
	const last = "\U0010ffff"
	return func(s *sql.Selector) {
		from, to := ">=", "<"
		if s.Dialect() == dialect.Postgres {
			from, to = "~>=~", "~<~"
		}
		s.Where(sql.P(func(b *sql.Builder) {
			b.Ident(s.C(column)).WriteString(" " + from + " ").Arg(text).
				WriteString(" AND ").Ident(s.C(column)).WriteString(" " + to + " ").Arg(text + last)
		}))
	}
}

// count returns a subquery that counts users: `count(*) OVER ()` would read every row before the
// first is returned.
func count(name string, predicates []predicate.User) sql.Querier {
	users := sql.Dialect(name).Select(sql.Count("*")).From(sql.Table(user.Table))
	for _, p := range predicates {
		p(users)
	}
	return users
}

// total returns the count that the first item carries. An empty page after the first one, whose
// users were deleted since its cursor was created, requires a query.
func (u *Users) total(ctx context.Context, items []*ent.User, predicates []predicate.User, later bool) (*int,
	error) {
	if len(items) == 0 {
		n := 0
		var err error
		if later {
			n, err = u.client.User.Query().Where(predicates...).Count(ctx)
		}
		return &n, err
	}
	value, err := items[0].Value("total")
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(fmt.Sprint(value))
	return &n, err
}
