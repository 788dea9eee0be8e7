package names

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Text returns the stored form of a name: trimmed, in NFC, with U+0020 for every space. It fails
// for a text with invisible characters: control and format characters, line breaks, private,
// unassigned and ignorable code points (Unicode Standard Annex #44). It does not remove them, so
// that the stored name is the one that the client sent. The joiners of Arabic and Indic scripts are
// accepted between their letters, where spelling requires them (RFC 5892, appendix A.1 and A.2). An
// empty text is accepted.
func Text(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("must be valid UTF-8")
	}
	runes := []rune(norm.NFC.String(strings.TrimSpace(s)))
	for i, r := range runes {
		switch {
		case unicode.Is(unicode.Zs, r):
			runes[i] = ' '
		case joiner(r) && i > 0 && i < len(runes)-1 && unicode.In(runes[i-1], joining...) &&
			unicode.In(runes[i+1], joining...):
		case invisible(r):
			return "", fmt.Errorf("must not contain U+%04X, which readers cannot see", r)
		}
	}
	return string(runes), nil
}

// Visible returns the text without the code points that Text refuses. It is for names from another
// system, which the user cannot correct here.
func Visible(s string) string {
	if clean, err := Text(s); err == nil {
		return clean
	}
	kept, err := Text(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case invisible(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	if err != nil {
		return "" // cannot happen, see FuzzText
	}
	return kept
}

// joining are the scripts with joiners between letters.
var joining = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Nko, unicode.Devanagari, unicode.Bengali,
	unicode.Gurmukhi, unicode.Gujarati,
	unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer,
	unicode.Myanmar,
}

// joiner reports whether r is ZERO WIDTH NON-JOINER or ZERO WIDTH JOINER.
func joiner(r rune) bool { return r == '\u200c' || r == '\u200d' }

// invisible reports whether r has no visible form. IsGraphic excludes the categories Cc, Cf, Cn,
// Co, Cs, Zl and Zp.
func invisible(r rune) bool {
	const brailleBlank = '\u2800' // a symbol by its category
	return !unicode.IsGraphic(r) || r == brailleBlank || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point,
		unicode.Variation_Selector)
}
