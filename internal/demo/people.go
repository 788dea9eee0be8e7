package demo

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"

	"tenantry/internal/roles"
)

// history is how far back the data go, session how long one lasts.
const (
	history = 3 * 365 * 24 * time.Hour
	session = 30 * 24 * time.Hour
)

// home is a tenant.
type home struct {
	*rand.Rand
	number  int
	id      uuid.UUID
	created time.Time
	active  bool
	users   int
	roles   []*homeRole
}

type homeRole struct {
	id                uuid.UUID
	name, description string
	permissions       []string
	system            bool
}

// person is a user with roles and sessions.
type person struct {
	home            *home
	id              uuid.UUID
	email, fullName string
	created         time.Time
	active          bool
	verified        *time.Time
	roles           []*homeRole
	visits          []visit
}

// visit is a session.
type visit struct {
	id             uuid.UUID
	begun, rotated time.Time
	counter        int
	revoked        string
	agent, ip      string
}

func slug(number int) string { return fmt.Sprintf("demo-%d", number+1) }

func ownerEmail(number int) string { return fmt.Sprintf("owner@%s.example", slug(number)) }

// plan returns the tenants and how many users each has: the first a fifth, and of the others the
// n-th in proportion to 1/n, but nobody less than one.
func plan(opts Options) []*home {
	homes := make([]*home, opts.Tenants)
	rest, weights := opts.Users-opts.Tenants, 0.0
	for i := 1; i < opts.Tenants; i++ {
		weights += 1 / float64(i)
	}
	first := rest
	if opts.Tenants > 1 {
		first = min(rest, max(0, opts.Users/5-1))
	}
	left := rest - first
	for i := range homes {
		r := rand.New(rand.NewPCG(opts.Seed, uint64(i))) //nolint:gosec // the data must be the same every time
		created := opts.Now.Add(-history + time.Duration(r.Int64N(int64(history/4))))
		h := &home{Rand: r, number: i, id: newID(r, created), created: created, active: r.IntN(200) > 0 || i == 0,
			users: 1}
		if i == 0 {
			h.users += first
		} else {
			share := int(float64(rest-first) / weights / float64(i))
			h.users += share
			left -= share
		}
		h.grantRoles()
		homes[i] = h
	}
	// What was lost in rounding down.
	for i := 1; left > 0; i = i%(opts.Tenants-1) + 1 {
		homes[i].users++
		left--
	}
	return homes
}

// grantRoles gives a tenant the system roles, and two of its own if it is not small.
func (h *home) grantRoles() {
	for _, r := range roles.System() {
		h.roles = append(h.roles, &homeRole{newID(h.Rand, h.created), r.Name, r.Description, r.Permissions, true})
	}
	if h.users >= 50 {
		h.roles = append(h.roles,
			&homeRole{newID(h.Rand, h.created), "support", "Helps users who cannot sign in",
				[]string{roles.UsersRead, roles.SessionsRead, roles.SessionsWrite}, false},
			&homeRole{newID(h.Rand, h.created), "auditor", "Reads and changes nothing",
				[]string{roles.UsersRead, roles.RolesRead, roles.TenantRead}, false})
	}
}

// people returns every user, tenant by tenant, the oldest first.
func people(homes []*home, opts Options) iter.Seq[person] {
	return func(yield func(person) bool) {
		for _, h := range homes {
			joined := h.created
			step := int64(opts.Now.Sub(h.created)) / int64(h.users+1)
			for i := range h.users {
				if !yield(h.person(i, joined, opts.Now)) {
					return
				}
				joined = joined.Add(time.Duration(step/2 + h.Int64N(step/2+1)))
			}
		}
	}
}

// person returns the i-th user of a tenant; the first is its owner.
func (h *home) person(i int, joined, now time.Time) person {
	given, family := names[h.IntN(len(names))], families[h.IntN(len(families))]
	p := person{
		home: h, id: newID(h.Rand, joined), created: joined, fullName: given + " " + family, active: i == 0 ||
			h.IntN(100) >= 3,
		email: fmt.Sprintf("%s.%s.%d@%s.example", letters(given), letters(family), i, slug(h.number)),
	}
	if h.IntN(10) < 8 {
		at := joined.Add(time.Duration(h.Int64N(int64(time.Hour))))
		p.verified = &at
	}
	owner, admin, member := h.roles[0], h.roles[1], h.roles[2]
	switch {
	case i == 0:
		p.email, p.roles = ownerEmail(h.number), []*homeRole{owner}
	case h.IntN(100) == 0:
		p.roles = []*homeRole{admin, member}
	default:
		p.roles = []*homeRole{member}
	}
	if more := h.roles[3:]; len(more) > 0 && h.IntN(50) == 0 {
		p.roles = append(p.roles, more[h.IntN(len(more))])
	}
	for range max(0, h.IntN(5)-2) { // six of ten have none
		p.visits = append(p.visits, h.visit(p, now))
	}
	return p
}

// letters is a name as an address may have it: in lower case, without accents.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, norm.NFD.String(strings.ToLower(name)))
}

// visit returns a session that is not over by age. Whoever is inactive has been signed out.
func (h *home) visit(p person, now time.Time) visit {
	oldest := now.Add(-session)
	if p.created.After(oldest) {
		oldest = p.created
	}
	within := func(from time.Time) time.Time { return from.Add(time.Duration(h.Int64N(int64(now.Sub(from)) + 1))) }
	begun := within(oldest)
	v := visit{
		id: newID(h.Rand, begun), begun: begun, rotated: within(begun), counter: h.IntN(300),
		agent: agents[h.IntN(len(agents))], ip: fmt.Sprintf("198.51.%d.%d", h.IntN(256), h.IntN(256)),
	}
	switch {
	case !p.active:
		v.revoked = "user_inactive"
	case h.IntN(10) == 0:
		v.revoked = "logout"
	}
	return v
}

// newID returns a UUIDv7 of a time after 1970 (RFC 9562 §5.7).
func newID(r *rand.Rand, at time.Time) (id uuid.UUID) {
	ms := uint64(at.UnixMilli())
	binary.BigEndian.PutUint64(id[:8], ms<<16|0x7000|r.Uint64()&0x0fff)
	binary.BigEndian.PutUint64(id[8:], 1<<63|r.Uint64()>>2)
	return id
}

var (
	names = strings.Fields(`Ada Alan Amina Anna Barbara Björn Carlos Chen Chloë Claude Dana Daniel Edsger Elena Emmy Fatima Frances George Grace
		Hedy Hiroshi Ida Ivan Jean Joan João José Karen Katherine Ken Lea Leila Linus Maria Marie Mei Niklaus Noor Olga Omar Priya Radia Rosa
		Sofia Sven Tim Ursula Valentina Wei Yusuf Zoë`)
	families = strings.Fields(`Allen Almeida Becker Borg Brooks Chandra Costa Curie Dijkstra Eriksson Fischer Garcia Goldberg Hamilton Hopper
		Ibrahim Ivanova Jensen Johnson Khan Kim Kowalski Lamarr Lamport Li Liskov Lovelace Martin Meyer Müller Nakamura Nguyen Noether Novak
		Okafor Patel Perlman Rossi Sato Schmidt Silva Singh Smith Tanaka Torvalds Turing Wang Wilkes Wirth Yamamoto Zhang`)
	agents = []string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 " +
			"Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
			"Version/18.5 Mobile/15E148 Safari/604.1",
		"okhttp/4.12.0",
	}
)
