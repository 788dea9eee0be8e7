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

const (
	// history is the age of the oldest data.
	history = 3 * 365 * 24 * time.Hour
	// sessionTTL is the lifetime of a session.
	sessionTTL = 30 * 24 * time.Hour
)

// demoTenant is a tenant with its source of random numbers.
type demoTenant struct {
	*rand.Rand
	number  int
	id      uuid.UUID
	created time.Time
	active  bool
	users   int
	roles   []*demoRole
}

type demoRole struct {
	id                uuid.UUID
	name, description string
	permissions       []string
	system            bool
}

// person is a user with roles and sessions.
type person struct {
	tenant          *demoTenant
	id              uuid.UUID
	email, fullName string
	created         time.Time
	active          bool
	verified        *time.Time
	roles           []*demoRole
	sessions        []session
}

type session struct {
	id               uuid.UUID
	created, rotated time.Time
	counter          int
	revoked          string
	agent, ip        string
}

func slug(number int) string { return fmt.Sprintf("demo-%d", number+1) }

func ownerEmail(number int) string { return fmt.Sprintf("owner@%s.example", slug(number)) }

// plan returns the tenants with their numbers of users: the first a fifth, and of the others the
// n-th in proportion to 1/n, but at least one.
func plan(opts Options) []*demoTenant {
	all := make([]*demoTenant, opts.Tenants)
	rest, weights := opts.Users-opts.Tenants, 0.0
	for i := 1; i < opts.Tenants; i++ {
		weights += 1 / float64(i)
	}
	first := rest
	if opts.Tenants > 1 {
		first = min(rest, max(0, opts.Users/5-1))
	}
	left := rest - first
	for i := range all {
		r := rand.New(rand.NewPCG(opts.Seed, uint64(i))) //nolint:gosec // the data must be the same every time
		created := opts.Now.Add(-history + time.Duration(r.Int64N(int64(history/4))))
		t := &demoTenant{Rand: r, number: i, id: newID(r, created), created: created,
			active: r.IntN(200) > 0 || i == 0, users: 1}
		if i == 0 {
			t.users += first
		} else {
			share := int(float64(rest-first) / weights / float64(i))
			t.users += share
			left -= share
		}
		t.createRoles()
		all[i] = t
	}
	// Distribute the users that rounding down has left.
	for i := 1; left > 0; i = i%(opts.Tenants-1) + 1 {
		all[i].users++
		left--
	}
	return all
}

// createRoles adds the system roles, and two custom roles unless the tenant is small.
func (t *demoTenant) createRoles() {
	for _, r := range roles.System() {
		t.roles = append(t.roles, &demoRole{newID(t.Rand, t.created), r.Name, r.Description, r.Permissions, true})
	}
	if t.users >= 50 {
		t.roles = append(t.roles,
			&demoRole{newID(t.Rand, t.created), "support", "Helps users who cannot sign in",
				[]string{roles.UsersRead, roles.SessionsRead, roles.SessionsWrite}, false},
			&demoRole{newID(t.Rand, t.created), "auditor", "Reads and changes nothing",
				[]string{roles.UsersRead, roles.RolesRead, roles.TenantRead}, false})
	}
}

// people returns all users, tenant by tenant, oldest first.
func people(all []*demoTenant, opts Options) iter.Seq[person] {
	return func(yield func(person) bool) {
		for _, t := range all {
			joined := t.created
			step := int64(opts.Now.Sub(t.created)) / int64(t.users+1)
			for i := range t.users {
				if !yield(t.person(i, joined, opts.Now)) {
					return
				}
				joined = joined.Add(time.Duration(step/2 + t.Int64N(step/2+1)))
			}
		}
	}
}

// person returns the i-th user of a tenant; the first is its owner.
func (t *demoTenant) person(i int, joined, now time.Time) person {
	given, family := names[t.IntN(len(names))], families[t.IntN(len(families))]
	p := person{
		tenant: t, id: newID(t.Rand, joined), created: joined, fullName: given + " " + family,
		active: i == 0 || t.IntN(100) >= 3,
		email:  fmt.Sprintf("%s.%s.%d@%s.example", letters(given), letters(family), i, slug(t.number)),
	}
	if t.IntN(10) < 8 {
		at := joined.Add(time.Duration(t.Int64N(int64(time.Hour))))
		p.verified = &at
	}
	owner, admin, member := t.roles[0], t.roles[1], t.roles[2]
	switch {
	case i == 0:
		p.email, p.roles = ownerEmail(t.number), []*demoRole{owner}
	case t.IntN(100) == 0:
		p.roles = []*demoRole{admin, member}
	default:
		p.roles = []*demoRole{member}
	}
	if custom := t.roles[3:]; len(custom) > 0 && t.IntN(50) == 0 {
		p.roles = append(p.roles, custom[t.IntN(len(custom))])
	}
	for range max(0, t.IntN(5)-2) { // six of ten users have no session
		p.sessions = append(p.sessions, t.session(p, now))
	}
	return p
}

// letters returns a name for an address: in lower case, without accents.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, norm.NFD.String(strings.ToLower(name)))
}

// session returns a session that has not expired. The session of an inactive user is revoked.
func (t *demoTenant) session(p person, now time.Time) session {
	oldest := now.Add(-sessionTTL)
	if p.created.After(oldest) {
		oldest = p.created
	}
	since := func(from time.Time) time.Time { return from.Add(time.Duration(t.Int64N(int64(now.Sub(from)) + 1))) }
	created := since(oldest)
	s := session{
		id: newID(t.Rand, created), created: created, rotated: since(created), counter: t.IntN(300),
		agent: agents[t.IntN(len(agents))], ip: fmt.Sprintf("198.51.%d.%d", t.IntN(256), t.IntN(256)),
	}
	switch {
	case !p.active:
		s.revoked = "user_inactive"
	case t.IntN(10) == 0:
		s.revoked = "logout"
	}
	return s
}

// newID returns a UUIDv7 of a time after 1970 (RFC 9562 §5.7).
func newID(r *rand.Rand, at time.Time) (id uuid.UUID) {
	ms := uint64(at.UnixMilli())
	binary.BigEndian.PutUint64(id[:8], ms<<16|0x7000|r.Uint64()&0x0fff)
	binary.BigEndian.PutUint64(id[8:], 1<<63|r.Uint64()>>2)
	return id
}

var (
	names = strings.Fields(`Ada Alan Amina Anna Barbara Björn Carlos Chen Chloë Claude Dana Daniel Edsger Elena
		Emmy Fatima Frances George Grace Hedy Hiroshi Ida Ivan Jean Joan João José Karen Katherine Ken Lea Leila
		Linus Maria Marie Mei Niklaus Noor Olga Omar Priya Radia Rosa Sofia Sven Tim Ursula Valentina Wei Yusuf Zoë`)
	families = strings.Fields(`Allen Almeida Becker Borg Brooks Chandra Costa Curie Dijkstra Eriksson Fischer Garcia
		Goldberg Hamilton Hopper Ibrahim Ivanova Jensen Johnson Khan Kim Kowalski Lamarr Lamport Li Liskov Lovelace
		Martin Meyer Müller Nakamura Nguyen Noether Novak Okafor Patel Perlman Rossi Sato Schmidt Silva Singh Smith
		Tanaka Torvalds Turing Wang Wilkes Wirth Yamamoto Zhang`)
	agents = []string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 " +
			"Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
			"Version/18.5 Mobile/15E148 Safari/604.1",
		"okhttp/4.12.0",
	}
)
