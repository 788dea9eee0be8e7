package password

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// line is an admission with one permit, which is in use, and a queue of two groups of requests.
type line struct {
	*admission
	crowd, others []*waiter
}

// arriving adds a request of a share to the queue.
func (l *line) arriving(s Share) *waiter {
	w := &waiter{s.keys(), make(chan bool, 1)}
	l.arrive(w)
	return w
}

// turns ends admitted requests until every request of others is admitted, and returns how many of
// the crowd were admitted before.
func (l *line) turns(t *testing.T) (n int) {
	t.Helper()
	admitted := func(all []*waiter) (n int) {
		for _, w := range all {
			if len(w.admitted) == 1 {
				n++
			}
		}
		return n
	}
	for admitted(l.others) < len(l.others) {
		if l.size() == 0 {
			t.Fatal("the queue is empty")
		}
		l.leave()
	}
	return admitted(l.crowd)
}

// T-13: requests with a common account, tenant, network or site are together admitted no more often
// than each other request.
func TestAdmission_crowdGetsOneEqualPart(t *testing.T) {
	t.Parallel()
	victim := Share{"192.0.2.1", "b", "ada", false}
	for name, crowd := range map[string]func(i int) Share{
		"one account": func(int) Share { return Share{"203.0.113.1", "a", "owner", false} },
		"a tenant from many networks": func(i int) Share {
			return Share{fmt.Sprintf("203.0.113.%d", i), "a", fmt.Sprint(i), false}
		},
		"a network that names tenants": func(i int) Share {
			return Share{"203.0.113.1", fmt.Sprint(i), "owner", false}
		},
		"a site of IPv6": func(i int) Share {
			return Share{fmt.Sprintf("2001:db8:0:%x::1", i), fmt.Sprint(i), "owner", false}
		},
		"an IPv6 network": func(i int) Share {
			return Share{fmt.Sprintf("2001:db8::%x", i), fmt.Sprint(i), "owner", false}
		},
		"an account of the same tenant": func(i int) Share {
			return Share{fmt.Sprintf("203.0.113.%d", i), "b", "bob", false}
		},
		"one account of the same network":  func(int) Share { return Share{"192.0.2.1", "b", "bob", false} },
		"another tenant, the same network": func(i int) Share { return Share{"192.0.2.1", "a", fmt.Sprint(i), false} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &line{admission: newAdmission(1, 100)}
			for i := range 101 {
				l.crowd = append(l.crowd, l.arriving(crowd(i)))
			}
			for range 5 {
				l.others = append(l.others, l.arriving(victim))
			}
			for i, w := range l.others {
				if len(w.admitted) == 1 && !<-w.admitted {
					t.Errorf("request %d was refused", i)
				}
			}
			if l.size() != 101 {
				t.Errorf("%d requests are in the queue", l.size())
			}
			refused := 0
			for _, w := range l.crowd[96:] {
				refused += len(w.admitted)
			}
			if refused != 5 {
				t.Errorf("%d of the newest of the crowd were refused, want 5", refused)
			}
			l.crowd = l.crowd[:96]
			if n := l.turns(t); n > 7 {
				t.Errorf("%d of the crowd were served before 5 of the others", n)
			}
		})
	}
}

// A tenant that had no requests for a while must not be served before all others afterwards.
func TestAdmission_idleTenantGetsNoCredit(t *testing.T) {
	t.Parallel()
	l := &line{admission: newAdmission(1, 100)}
	for range 500 {
		l.arriving(Share{"203.0.113.1", "a", "owner", false})
		l.leave()
	}
	for range 20 {
		l.crowd = append(l.crowd, l.arriving(Share{"192.0.2.1", "b", "ada", false}))
		l.others = append(l.others, l.arriving(Share{"203.0.113.1", "a", "owner", false}))
	}
	l.others = l.others[:5]
	if n := l.turns(t); n > 7 {
		t.Errorf("%d of the newcomer were served before 5 of the other", n)
	}
	if len(l.next) > 500 {
		t.Errorf("%d turns are kept", len(l.next))
	}
}

// P-07: a request that is cancelled while it waits, or just as it is admitted, neither loses a
// permit nor releases that of another request.
func TestAdmission_cancelledRequestsLoseNoPermit(t *testing.T) {
	t.Parallel()
	a := newAdmission(2, 50)
	for range 50 {
		ctx, hangUp := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				switch err := a.enter(ctx, Share{Account: fmt.Sprint(i)}); {
				case err == nil:
					hangUp()
					a.leave()
				case !errors.Is(err, context.Canceled):
					t.Error(err)
				}
			})
		}
		all.Wait()
		hangUp()
	}
	if a.size() != 0 || a.admitted != 0 {
		t.Errorf("%d requests are left, %d admitted", a.size(), a.admitted)
	}
}
