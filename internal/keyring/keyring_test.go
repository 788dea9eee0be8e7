package keyring

import (
	"encoding/hex"
	"strings"
	"testing"
)

// A changed key loses data: refresh tokens, signing keys, client secrets and counters of existing
// installations depend on the keys.
func TestKeys_fixedSecretGivesFixedKeys(t *testing.T) {
	ring := New([]byte(strings.Repeat("s", 32)), nil)
	for purpose, want := range map[Purpose]string{
		RefreshToken: "a8bad48dad1a027ca63e93b1ffc50177fd3d18b36e8069e67b51ec44d2fbc535",
		SigningKey:   "3649fbda1c04d29bb4fb48fabc0970c25076e0e17d0c4bdd24adacb66c9aa31c",
		Throttle:     "f13a6042cd079e23d3da0ccfb110c78be3fcc41ed1cdd08086d0d3d202439dc6",
		Device:       "fce3e270cab9365ecbb30bab8bfa1d29ad673f03e700366920debd7e2cc6a6fc",
		Cursor:       "d6ac63f0735546a8c7fe16c71170e1549e54122e85387cf00de6ff7a81336d70",
		ClientSecret: "c2db961de8f0529e2d11b6e56f5ef45972995428430d688c8caaf886ac49b64d",
		shared:       "c234fc022a5be1b3381e851646f7a73b154260f5ef76a73316aa0fd0a129757c",
		sharedScope:  "fc38b247635922223c27b57bd0141944448ef625583983068218de3d05eaff9a",
	} {
		keys, err := ring.Keys(purpose)
		if err != nil || len(keys) != 1 {
			t.Fatalf("%s: %d keys, %v", infos[purpose], len(keys), err)
		}
		if got := hex.EncodeToString(keys[0]); got != want {
			t.Errorf("%s: %s, want %s", infos[purpose], got, want)
		}
	}
}
