// Package batch lets concurrent callers share one run of a query: a statement of the database, or a
// command of Redis.
//
//	Answer ─ fewer than AtOnce runs? ─ yes ─▶ run for the caller alone
//	                                 └ no ──▶ wait, and share the next run with every other waiter
//
// A caller is answered only by a run that began after its call. The package does not know the
// questions, or the system that answers them.
package batch
