package api

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/deployer/access"
	"github.com/weirhq/weir/deployer/board"
	"github.com/weirhq/weir/deployer/deploy"
	"github.com/weirhq/weir/deployer/guard"
)

// Problem is an error as RFC 9457 has it.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"` // for programs; stays the same
	Detail string `json:"detail"`
}

// fail ends a request with a problem.
func fail(c *gin.Context, status int, code string, err error) {
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(status, Problem{http.StatusText(status), status, code, err.Error()})
}

// refuse ends a request with the problem that an error is.
func refuse(c *gin.Context, err error) {
	var limited *access.LimitError
	switch {
	case errors.As(err, &limited):
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(limited.Wait.Seconds()))))
		fail(c, http.StatusTooManyRequests, "too_many_tries", err)
	case errors.Is(err, access.ErrNobody):
		c.Header("WWW-Authenticate", `Bearer realm="weir"`)
		fail(c, http.StatusUnauthorized, "no_token", err)
	case errors.Is(err, access.ErrOrigin), errors.Is(err, access.ErrHost):
		fail(c, http.StatusForbidden, "foreign_request", err)
	case errors.Is(err, board.ErrNoModel):
		fail(c, http.StatusNotFound, "no_model", err)
	case errors.Is(err, guard.ErrNone):
		fail(c, http.StatusConflict, "no_rollout", err)
	case errors.Is(err, guard.ErrOther), errors.Is(err, guard.ErrUnderWay):
		fail(c, http.StatusConflict, "other_rollout", err)
	case errors.Is(err, deploy.ErrNoPrevious), errors.Is(err, deploy.ErrUnknown):
		fail(c, http.StatusConflict, "nothing_to_go_back_to", err)
	default:
		fail(c, http.StatusServiceUnavailable, "unavailable", err)
	}
}
