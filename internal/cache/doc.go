// Package cache remembers what the database has said, for as long as it is true.
//
//	Get ─ is the cache fresh, and has the entry the stamps of its rows? ─ yes ─▶ it
//	                                                                    └ no ─▶ load, and remember unless something has changed meanwhile
//
// Each entry names the rows that it was made of. A change of one of them raises that row's stamp, and what was made before is nothing any
// more, whenever its load began. Nothing is searched for, and nothing has to be deleted in time. A write is reported by Written, and
// the cache is bypassed until a read of the change log has covered it: an instance reads its own writes. The cache is fresh for Freshness after
// the last read of the change log began, and bypassed after that.
//
// Instances may share what they remember, in Redis, which is never needed and never believed on its own. A value there carries the stamps that
// its rows have there, and whoever hears of a change takes that row's stamp away, as if nothing else could. It is written after a read of the
// change log that began later than its stamps were read. That somebody reads it is not left to hope: each value belongs to an era, which ends
// unless it is renewed several times a second by an instance that reads the change log and has taken every stamp away that it had to. Only who
// keeps an era in this way believes what belongs to it; a newcomer watches an era for a while before it does. An era is of one server: when
// another takes its place, which may be behind, it ends. And whatever the server says, nobody believes a value that is older than a change of
// its rows that they have heard of themselves; so who can write to it can bring back no more than what a newcomer has not seen change, for as
// long as it may be remembered.
//
// What the values are, and where the change log is, it does not know.
package cache
