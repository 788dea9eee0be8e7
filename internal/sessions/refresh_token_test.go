package sessions

import (
	"testing"

	"github.com/google/uuid"
)

// tokens of ten thousand sessions and their successors are distinct, and no part of one is
// found by looking at another.
func TestRefreshToken_tenThousandAreDistinct(t *testing.T) {
	t.Parallel()
	tokens := refreshTokens{keys: [][]byte{[]byte("thirty-two bytes are a whole key")}}
	seen := map[string]bool{}
	for range 5_000 {
		session, err := uuid.NewV7()
		if err != nil {
			t.Fatal(err)
		}
		for counter := range int64(2) {
			token := tokens.encode(refreshToken{session, counter})
			if len(token) != 22+1+1+1+43 { // 16 bytes of the session, the counter, 256 bits of the MAC
				t.Fatalf("%q has %d characters", token, len(token))
			}
			if mac := token[len(token)-43:]; seen[token] || seen[mac] {
				t.Fatalf("%q is not the first", token)
			} else {
				seen[token], seen[mac] = true, true
			}
		}
	}
}
