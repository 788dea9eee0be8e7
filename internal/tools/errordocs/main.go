// Errordocs writes the catalogue of error codes, problem.Codes, to docs/errors.md and to the enum
// ProblemCode of the contract. `go generate` runs it in internal/problem.
package main

import (
	"bytes"
	"fmt"
	"log"
	"net/http"
	"os"
	"regexp"
	"strings"

	"tenantry/internal/problem"
)

// document and contract are relative to internal/problem.
const (
	document = "../../docs/errors.md"
	contract = "../api/openapi.yaml"
)

func main() {
	old, err := os.ReadFile(contract)
	if err != nil {
		log.Fatal(err)
	}
	updated, err := inContract(old)
	if err != nil {
		log.Fatal(err)
	}
	for path, data := range map[string][]byte{contract: updated, document: markdown()} {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// enum matches the enum of codes in the contract.
var enum = regexp.MustCompile(`(?m)(^    ProblemCode:\n(?:      .*\n)*?      enum:\n)(?:        - .*\n)+`)

// inContract returns the contract with the codes of the catalogue.
func inContract(old []byte) ([]byte, error) {
	if len(enum.FindAllIndex(old, -1)) != 1 {
		return nil, fmt.Errorf("%s: there must be exactly one schema ProblemCode with an enum", contract)
	}
	var lines strings.Builder
	for _, code := range problem.Codes {
		lines.WriteString("        - " + code.Name + "\n")
	}
	return enum.ReplaceAll(old, []byte("${1}"+lines.String())), nil
}

const introduction = `# Errors

<!-- Generated from internal/problem/codes.go by ` + "`task gen`" + `. Do not edit. -->

Every error is a problem document (RFC 9457) of type ` + "`application/problem+json`" + `:

` + "```json" + `
{
  "type": "urn:tenantry:problem:invalid_request",
  "title": "Unprocessable Entity",
  "status": 422,
  "code": "invalid_request",
  "detail": "The request has invalid values.",
  "request_id": "01a3f1de-7c55-7b52-a3f7-0d6f27c3a3de",
  "errors": [{"pointer": "/email", "detail": "is not an e-mail address"}]
}
` + "```" + `

- Decide by ` + "`code`" + `. A code keeps its meaning. Later versions may add codes: handle an unknown
  code by its status.
- Show ` + "`detail`" + ` to people. Its text may change.
- ` + "`errors`" + ` names each invalid member of the body (` + "`pointer`" + `, RFC 6901) or parameter
  (` + "`parameter`" + `).
- Quote ` + "`request_id`" + `, which is also in the header ` + "`X-Request-Id`" + `, in a support request:
  the server logs it.
- 401 has ` + "`WWW-Authenticate`" + `; 429 and 503 have ` + "`Retry-After`" + `, in seconds.

A failed sign-in at a provider redirects to the flow's ` + "`redirect_uri`" + `, if it has one: the parameter
` + "`error_code`" + ` has the code, and ` + "`error`" + ` the closest error of RFC 6749.
`

// markdown returns docs/errors.md.
func markdown() []byte {
	var b bytes.Buffer
	b.WriteString(introduction)
	last := 0
	for _, code := range problem.Codes {
		if status := code.Statuses[0]; status != last {
			last = status
			fmt.Fprintf(&b, "\n## %d %s\n\n| `code` | when | what the client does |\n|---|---|---|\n", status,
				http.StatusText(status))
		}
		name := "`" + code.Name + "`"
		for _, also := range code.Statuses[1:] {
			name += fmt.Sprintf(" (also %d)", also)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, code.When, code.Do)
	}
	return b.Bytes()
}
