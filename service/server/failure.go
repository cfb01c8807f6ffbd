package server

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/service/wire"
)

// failure is an answer that is no prediction.
type failure struct {
	kind   kind
	reason string
}

// kind says why a request was refused. It decides the status code, and is a label of the metrics.
type kind uint8

// The kinds of failures.
const (
	none       kind = iota
	malformed       // the body is no request
	unusable        // the model can't take the rows, or doesn't have what was asked for
	notFound        // no such model or version
	method          // the path doesn't have the method
	slowClient      // the body has not come in time
	tooLarge        // too many bytes or rows
	mediaType       // neither JSON nor what else the path takes, or compressed
	notFinite       // the answer is no number that JSON has
	broken          // the model can't be computed
	panicked        // a defect
	loading         // there is no model yet
	overloaded      // a limit is reached
	kinds
)

var kindNames = [kinds]string{
	"", "malformed", "unusable", "not_found", "method", "slow_client", "too_large", "media_type", "not_finite", "broken",
	"panic", "loading", "overloaded",
}

var kindCodes = [kinds]int{
	http.StatusOK, http.StatusBadRequest, http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed,
	http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
	http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusInternalServerError,
	http.StatusServiceUnavailable, http.StatusServiceUnavailable,
}

func (k kind) code() int      { return kindCodes[k] }
func (k kind) String() string { return kindNames[k] }

// refuse writes the answer of a request that failed.
func (s *Server) refuse(c *gin.Context, f *failure) {
	h := c.Writer.Header()
	switch f.kind {
	case tooLarge, slowClient:
		h["Connection"] = s.headers.closing // the rest of the body is not read
	case overloaded, loading:
		h["Retry-After"] = s.headers.retryAfter
	default:
	}
	s.fail(c, f.kind.code(), f.reason)
}

// fail writes {"error": reason}.
func (s *Server) fail(c *gin.Context, code int, reason string) {
	body := append([]byte(`{"error":`), wire.Text(reason)...)
	s.answer(c, code, append(body, '}'))
}
