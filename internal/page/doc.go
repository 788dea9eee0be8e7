// Package page cuts lists into pages, one statement each.
//
//	limit, cursor → Window → statement for limit+1 rows after the cursor → Cut → items, next cursor
//
// A cursor is the ID of the last item of a page, signed for its list. The package does not know the
// lists, their statements or HTTP.
package page
