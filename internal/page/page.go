package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/google/uuid"

	"tenantry/internal/problem"
)

// defaultLimit is the number of items of a page if the client sends no limit, as in the contract.
const defaultLimit = 50

// Window selects a page of a list: the items after a cursor, or from the beginning if it is empty,
// up to a limit.
type Window struct {
	Limit  int
	Cursor string
}

// NewWindow returns the window for the parameters of a list operation.
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

// Cut returns the items of a page and the cursor of the next page, which is "" for the last page.
// items may have one item more than the page; it shows that there is a next page.
func Cut[T any](items []T, w Window, cursor func(last T) string) (kept []T, next string) {
	if len(items) <= w.Limit {
		return items, ""
	}
	return items[:w.Limit], cursor(items[w.Limit-1])
}

// Cursors encode and decode the cursors of lists that are ordered by ID. A cursor is the ID of the
// last item of a page, and a MAC over the ID and the list with its filters: a client can neither
// forge a cursor nor use it for another list.
type Cursors struct{ keys [][]byte }

// NewCursors returns cursors with secret keys: the first signs, and every one verifies.
func NewCursors(keys [][]byte) Cursors { return Cursors{keys} }

// Encode returns the cursor of the items after an ID.
func (c Cursors) Encode(list string, id uuid.UUID) string {
	return base64.RawURLEncoding.EncodeToString(append(id[:], mac(c.keys[0], list, id)...))
}

// Decode returns the ID of a cursor. It fails with 400 for a cursor of another list.
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
