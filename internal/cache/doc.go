// Package cache remembers what the database has said, for as long as it is true.
//
//	Get ─ is the bus heard, and what is remembered of the same stamps? ─ yes ─▶ it
//	                                                                    └ no ─▶ load, and remember unless something has changed meanwhile
//
// Each entry names the rows that it was made of. A change of one of them raises that row's stamp, and what was made before is nothing any
// more, whenever its load began. Nothing is searched for, and nothing has to be deleted in time. Whoever changes rows says so by Written,
// and until the bus has caught up with that nothing is believed: an instance reads its own writes. While the bus is silent, too.
//
// What the values are, and where changes are heard of, it does not know.
package cache
