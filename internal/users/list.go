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

// Filter says which users are meant; what is nil does not matter.
type Filter struct {
	IsActive *bool
	// Role is the name of a role that they have.
	Role *string
	// Email is the address, in any spelling of its canonical form.
	Email *string
	// Query is how the address or the full name begins.
	Query *string
}

// Page is one page of a list.
type Page struct {
	Items []*ent.User
	// Next is the cursor of the next page, "" on the last.
	Next string
	// Total is how many there are on all pages, if it was asked for.
	Total *int
}

// Window says which page is meant, and whether all are to be counted.
type Window struct {
	page.Window
	Total bool
}

// List returns a page of users, the newest first, in one statement and one more for roles: 400 for
// a cursor of another list, and for a filter that no user can match.
func (u *Users) List(ctx context.Context, filter Filter, window Window, related edges) (*Page, error) {
	p, _ := principal.FromContext(ctx)
	if err := filter.check(); err != nil {
		return nil, err
	}
	wanted := filter.predicates(p.TenantID)
	list, err := filter.name(p.TenantID)
	if err != nil {
		return nil, err
	}
	q := u.client.User.Query().Where(wanted...).Order(user.ByID(sql.OrderDesc())).Limit(window.Limit + 1)
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
		q.Modify(func(s *sql.Selector) { s.AppendSelectExprAs(counting(s.Dialect(), wanted), "total") })
	}
	if filter.Role != nil || filter.Query != nil {
		ctx = database.ReplanEachTime(ctx) // how many have a role, or a name, differs more than tenants do
	}
	items, err := q.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	listed := &Page{}
	if window.Total {
		if listed.Total, err = u.total(ctx, items, wanted, window.Cursor != ""); err != nil {
			return nil, fmt.Errorf("count users: %w", err)
		}
	}
	listed.Items, listed.Next = page.Cut(items, window.Window, func(last *ent.User) string {
		return u.cursors.Encode(list, last.ID)
	})
	return listed, nil
}

// check refuses with 400 a filter that no user can match. The usual cause is a plus sign: in a
// query it means a space (URL Standard §5.1).
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

// name tells the list of a tenant with this filter from every other list.
func (f Filter) name(tenant uuid.UUID) (string, error) {
	filter, err := json.Marshal(f)
	return "users " + tenant.String() + " " + string(filter), err
}

// predicates name the tenant as well: the count is a query of its own, which no policy confines.
func (f Filter) predicates(tenant uuid.UUID) []predicate.User {
	wanted := []predicate.User{user.TenantID(tenant)}
	if f.IsActive != nil {
		wanted = append(wanted, user.IsActive(*f.IsActive))
	}
	if f.Email != nil {
		canonical, err := auth.CanonicalEmail(*f.Email)
		if err != nil { // see check
			canonical = ""
		}
		wanted = append(wanted, user.Email(canonical))
	}
	if f.Role != nil {
		wanted = append(wanted, holding(tenant, norm.NFC.String(*f.Role)))
	}
	if f.Query != nil {
		folded := cases.Fold().String(norm.NFC.String(*f.Query))
		wanted = append(wanted, user.Or(begins(user.FieldEmail, folded), begins(user.FieldFullNameFolded, folded)))
	}
	return wanted
}

// assigned are the roles that users have.
func assigned() *sql.SelectTable { return sql.Table(roleassignment.Table).As("ra") }

// holding means the users with a role of a tenant, in the order of the index that starts with the
// role: a page costs the same whether few have it or everybody.
func holding(tenant uuid.UUID, name string) predicate.User {
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

// assignedBefore says again what IDLT says, of the table whose index is walked.
func assignedBefore(id uuid.UUID) predicate.User {
	return func(s *sql.Selector) { s.Where(sql.LT(assigned().C(roleassignment.FieldUserID), id)) }
}

// begins means the users whose column begins with a text. It compares bytes, as the index does:
// LIKE would not go by an index on SQLite, nor for a plan that is made before the text is known.
func begins(column, text string) predicate.User {
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

// counting is the number of users as an expression: `count(*) OVER ()` would read every row before
// the first is answered.
func counting(name string, wanted []predicate.User) sql.Querier {
	users := sql.Dialect(name).Select(sql.Count("*")).From(sql.Table(user.Table))
	for _, p := range wanted {
		p(users)
	}
	return users
}

// total reads the number that came with the first item. A page after the last item, all of which
// were deleted since its cursor was made, has none to bring it.
func (u *Users) total(ctx context.Context, items []*ent.User, wanted []predicate.User, later bool) (*int, error) {
	if len(items) == 0 {
		n := 0
		var err error
		if later {
			n, err = u.client.User.Query().Where(wanted...).Count(ctx)
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
