package internal_test

import (
	"bytes"
	"go/scanner"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rejectedWord is a word that is unclear to readers outside the project, and its replacement.
type rejectedWord struct {
	pattern *regexp.Regexp
	instead string
}

// prose are words that comments, string literals, the contract, the documents and the files for
// deployments must not contain. A word that also has a legitimate use gets a narrower pattern. To
// reject another word, add a line.
var prose = []rejectedWord{
	word(`custody`, "lease"),
	word(`eras?`, "epoch"),
	word(`witness(es|ed)?`, "probation"),
	word(`stamp(s|ed)?`, "row version (noun), set or fill (verb)"),
	word(`known tokens`, "verified-token cache"),
	word(`by (its|their) ends?`, "by the last 32 characters"),
	word(`takes? back|took back|taken back`, "refund, revert"),
	word(`in vain`, "without effect"),
	word(`thrown away`, "discarded"),
	word(`run by nobody`, "runs as a non-root user"),
	word(`nobody in particular`, "a non-root user"),
	word(`believ(e|es|ed)`, "fresh"),
	word(`remember(s|ed)?`, "cache"),
	word(`hears?|heard`, "listen, receive, notice"),
	word(`anew`, "again"),
	word(`mend(s|ed)?`, "fix, repair"),
	word(`of before`, "previous, earlier"),
	word(`than it has`, "name what is compared"),
	word(`whatever becomes of`, "name the condition"),
	word(`everybody|somebody|whoever`, "caller, client, user, tenant, instance"),
	word(`nobody (is|in|may|acts|else|knows|reads|asked|who)`, "no caller, no client, no user"),
	word(`led to`, "redirected to, caused"),
	word(`told (apart|by|that|to|so)`, "distinguish, inform, receive"),
	word(`(hangs?|hung) up`, "disconnect"),
}

// identifiers are names that Go code must not declare or use.
var identifiers = []rejectedWord{
	name(`[cC]ustody\w*`, "lease"),
	name(`era|eraLife|\w+Era`, "epoch"),
	name(`[wW]itness\w*`, "probation"),
	name(`[sS]tamps?`, "rowVersion"),
	name(`trail`, "bypassReasons"),
	name(`Patience`, "StallTimeout"),
	name(`Quiet`, "WithoutInvalidation"),
	name(`RemoveGone`, "DeleteRetired"),
}

func word(pattern, instead string) rejectedWord {
	return rejectedWord{regexp.MustCompile(`(?i)\b(` + pattern + `)\b`), instead}
}

func name(pattern, instead string) rejectedWord {
	return rejectedWord{regexp.MustCompile(`^(` + pattern + `)$`), instead}
}

// TestWords_rejectedWordsAreNotUsed checks the hand-written files of the repository.
func TestWords_rejectedWordsAreNotUsed(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{".md", ".yaml", ".yml", "Dockerfile"} {
		walk(t, suffix, func(path string) {
			if filepath.Base(path) == "CHANGELOG.md" { // released texts do not change
				return
			}
			for i, line := range strings.Split(read(t, path), "\n") {
				rejectWords(t, prose, path, i+1, line)
			}
		})
	}
	walk(t, ".go", func(path string) {
		if filepath.Base(path) != "words_test.go" {
			checkGo(t, path, []byte(read(t, path)))
		}
	})
}

// checkGo checks the comments, string literals and identifiers of a file that was not generated.
func checkGo(t *testing.T, path string, source []byte) {
	t.Helper()
	if bytes.HasPrefix(source, []byte("// Code generated ")) {
		return
	}
	file := token.NewFileSet().AddFile(path, -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		pos, kind, text := s.Scan()
		switch kind {
		case token.EOF:
			return
		case token.COMMENT, token.STRING:
			for i, line := range strings.Split(text, "\n") {
				rejectWords(t, prose, path, file.Line(pos)+i, line)
			}
		case token.IDENT:
			rejectWords(t, identifiers, path, file.Line(pos), text)
		}
	}
}

func rejectWords(t *testing.T, words []rejectedWord, path string, line int, text string) {
	t.Helper()
	for _, w := range words {
		if found := w.pattern.FindString(text); found != "" {
			t.Errorf("%s:%d: %q: instead: %s", path, line, found, w.instead)
		}
	}
}
