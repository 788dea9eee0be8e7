package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
)

// ledger is what a server has acknowledged to its writers, and must never forget.
type ledger struct {
	mu       sync.Mutex
	accounts []*account
	entries  int
}

// account is a user whose registration was acknowledged. The client writes numbers as its name, one
// after the other.
type account struct {
	client
	email string
	// A name is of the last number that was acknowledged, or of a later one that was attempted.
	acknowledged, attempted int
}

func (l *ledger) enter(a *account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accounts = append(l.accounts, a)
	l.entries++
}

// count returns how many writes were acknowledged.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries
}

// register makes an account, and enters it if that is acknowledged.
func (l *ledger) register(ctx context.Context, c *client, number int) (answer, error) {
	a := &account{client: client{url: c.url, web: c.web}, email: fmt.Sprintf("writer-%d@acme.test", number)}
	got, err := a.register(ctx, a.email)
	if err == nil && got.status == http.StatusCreated {
		l.enter(a)
	}
	return got, err
}

// rename writes the next number.
func (l *ledger) rename(ctx context.Context, a *account) (answer, error) {
	a.attempted++
	got, err := a.rename(ctx, strconv.Itoa(a.attempted))
	if err == nil && got.status == http.StatusOK {
		a.acknowledged = a.attempted
		l.mu.Lock()
		defer l.mu.Unlock()
		l.entries++
	}
	return got, err
}

// holdAgainst demands that a process shows everything that was acknowledged, from the account of
// the number on.
func (l *ledger) holdAgainst(t testing.TB, p *process, from int) {
	t.Helper()
	for _, a := range l.accounts[from:] {
		a.url = p.url
		got := expect(t, http.StatusOK)(a.me(t.Context()))
		name, _ := strconv.Atoi(got.FullName) // none is 0
		if got.Email != a.email || name < a.acknowledged || name > a.attempted {
			t.Fatalf("%s called %q, want %s called a number from %d to %d", got.Email, got.FullName, a.email,
				a.acknowledged, a.attempted)
		}
	}
}
