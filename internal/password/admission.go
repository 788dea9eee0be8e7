package password

import (
	"context"
	"slices"
	"sync"
	"time"

	"tenantry/internal/network"
)

// Share names the client network, the tenant and the account that a password is hashed for. Each of
// them gets an equal part of the hasher while there are more requests than it can serve.
type Share struct {
	Network, Tenant, Account string
	// Known says that the account has signed in from this device or network before. Known requests
	// have keys of their own, so that any number of unknown ones does not delay them.
	Known bool
}

// keys returns the queue's keys of the request.
func (s Share) keys() [4]string {
	of := ""
	if s.Known {
		of = "known "
	}
	return [4]string{
		of + "site\n" + network.SiteOf(s.Network), of + "network\n" + network.Of(s.Network),
		of + "tenant\n" + s.Tenant, of + "account\n" + s.Tenant + "\n" + s.Account,
	}
}

// admission is a semaphore with a bounded queue that is fair to networks, tenants and accounts at
// once (start-time fair queueing). Each waiter has one key for its site, network, tenant and
// account. A key that was served waits until every other key in the queue was served once; a waiter
// is admitted when the last of its keys has its turn. When the queue is full, the newest waiter of
// the largest crowd is refused. So neither one account, nor one tenant from many networks, nor one
// network with many tenants keeps others out.
type admission struct {
	room, queue int

	mu       sync.Mutex
	admitted int
	waiting  []*waiter // in the order of arrival
	// now is the virtual time: the turn of the request that was admitted last. next is the turn of
	// each key that was served recently; a key that is missing has its turn now.
	now  int
	next map[string]int
}

// waiter is a request that waits until it is admitted, or displaced by another.
type waiter struct {
	keys     [4]string
	admitted chan bool
}

// rank compares requests by their largest key, then by the sum of their keys.
type rank struct{ largest, sum int }

func (r rank) above(other rank) bool {
	return r.largest > other.largest || (r.largest == other.largest && r.sum > other.sum)
}

func newAdmission(room, queue int) *admission {
	return &admission{room: room, queue: queue, next: map[string]int{}}
}

// enter waits until the request is admitted: ErrBusy if the queue is full of requests that come
// first, or after hashWait, or the error of ctx. The caller calls leave after it was admitted.
func (a *admission) enter(ctx context.Context, share Share) error {
	w := &waiter{share.keys(), make(chan bool, 1)}
	if !a.arrive(w) {
		return ErrBusy
	}
	turn := time.NewTimer(hashWait)
	defer turn.Stop()
	select {
	case admitted := <-w.admitted:
		if !admitted {
			return ErrBusy
		}
		return nil
	case <-turn.C:
		a.giveUp(w)
		return ErrBusy
	case <-ctx.Done():
		a.giveUp(w)
		return ctx.Err()
	}
}

// giveUp ends the wait of a waiter.
func (a *admission) giveUp(w *waiter) {
	if !a.abandon(w) && <-w.admitted {
		a.leave() // it was admitted just now
	}
}

// leave ends the work of an admitted request and admits the next.
func (a *admission) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.admitted--
	a.admit()
}

// size returns how many requests are admitted or wait.
func (a *admission) size() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.admitted + len(a.waiting)
}

// arrive adds a waiter to the queue, and reports whether it was kept there or admitted.
func (a *admission) arrive(w *waiter) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(a.waiting, w)
	a.admit()
	if len(a.waiting) <= a.queue {
		return true
	}
	last := a.mostCrowded()
	displaced := a.waiting[last]
	a.waiting = slices.Delete(a.waiting, last, last+1)
	displaced.admitted <- false
	return displaced != w
}

// abandon removes a waiter from the queue, and reports whether it was still there.
func (a *admission) abandon(w *waiter) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := slices.Index(a.waiting, w)
	if at < 0 {
		return false
	}
	a.waiting = slices.Delete(a.waiting, at, at+1)
	return true
}

// admit admits the waiters whose turn is next while there is room. The caller holds the lock.
func (a *admission) admit() {
	for a.admitted < a.room && len(a.waiting) > 0 {
		first, best := 0, a.turn(a.waiting[0])
		for i, w := range a.waiting {
			if r := a.turn(w); best.above(r) {
				first, best = i, r
			}
		}
		w := a.waiting[first]
		a.waiting = slices.Delete(a.waiting, first, first+1)
		a.now += best.largest
		for _, key := range w.keys {
			a.next[key] = a.now + 1
		}
		if len(a.next) > 4*(a.room+a.queue) {
			for key, turn := range a.next {
				if turn <= a.now {
					delete(a.next, key)
				}
			}
		}
		a.admitted++
		w.admitted <- true
	}
}

// turn returns how far ahead of the virtual time the turns of the waiter's keys are.
func (a *admission) turn(w *waiter) (r rank) {
	for _, key := range w.keys {
		ahead := max(0, a.next[key]-a.now)
		r.largest, r.sum = max(r.largest, ahead), r.sum+ahead
	}
	return r
}

// mostCrowded returns the index of the newest of the waiters that share their keys with the most
// others.
func (a *admission) mostCrowded() (last int) {
	crowds := map[string]int{}
	for _, w := range a.waiting {
		for _, key := range w.keys {
			crowds[key]++
		}
	}
	var most rank
	for i, w := range a.waiting {
		r := rank{}
		for _, key := range w.keys {
			r.largest, r.sum = max(r.largest, crowds[key]), r.sum+crowds[key]
		}
		if !most.above(r) {
			last, most = i, r
		}
	}
	return last
}
