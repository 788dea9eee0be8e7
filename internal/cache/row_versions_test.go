package cache_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/internal/cache"
)

// Changes of other rows invalidate few entries: the number of row versions follows from the memory.
func TestCache_changesOfOtherRowsLeaveMostEntries(t *testing.T) {
	t.Parallel()
	const entries, changes = 1000, 10_000
	for _, test := range []struct{ memory, atLeast int }{
		{16 << 20, 850}, // 262,144 versions: 89 % are expected to remain
		{64 << 20, 950}, // 97 %
	} {
		c := cache.New(test.memory)
		c.Confirm(time.Now(), 0)
		rows := make([][3]uuid.UUID, entries)
		keyOf := func(i int) cache.Key { return cache.Key{Kind: cache.Session, ID: rows[i][0]} }
		for i := range rows {
			rows[i] = [3]uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
			get(t, c, keyOf(i), "value", rows[i][:]...)
		}
		for range changes {
			c.Changed(uuid.New())
		}
		c.Confirm(time.Now(), 0)
		remaining := 0
		for i := range rows {
			if _, loaded := get(t, c, keyOf(i), "value", rows[i][:]...); !loaded {
				remaining++
			}
		}
		if remaining < test.atLeast {
			t.Errorf("%d MiB: %d of %d entries remain, want at least %d", test.memory>>20, remaining, entries,
				test.atLeast)
		}
	}
}
