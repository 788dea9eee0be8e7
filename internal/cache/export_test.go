package cache

// Evict empties the memory of the instance alone, as if it were full of other things.
func (c *Cache) Evict() { c.entries.InvalidateAll() }
