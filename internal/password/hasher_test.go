package password

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/internal/problem"
)

func TestHasher(t *testing.T) {
	t.Parallel()
	h := NewHasher(HashOptions{Concurrency: 2})
	first, err := h.Hash(t.Context(), "correct horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.Hash(t.Context(), "correct horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	if first == second || !strings.HasPrefix(first, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s and %s", first, second)
	}
	for name, test := range map[string]struct {
		hash     *string
		password string
		want     bool
	}{
		"the password":           {&first, "correct horse battery staple", true},
		"another":                {&first, "correct horse battery stapl", false},
		"none":                   {&first, "", false},
		"no hash":                {nil, "correct horse battery staple", false},
		"an empty hash":          {new(""), "", false},
		"a hash of another kind": {new("$2a$10$abcdefghijklmnopqrstuu"), "x", false},
		"parameters out of reach": {new("$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"), "x",
			false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := h.Verify(t.Context(), test.hash, test.password); got != test.want || err != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestHasher_lowerCostIsOutdated(t *testing.T) {
	t.Parallel()
	low, high := NewHasher(HashOptions{}), NewHasher(HashOptions{MemoryKiB: 20 << 10, Time: 3})
	hash, err := low.Hash(t.Context(), "correct horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	if low.Outdated(hash) || !high.Outdated(hash) {
		t.Errorf("%s is outdated for %v and %v", hash, low.Outdated(hash), high.Outdated(hash))
	}
	renewed, err := high.Hash(t.Context(), "correct horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(renewed, "$argon2id$v=19$m=20480,t=3,p=1$") || low.Outdated(renewed) ||
		high.Outdated(renewed) {
		t.Errorf("%s", renewed)
	}
	if matches, err := low.Verify(t.Context(), &renewed, "correct horse battery staple"); !matches || err != nil {
		t.Errorf("verified by a hasher of lower cost: %v, %v", matches, err)
	}
}

func TestHasher_concurrentHashesAreLimited(t *testing.T) {
	t.Parallel()
	h := NewHasher(HashOptions{Concurrency: 1})
	h.permits <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := h.Hash(ctx, "correct horse battery staple")
	busy(t, err)
}

// P-09: a failed sign-in costs the same, in memory times passes, for every account: without a user,
// with a hash of any cost, with a hash that cannot be computed (P-06), and with the correct
// password of a disabled user.
func TestHasher_failuresCostAsMuchAsTheMostExpensiveHash(t *testing.T) {
	t.Parallel()
	const right = "correct horse battery staple"
	h, hashes := NewHasher(HashOptions{Concurrency: 1}), map[string]*string{
		"no hash": nil, "no argon2id": new("$2a$10$abcdefghijklmnopqrstuu"),
		"out of bounds": new("$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"),
	}
	for name, cost := range map[string]HashOptions{
		"configured": {}, "more memory": {MemoryKiB: 40 << 10}, "more passes": {Time: 3},
		"most expensive": {MemoryKiB: 40 << 10, Time: 3},
	} {
		hash, err := NewHasher(cost).Hash(t.Context(), right)
		if err != nil {
			t.Fatal(err)
		}
		hashes[name] = &hash
	}
	old := phcHash{memory: 8 << 10, time: 1, threads: 1, salt: random(argonSalt), key: random(argonKey), size: argonKey}
	hashes["cheap"] = new(old.String())
	var computed []phcHash
	h.computed = func(p phcHash) { computed = append(computed, p) }
	cost := func() (total uint32) {
		for _, p := range computed {
			if p.memory > 40<<10 {
				t.Errorf("%d KiB were allocated", p.memory)
			}
			total += p.memory * p.time
		}
		computed = nil
		return total
	}
	wrong := func(hash *string) uint32 {
		if matches, err := h.Verify(t.Context(), hash, "a wrong password"); matches || err != nil {
			t.Errorf("wrong password: %v, %v", matches, err)
		}
		return cost()
	}
	if got := wrong(nil); got != 2*minArgonMemory {
		t.Errorf("before any other hash was seen a failure costs %d KiB", got)
	}
	wrong(hashes["most expensive"])
	for name, hash := range hashes {
		if got, want := wrong(hash), uint32(3*40<<10); got > want || got < want-1<<10 {
			t.Errorf("%s: %d KiB, want %d", name, got, want)
		}
	}
	for _, name := range []string{"configured", "more memory", "more passes", "most expensive"} {
		if matches, err := h.Verify(t.Context(), hashes[name], right); !matches || err != nil {
			t.Errorf("%s: %v, %v", name, matches, err)
		}
		if err := h.Equalise(t.Context(), *hashes[name], right); err != nil {
			t.Error(err)
		}
		if got, want := cost(), uint32(3*40<<10); got > want || got < want-1<<10 {
			t.Errorf("%s, right password of a disabled user: %d KiB, want %d", name, got, want)
		}
	}
}

// ASVS 15.2.2: requests beyond the limit wait for admission, and beyond the queue they are refused
// at once.
func TestHasher_fullQueueIsRefused(t *testing.T) {
	t.Parallel()
	h := NewHasher(HashOptions{Concurrency: 1})
	var leave func()
	for range hashRoom {
		var err error
		if leave, err = h.Admit(t.Context(), Share{}); err != nil {
			t.Fatal(err)
		}
	}
	waiting, hangUp := context.WithCancel(t.Context())
	var crowd sync.WaitGroup
	for range hashQueue {
		crowd.Go(func() {
			_, err := h.Admit(waiting, Share{})
			busy(t, err)
		})
	}
	for h.Waiting() < hashRoom+hashQueue {
		runtime.Gosched()
	}
	_, err := h.Admit(t.Context(), Share{})
	busy(t, err)
	hangUp()
	crowd.Wait()
	leave()
	if _, err := h.Admit(t.Context(), Share{}); err != nil {
		t.Errorf("after one has left: %v", err)
	}
}

// P-07: a client that disconnects does not release the permit of its running hash.
func TestHasher_cancelledRequestFinishesItsHash(t *testing.T) {
	t.Parallel()
	h := NewHasher(HashOptions{Concurrency: 1})
	ctx, hangUp := context.WithCancel(t.Context())
	h.Report(func(stage string, _ time.Duration) {
		if stage == StageTurn {
			hangUp() // the hash has its turn
		}
	})
	if _, err := h.Hash(ctx, "correct horse battery staple"); err != nil || ctx.Err() == nil {
		t.Errorf("hash: %v, client: %v", err, ctx.Err())
	}
	if n := h.Running(); n != 0 {
		t.Errorf("%d hashes are running", n)
	}
}

func busy(t *testing.T, err error) {
	t.Helper()
	if p, ok := errors.AsType[*problem.Problem](err); !ok || p.Status != http.StatusServiceUnavailable ||
		p.RetryAfter == 0 {
		t.Errorf("busy: %v", err)
	}
}
