package cache_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"tenantry/internal/cache/cachetest"
)

func TestShared_manipulatedValueIsRefused(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b, c := join(t, redis.URL), join(t, redis.URL), join(t, redis.URL)
	ctx, row := t.Context(), uuid.New()
	values := func() map[string]string {
		values := map[string]string{}
		for _, name := range publishedValues(t, redis) {
			values[name] = redis.Client.Get(ctx, name).Val()
			if strings.Contains(values[name], "mine") || strings.Contains(values[name], row.String()) {
				t.Errorf("%q = %q can be read", name, values[name])
			}
		}
		return values
	}
	shares(t, a, b, key(1), "mine", row)
	var name, value string
	for name, value = range values() { // one value
	}
	shares(t, a, b, key(2), "theirs", uuid.New())
	var other string
	for n, v := range values() {
		if n != name {
			other = v
		}
	}
	if value == "" || other == "" || value == other {
		t.Fatalf("%q and %q are in Redis", value, other)
	}
	shares(t, a, c, key(3), "control", uuid.New()) // from here on c has a lease
	for what, poison := range map[string]func() error{
		"another's": func() error { return redis.Client.Set(ctx, name, other, 0).Err() },
		"cut":       func() error { return redis.Client.Set(ctx, name, value[:len(value)-1], 0).Err() },
		"changed": func() error {
			return redis.Client.Set(ctx, name, value[:20]+string([]byte{value[20] ^ 1})+value[21:], 0).Err()
		},
		"empty": func() error { return redis.Client.Set(ctx, name, "", 0).Err() },
		"bare": func() error {
			return redis.Client.Set(ctx, name, `{"Epoch":"","Rows":[],"Versions":[],"value":"x"}`, 0).Err()
		},
		"list": func() error {
			redis.Client.Del(ctx, name)
			defer redis.Client.Del(ctx, name)
			return redis.Client.LPush(ctx, name, "x").Err()
		},
	} {
		if err := poison(); err != nil {
			t.Fatal(what, err)
		}
		if got, loaded := get(t, c.Cache, key(1), "database"); !loaded {
			t.Errorf("%s: found %q", what, got)
		}
	}
	if err := redis.Client.Set(ctx, name, value, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, loaded := get(t, c.Cache, key(1), "database"); loaded || got != "mine" {
		t.Errorf("the restored value is not found: %q", got)
	}
}

// A client that writes old values and version keys back does not make an instance use a value older
// than a change it has read.
func TestShared_valueOlderThanAReadChangeIsRefused(t *testing.T) {
	t.Parallel()
	redis := cachetest.Start(t)
	a, b := join(t, redis.URL), joinWith(t, redis.URL, 0)
	ctx, row := t.Context(), uuid.New()
	shares(t, a, b, key(1), "before", row)
	old := map[string]string{}
	for _, name := range redis.Client.Keys(ctx, "test:*").Val() {
		if !strings.HasSuffix(name, ":epoch") {
			old[name] = redis.Client.Get(ctx, name).Val()
		}
	}
	if len(old) != 2 {
		t.Fatalf("%v are in Redis", old)
	}
	a.Changed(row)
	b.Changed(row)
	shares(t, a, b, key(2), "control", uuid.New())
	for name, value := range old {
		if err := redis.Client.Set(ctx, name, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if got, loaded := get(t, b.Cache, key(1), "after"); !loaded {
			t.Fatalf("found the old value %q", got)
		}
	}
	shares(t, a, b, key(3), "control", uuid.New())
}
