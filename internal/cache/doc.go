// Package cache holds values that were loaded from the database, and invalidates them when their
// rows change.
//
//	Get ─ cache fresh, entry built from the current versions of its rows? ─ yes ─▶ the entry
//	                                                                      └ no ──▶ Redis ─▶ load
//
// An entry names the rows that it was built from. A change of a row increments the version of that
// row, which invalidates every entry built from it, loads in flight included: a load that began
// before an invalidation is not stored. No entry is searched for or deleted. Written reports a
// write of this instance: the cache is bypassed until a read of the change log covers it, so that
// an instance reads its own writes. The cache is fresh while the last read of the change log began
// less than Freshness ago; otherwise both tiers are bypassed.
//
// Redis is an optional second tier, shared by all instances. It is never needed and never trusted
// alone:
//
//   - A value is stored with the version keys of its rows, and is valid while those keys have the
//     same content. An instance that reads a change deletes the version key of the row.
//   - A value is published after a read of the change log that began after its version keys were
//     read.
//   - A value belongs to an epoch, whose key expires unless instances renew it several times a
//     second. Only an instance that has read the change log and deleted all version keys that it
//     must delete renews it. Such an instance has a lease: the right to use values of that epoch.
//     If every instance stalls, the epoch ends, and all its values with it.
//   - A new instance observes an epoch for a time, its probation, before it takes a lease.
//   - An epoch belongs to one history of one Redis primary. After a failover to a server that may
//     be behind, it ends.
//   - A value that is older than a change of its rows that this instance has read is refused,
//     whatever Redis says. A client that can write to Redis can therefore restore only values that
//     no running instance has seen change, until they expire.
//
// The package does not know what the values are, or where the change log is.
package cache
