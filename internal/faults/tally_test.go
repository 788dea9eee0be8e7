package faults_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// ending is how a request ended: with a status, or with 0 if it was not answered.
type ending struct {
	operation string
	status    int
}

// tally counts requests by how they ended. The zero value is ready.
type tally struct {
	mu     sync.Mutex
	counts map[ending]int
}

func (t *tally) note(operation string, a answer, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[ending]int{}
	}
	if err != nil {
		a.status = 0
	}
	t.counts[ending{operation, a.status}]++
}

// count returns the number of requests that ended as the condition says.
func (t *tally) count(holds func(status int) bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for e, count := range t.counts {
		if holds(e.status) {
			n += count
		}
	}
	return n
}

func all(int) bool              { return true }
func answered(status int) bool  { return status != 0 }
func succeeded(status int) bool { return status/100 == 2 }
func failed(status int) bool    { return !succeeded(status) }

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	endings := slices.SortedFunc(maps.Keys(t.counts), func(a, b ending) int {
		return cmp.Or(strings.Compare(a.operation, b.operation), a.status-b.status)
	})
	var s strings.Builder
	for _, e := range endings {
		status := http.StatusText(e.status)
		if e.status == 0 {
			status = "no answer"
		}
		fmt.Fprintf(&s, "\n%7d %s: %s", t.counts[e], e.operation, status)
	}
	return s.String()
}
