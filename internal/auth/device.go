package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"tenantry/internal/sessions"

	"github.com/google/uuid"
)

// deviceKnown is how long a device token is valid.
const deviceKnown = 180 * 24 * time.Hour

// device is a client in which an account has signed in with its password. Its token is not a
// credential: the password is still required. It gives the client a counter of its own, so that
// attackers elsewhere cannot lock the owner out.
type device struct {
	user    uuid.UUID
	version int
	id      uuid.UUID
	until   time.Time
}

// of reports whether the device belongs to p and p has not changed the password since.
func (d device) of(p *sessions.Projection) bool {
	return p != nil && p.ID == d.user && p.PasswordVersion == d.version
}

// deviceTokens writes the tokens of devices under the first key and reads them under any.
type deviceTokens struct{ keys [][]byte }

// deviceClaim is the length of the claims of a token: user, password version, device and expiry.
const deviceClaim = 16 + 8 + 16 + 8

// encode returns the token of a device in which an account has signed in.
func (t deviceTokens) encode(d device, account string) string {
	claim := append([]byte{}, d.user[:]...)
	claim = binary.BigEndian.AppendUint64(claim, uint64(d.version)) //nolint:gosec // never negative
	claim = append(claim, d.id[:]...)
	claim = binary.BigEndian.AppendUint64(claim, uint64(d.until.Unix())) //nolint:gosec // after 1970
	return base64.RawURLEncoding.EncodeToString(append(claim, macOfDevice(t.keys[0], claim, account)...))
}

// decode returns the device of a token of an account, and whether this server has issued the token
// and it has not expired.
func (t deviceTokens) decode(token, account string, now time.Time) (d device, known bool) {
	content, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(content) != deviceClaim+sha256.Size {
		return d, false
	}
	claim, mac := content[:deviceClaim], content[deviceClaim:]
	for _, key := range t.keys {
		known = known || hmac.Equal(mac, macOfDevice(key, claim, account))
	}
	d = device{
		user:    uuid.UUID(claim[:16]),
		version: int(binary.BigEndian.Uint64(claim[16:24])), //nolint:gosec // as encode wrote it
		id:      uuid.UUID(claim[24:40]),
		until:   time.Unix(int64(binary.BigEndian.Uint64(claim[40:])), 0), //nolint:gosec // as encode wrote it
	}
	return d, known && now.Before(d.until)
}

func macOfDevice(key, claim []byte, account string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(claim)
	mac.Write([]byte(account))
	return mac.Sum(nil)
}
