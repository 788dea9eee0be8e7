package httpapi

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/gin-gonic/gin"

	"tenantry/internal/problem"
)

// recover turns a panic into a 500, and the process lives on. The stack goes to the log alone.
func (r *router) recover(c *gin.Context) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler: // the server's own way to drop a connection
			panic(v)
		default:
			r.fail(c, problem.Internal(fmt.Errorf("panic: %v\n%s", v, debug.Stack())))
		}
	}()
	c.Next()
}
