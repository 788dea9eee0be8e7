// Package cache remembers what the database has said, for as long as it is true.
//
//	Get ─ is the bus heard, and what is remembered of the same stamps? ─ yes ─▶ it
//	                                                                    └ no ─▶ load, and remember unless something has changed meanwhile
//
// Each entry names the rows that it was made of. A change of one of them raises that row's stamp, and what was made before is nothing any
// more, whenever its load began. Nothing is searched for, and nothing has to be deleted in time. Whoever changes rows says so by Written,
// and until the bus has caught up with that nothing is believed: an instance reads its own writes. While the bus is silent, too.
//
// Instances may share what they remember, in Redis, which is never needed and never believed on its own. A value there carries the stamps that
// its rows have there, and whoever hears of a change takes that row's stamp away, as if nothing else could. It is written when the bus was
// heard beyond the time at which its stamps were read. That somebody hears is not left to hope: each value belongs to an era, which ends
// unless it is renewed several times a second by an instance that hears the bus and has taken every stamp away that it had to. Only who
// keeps an era in this way believes what belongs to it; a newcomer watches an era for a while before it does. An era is of one server: when
// another takes its place, which may be behind, it ends. And whatever the server says, nobody believes a value that is older than a change of
// its rows that they have heard of themselves; so who can write to it can bring back no more than what a newcomer has not seen change, for as
// long as it may be remembered.
//
// What the values are, and where changes are heard of, it does not know.
package cache
