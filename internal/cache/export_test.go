package cache

// Evict empties the memory of the instance alone, as if it were full of other things.
func (c *Cache) Evict() { c.entries.InvalidateAll() }

// BetweenCounters makes every invalidation call pause between its two counters. It must be called before the cache is used.
func (c *Cache) BetweenCounters(pause func()) { c.betweenCounters = pause }
