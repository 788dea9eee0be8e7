package names_test

import (
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"tenantry/internal/names"
)

func TestText_storesOneForm(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"": "", "  ": "", "owner ": "owner", "\u3000Ada\u00a0Lovelace\u2003": "Ada Lovelace", "Cafe\u0301": "Caf\u00e9",
		"\r\n\tAda\v": "Ada",
		// Alireza, in Persian
		"\u0639\u0644\u06cc\u200c\u0631\u0636\u0627": "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
		"\u0915\u094d\u200d\u0937":                   "\u0915\u094d\u200d\u0937", // Devanagari
		"M\u00fcller \u00b7 S\u00f6hne \u2764":       "M\u00fcller \u00b7 S\u00f6hne \u2764",
		"\u65e5\u672c\u8a9e\u30fb":                   "\u65e5\u672c\u8a9e\u30fb",
	} {
		if got, err := names.Text(given); err != nil || got != want {
			t.Errorf("%+q is stored as %+q, %v; want %+q", given, got, err, want)
		}
	}
}

// hidden are invisible code points, one of each category.
var hidden = []string{
	"\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u2066", "\u061c", "\u180e", "\U000e0061",
	"\ufe0f", "\U000e0100",
	"\u034f", "\u115f", "\u3164", "\uffa0", "\u2800", "\x00", "\t", "\n", "\x7f", "\u0085", "\u2028", "\u2029",
	"\ue000", "\u0378", "\ufdd0",
}

func TestText_invisibleCharacterIsRefusedAndNamed(t *testing.T) {
	t.Parallel()
	for _, h := range hidden {
		if got, err := names.Text("own" + h + "er"); err == nil || !strings.Contains(err.Error(), "U+") {
			t.Errorf("%+q: stored as %+q, %v", h, got, err)
		}
		if got := names.Visible("own" + h + "er"); got != "owner" && got != "own er" {
			t.Errorf("%+q: repaired to %+q", h, got)
		}
	}
	if _, err := names.Text("own\xff"); err == nil {
		t.Error("invalid UTF-8 is stored")
	}
}

func TestLabel_wordOfTwoAlphabetsIsRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"\u043ewner", "\u03bfwner", "adm\u0456n", "\u0585wner", "su\u0440port", "\u2d54wner",
		"\u0d20wner", "\u101dwner", "\U00010292wner", "a\u03b1", "o\u0301\u043e", "", " ", "\u200b"} {
		if got, err := names.Label(s); err == nil {
			t.Errorf("%+q is stored as %+q", s, got)
		}
	}
	for _, s := range []string{
		"support", "\u043e\u0442\u0434\u0435\u043b QA", "IT-\u043e\u0442\u0434\u0435\u043b", "Web\u30c1\u30fc\u30e0",
		"IT\ud300", "\u03b5\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac 2", "on-call 24/7",
	} {
		if _, err := names.Label(s); err != nil {
			t.Errorf("%+q: %v", s, err)
		}
	}
}

func TestKey_ignoresCaseWidthSpacesAndInvisibleCharacters(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"owner", "OWNER", " Owner ", "\uff4f\uff57\uff4e\uff45\uff52", "own\u200ber", "\U0001d428wner",
			"\u24de\u24e6\u24dd\u24d4\u24e1"},
		{"stra\u00dfe", "STRASSE", "stra\u1e9ee"}, {"\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
			"\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3"}, {"team a", "Team  A", "team\u00a0a"}, {"k", "\u212a"},
		{"\u00e5ngstr\u00f6m", "\u212bNGSTRO\u0308M"},
	} {
		for _, s := range same[1:] {
			if names.Key(s) != names.Key(same[0]) {
				t.Errorf("%+q has the key %+q, %+q has %+q", s, names.Key(s), same[0], names.Key(same[0]))
			}
		}
	}
	for a, b := range map[string]string{"team 1": "team l", "support": "sup port", "resume": "r\u00e9sum\u00e9"} {
		if names.Key(a) == names.Key(b) {
			t.Errorf("%q and %q are one", a, b)
		}
	}
}

func TestResembles_lookAlikesOfSystemRoles(t *testing.T) {
	t.Parallel()
	for label, name := range map[string]string{
		"OWNER": "owner", "0wner": "owner", "\u043ewner": "owner", "\u00f3wn\u1eb9r": "owner", "ovvner": "owner",
		"\u1d0f\u1d21\u0274\u1d07\u0280": "owner", "own\u200der": "owner",
		"adm\u0131n": "admin", "Admln": "admin", "adm1n": "admin", "\u0251dmin": "admin", "adrnin": "admin",
		"\u0430dmin": "admin", "@dmin": "admin",
		"\ua4f3\ua4ea\ua4e0\ua4f0\ua4e3": "owner", "\ua4ee\ua4d3\ua4df\ua4f2\ua4e0": "admin",
		"\ua4df\ua4f0\ua4df\ua4d0\ua4f0\ua4e3": "member",
		"own\u212er":                           "owner", "\u00f8wner": "owner", "\u24ffwner": "owner",
		"adm\u00a1n": "admin",
		"rnember":    "member", "m\u0435mber": "member", "MEMBER\u00a0": "member",
	} {
		if !names.Resembles(label, name) {
			t.Errorf("%+q does not resemble %s", label, name)
		}
	}
	for _, label := range []string{"owners", "co-owner", "administrator", "members", "support", "owner of billing"} {
		for _, name := range []string{"owner", "admin", "member"} {
			if names.Resembles(label, name) {
				t.Errorf("%q resembles %s", label, name)
			}
		}
	}
}

// FuzzText checks that a stored name is visible and normalised, and that storing it again does not
// change it.
func FuzzText(f *testing.F) {
	for _, s := range append([]string{"Ada", " \u00a0x ", "e\u0301", "\u0639\u200c\u0631", "\xff", "\u1100\u1161"},
		hidden...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		repaired := names.Visible(s)
		if again, err := names.Text(repaired); err != nil || again != repaired {
			t.Fatalf("%+q is repaired to %+q, which is %v", s, repaired, err)
		}
		clean, err := names.Text(s)
		if err != nil {
			return
		}
		if again, err := names.Text(clean); err != nil || again != clean {
			t.Fatalf("%+q is stored as %+q, and that as %+q, %v", s, clean, again, err)
		}
		if !norm.NFC.IsNormalString(clean) || strings.TrimSpace(clean) != clean ||
			strings.ContainsFunc(clean, unicode.IsControl) {
			t.Fatalf("%+q is stored as %+q", s, clean)
		}
		if key := names.Key(clean); names.Key(key) != key || names.Key(s) != key {
			t.Fatalf("the key of %+q is %+q, and that of it %+q", s, key, names.Key(key))
		}
	})
}
