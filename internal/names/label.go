package names

import (
	"errors"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Label returns the form of a label that is stored. It fails where Text does, for an empty label,
// and for a word that mixes alphabets with common letter shapes (Unicode Technical Standard #39
// §5.2, per word): "оwner" with a Cyrillic letter is refused, "отдел QA" is not.
func Label(s string) (string, error) {
	clean, err := Text(s)
	if err != nil {
		return "", err
	}
	if clean == "" {
		return "", errors.New("must not be empty")
	}
	var of *unicode.RangeTable
	latin, others := false, false
	for _, r := range norm.NFKC.String(clean) {
		if !unicode.In(r, unicode.L, unicode.M) {
			of, latin, others = nil, false, false
			continue
		}
		latin = latin || unicode.Is(unicode.Latin, r)
		others = others || !unicode.In(r, besideLatin...)
		if latin && others {
			return "", errors.New("must not mix alphabets in a word")
		}
		for _, alphabet := range alphabets {
			if !unicode.Is(alphabet, r) {
				continue
			}
			if of != nil && of != alphabet {
				return "", errors.New("must not mix alphabets in a word")
			}
			of = alphabet
		}
	}
	return clean, nil
}

// besideLatin are the scripts that a word with Latin letters may have (Unicode Technical Standard
// #39 §5.2, highly restrictive).
var besideLatin = []*unicode.RangeTable{
	unicode.Latin, unicode.Common, unicode.Inherited, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul,
	unicode.Bopomofo,
}

// alphabets have letters that look like letters of each other.
var alphabets = []*unicode.RangeTable{
	unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian, unicode.Cherokee, unicode.Coptic, unicode.Lisu,
	unicode.Deseret,
}

// Key returns the form in which labels are compared: NFKC, then full case folding, without
// invisible characters, and with single spaces. It accepts any text, also one that Label refuses.
func Key(s string) string {
	visible := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case invisible(r):
			return -1
		case unicode.Is(unicode.Cherokee, r):
			return unicode.ToUpper(r) // cases.Fold exchanges the cases of this script
		}
		return r
	}, norm.NFKC.String(s))
	folded := norm.NFKC.String(cases.Fold().String(visible))
	return strings.Join(strings.Fields(folded), " ")
}

// Resembles reports whether a reader may mistake label for name: their keys are equal except for
// marks on letters and the letters and digits of lookAlikes. lookAlikes covers the letters of the
// system roles, not all confusable characters (Unicode Technical Standard #39 §4): no maintained Go
// package has those.
func Resembles(label, name string) bool { return skeleton(label) == skeleton(name) }

// skeleton reduces a label to the shapes of its letters.
func skeleton(s string) string {
	letters := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(Key(s)))
	return lookAlikes.Replace(letters)
}

// lookAlikes are shapes that are read as a letter of "owner", "admin" or "member". Case is folded
// before.
var lookAlikes = strings.NewReplacer(
	"0", "o", "\u03bf", "o", "\u03c3", "o", "\u043e", "o", "\u0585", "o", "\u1d0f", "o", // Greek, Cyrillic, Armenian
	"vv", "w", "\u03c9", "w", "\u0461", "w", "\u051d", "w", "\u1d21", "w",
	"\u03b7", "n", "\u043f", "n", "\u0578", "n", "\u0274", "n",
	"3", "e", "\u03b5", "e", "\u0435", "e", "\u04bd", "e", "\u1d07", "e",
	"\u0433", "r", "\u0280", "r",
	"\u0251", "a", "\u03b1", "a", "\u0430", "a", "\u1d00", "a", "@", "a",
	"\u0501", "d", "\u1d05", "d",
	"rn", "m", "\u043c", "m", "\u1d0d", "m",
	"1", "i", "l", "i", "|", "i", "!", "i", "\u0131", "i", "\u0269", "i", "\u026a", "i", "\u03b9", "i", "\u0456", "i",
	"\ua4f3", "o", "\ua4ea", "w", "\ua4e0", "n", "\ua4f0", "e", "\ua4e3", "r", // Lisu
	"\ua4ee", "a", "\ua4d3", "d", "\ua4df", "m", "\ua4f2", "i", "\ua4d0", "b",
	"\u00f8", "o", "\u1d11", "o", "\u24ff", "o", "\u3007", "o", "\u212e", "e", "\u00a1", "i",
	"\u044c", "b", "\u0432", "b", "\u03b2", "b", "\u0299", "b",
)
