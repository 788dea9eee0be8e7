package problem

import (
	"slices"
	"strings"
)

// Class is a set of codes. errors.Is(err, class) reports whether err is, or wraps, a problem with
// one of them.
type Class []string

var (
	// ErrTooMany is the class of attempts that must wait.
	ErrTooMany = Class{"too_many_attempts"}
	// ErrFault is the class of errors that the server causes, or a dependency: the request was not
	// decided.
	ErrFault = Class{"unavailable", "internal_error"}
)

// Error returns the codes.
func (c Class) Error() string { return strings.Join(c, ", ") }

// Is reports whether target is a class that contains the code of p.
func (p *Problem) Is(target error) bool {
	class, ok := target.(Class)
	return ok && slices.Contains(class, p.Code)
}
