package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/golang-jwt/jwt/v5"

	"tenantry/ent"
	"tenantry/ent/signingkey"
	"tenantry/internal/database"
	"tenantry/internal/principal"
)

const (
	rsaBits = 3072
	// reloadEvery bounds how often a key that nobody knows makes the server ask the database.
	reloadEvery = time.Second
)

// signingKey is a key pair in memory. The private part is there for the active key alone.
type signingKey struct {
	kid     string
	method  jwt.SigningMethod
	public  crypto.PublicKey
	private crypto.Signer
}

// keySet is an immutable view of the keys in the database.
type keySet struct {
	active *signingKey
	byID   map[string]*signingKey
	order  []*signingKey
	loaded time.Time
}

// SigningKeys are the keys that sign access tokens and those that still verify them. They live in the database, private
// parts sealed, so that every instance has the same.
type SigningKeys struct {
	client  *ent.Client
	seal    *sealer
	alg     string
	tokens  time.Duration
	clock   func() time.Time
	current atomic.Pointer[keySet]
	loading sync.Mutex
}

// OpenSigningKeys loads the keys and makes the first, or the first of another algorithm. Of several instances that start
// at once one makes it, and the others take it over.
func OpenSigningKeys(ctx context.Context, client *ent.Client, opts Options) (*SigningKeys, error) {
	seal, err := newSealer(opts.Secret)
	if err != nil {
		return nil, err
	}
	k := &SigningKeys{client: client, seal: seal, alg: opts.Algorithm, tokens: opts.AccessTokenTTL, clock: opts.Clock}
	ctx = principal.System(ctx, "signing keys belong to no tenant")
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	if active := k.current.Load().active; active != nil && active.method.Alg() == k.alg {
		return k, nil
	}
	if err := k.replace(ctx); err != nil && !sqlgraph.IsUniqueConstraintError(err) {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	if k.current.Load().active == nil {
		return nil, errors.New("there is no active signing key")
	}
	return k, nil
}

// replace makes a new active key and lets the old one, if any, verify what it has signed.
func (k *SigningKeys) replace(ctx context.Context) error {
	private, err := generateKey(k.alg)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	kid := rand.Text()
	sealed := k.seal.seal(der, kid)
	now := k.clock()
	return database.WithTx(ctx, k.client, func(tx *ent.Client) error {
		if err := tx.SigningKey.Update().Where(signingkey.StateEQ(signingkey.StateActive)).
			SetState(signingkey.StateRetiring).SetRetireAt(now.Add(k.tokens + leeway)).Exec(ctx); err != nil {
			return err
		}
		return tx.SigningKey.Create().SetKid(kid).SetAlg(signingkey.Alg(k.alg)).SetPublicKey(public).SetPrivateKey(sealed).
			SetState(signingkey.StateActive).SetNotBefore(now).Exec(ctx)
	})
}

func (k *SigningKeys) load(ctx context.Context) error {
	rows, err := k.client.SigningKey.Query().Where(signingkey.Or(
		signingkey.RetireAtIsNil(), signingkey.RetireAtGT(k.clock()),
	)).Order(signingkey.ByCreatedAt()).All(ctx)
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	// A key that has retired is gone: what it signed has expired by then.
	set := &keySet{byID: make(map[string]*signingKey, len(rows)), loaded: k.clock()}
	for _, row := range rows {
		public, err := x509.ParsePKIXPublicKey(row.PublicKey)
		if err != nil {
			return fmt.Errorf("read signing key %s: %w", row.Kid, err)
		}
		key := &signingKey{kid: row.Kid, method: jwt.GetSigningMethod(string(row.Alg)), public: public}
		if row.State == signingkey.StateActive {
			if key.private, err = k.open(row); err != nil {
				return err
			}
			set.active = key
		}
		set.byID[key.kid] = key
		set.order = append(set.order, key)
	}
	k.current.Store(set)
	return nil
}

func (k *SigningKeys) open(row *ent.SigningKey) (crypto.Signer, error) {
	der, err := k.seal.open(row.PrivateKey, row.Kid)
	if err != nil {
		return nil, fmt.Errorf("signing key %s cannot be opened: it was sealed under another TENANTRY_SECRET, or under the file "+
			"secret of another data folder: start with that one", row.Kid)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("read signing key %s: %w", row.Kid, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("signing key %s cannot sign", row.Kid)
	}
	return signer, nil
}

// find returns the key of an id, nil if there is none. A key that another instance has made is looked for in the database,
// though not for everybody who invents an id.
func (k *SigningKeys) find(ctx context.Context, kid string) (*signingKey, error) {
	if key := k.current.Load().byID[kid]; key != nil {
		return key, nil
	}
	k.loading.Lock()
	defer k.loading.Unlock()
	if set := k.current.Load(); set.byID[kid] != nil || k.clock().Sub(set.loaded) < reloadEvery {
		return set.byID[kid], nil
	}
	if err := k.load(principal.System(ctx, "signing keys belong to no tenant")); err != nil {
		return nil, err
	}
	return k.current.Load().byID[kid], nil
}

func generateKey(alg string) (crypto.Signer, error) {
	switch alg {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case "RS256":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		return nil, fmt.Errorf("unknown algorithm %s", alg)
	}
}
