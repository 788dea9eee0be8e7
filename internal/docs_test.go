package internal_test

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	// dropped are the characters of a heading that are not in its anchor.
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	aTest   = regexp.MustCompile("`((?:Test|Benchmark|Fuzz)[A-Z]\\w+)`")
)

// documents returns every document of the repository by its path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	walk(t, ".md", func(path string) { texts[path] = read(t, path) })
	return texts
}

// walk calls do with the path of each file of the repository whose name has the suffix.
func walk(t *testing.T, suffix string, do func(path string)) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != ".." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules"):
			return fs.SkipDir
		case !entry.IsDir() && strings.HasSuffix(path, suffix):
			do(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDocuments_linksNameFilesAndHeadings(t *testing.T) {
	t.Parallel()
	for path, text := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target, err := url.Parse(match[1])
			if err != nil || target.IsAbs() {
				continue
			}
			file := path
			if target.Path != "" {
				file = filepath.Join(filepath.Dir(path), filepath.FromSlash(target.Path))
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %s does not exist", path, match[1])
			} else if target.Fragment != "" && !anchors(read(t, file))[target.Fragment] {
				t.Errorf("%s: %s has no such heading", path, match[1])
			}
		}
	}
}

// anchors returns the fragments of the headings of a document.
func anchors(text string) map[string]bool {
	fragments := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		fragments[strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-")] = true
	}
	return fragments
}

func TestDocuments_namedTestsExist(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	walk(t, "_test.go", func(path string) { code.WriteString(read(t, path)) })
	for path, text := range documents(t) {
		for _, match := range aTest.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(code.String(), "\nfunc "+match[1]+"(") {
				t.Errorf("%s: %s does not exist", path, match[1])
			}
		}
	}
}
