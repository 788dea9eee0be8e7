package httpapi

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/gin-gonic/gin"

	"tenantry/internal/problem"
)

// recover answers a panic with 500 and keeps the process running. The stack is only logged.
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
