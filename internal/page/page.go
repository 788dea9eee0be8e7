package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/google/uuid"

	"tenantry/internal/problem"
)

// defaultLimit is how many items a page has if the client does not say, as the contract declares.
const defaultLimit = 50

// Window says which page of a list is meant: what comes after a cursor, or the first page, and how
// many items at most.
type Window struct {
	Limit  int
	Cursor string
}

// NewWindow returns the window that the parameters of a list name.
func NewWindow(limit *int, cursor *string) Window {
	w := Window{Limit: defaultLimit}
	if limit != nil {
		w.Limit = *limit
	}
	if cursor != nil {
		w.Cursor = *cursor
	}
	return w
}

// Cut returns the items of a page, of which one more was read than it takes, and the cursor of the
// next, "" on the last.
func Cut[T any](items []T, w Window, cursor func(last T) string) (kept []T, next string) {
	if len(items) <= w.Limit {
		return items, ""
	}
	return items[:w.Limit], cursor(items[w.Limit-1])
}

// Cursors make and read the cursors of lists that are ordered by id. A cursor is the id that a page
// has ended with, and a MAC over it and the list, filters included: it is of no use elsewhere, and
// nobody can make one.
type Cursors struct{ keys [][]byte }

// NewCursors returns the cursors under secret keys: the first makes them, and all of them are
// taken.
func NewCursors(keys [][]byte) Cursors { return Cursors{keys} }

// Encode returns the cursor of what comes after an id.
func (c Cursors) Encode(list string, id uuid.UUID) string {
	return base64.RawURLEncoding.EncodeToString(append(id[:], mac(c.keys[0], list, id)...))
}

// Decode returns the id that a cursor stands after: 400 for one that was not made for this list.
func (c Cursors) Decode(list, cursor string) (uuid.UUID, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil && len(raw) == len(uuid.UUID{})+sha256.Size {
		id := uuid.UUID(raw[:len(uuid.UUID{})])
		for _, key := range c.keys {
			if hmac.Equal(raw[len(id):], mac(key, list, id)) {
				return id, nil
			}
		}
	}
	return uuid.Nil, problem.InvalidParameter("cursor", "is not the next_cursor of this list with these filters")
}

func mac(key []byte, list string, id uuid.UUID) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(id[:])
	h.Write([]byte(list))
	return h.Sum(nil)
}
