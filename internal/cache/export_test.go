package cache

// Evict removes every entry of the in-process tier only, as the eviction policy would.
func (c *Cache) Evict() { c.entries.InvalidateAll() }

// BetweenCounters makes every invalidation call pause between its two counters. It must be called
// before the cache is used.
func (c *Cache) BetweenCounters(pause func()) { c.betweenCounters = pause }

// Stop ends the goroutines of the in-process tier.
func (c *Cache) Stop() { c.entries.StopAllGoroutines() }
