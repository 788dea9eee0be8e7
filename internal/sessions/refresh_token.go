package sessions

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// refreshToken is a refresh token: the session and the number of its refreshes, written as
// id.counter.MAC. Only the server can compute the MAC, so that nothing of the token is stored.
type refreshToken struct {
	session uuid.UUID
	counter int64
}

// refreshTokens writes refresh tokens under the first key and reads them under any.
type refreshTokens struct{ keys [][]byte }

var errRefreshToken = errors.New("not a refresh token of this server")

func (r refreshTokens) encode(t refreshToken) string { return t.under(r.keys[0]) }

func (t refreshToken) under(key []byte) string {
	claim := base64.RawURLEncoding.EncodeToString(t.session[:]) + "." + strconv.FormatInt(t.counter, 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(claim))
	return claim + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// decode returns the token if the server has written it, letter by letter: another spelling of the
// same bytes is refused.
func (r refreshTokens) decode(s string) (refreshToken, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return refreshToken{}, errRefreshToken
	}
	id, err := base64.RawURLEncoding.Strict().DecodeString(parts[0])
	if err != nil || len(id) != len(uuid.UUID{}) {
		return refreshToken{}, errRefreshToken
	}
	counter, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || counter < 0 {
		return refreshToken{}, errRefreshToken
	}
	t := refreshToken{session: uuid.UUID(id), counter: counter}
	for _, key := range r.keys {
		if subtle.ConstantTimeCompare([]byte(t.under(key)), []byte(s)) == 1 {
			return t, nil
		}
	}
	return refreshToken{}, errRefreshToken
}
