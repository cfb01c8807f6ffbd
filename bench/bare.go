package main

import (
	"bytes"
	"net"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/service/wire"
)

// runBare serves a handler that reads the same body as Weir's server and answers a constant. Reader says how it reads:
// json is what gin offers, wire is Weir's own scanner.
func runBare(addr, reader string) error {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.GET("/health", func(c *gin.Context) { c.Status(http.StatusOK) })
	answer := []byte(`{"prediction":[1],"model_version":"v1.0.0"}`)
	read := readJSON
	if reader == "wire" {
		read = readWire
	}
	e.POST("/predict", func(c *gin.Context) {
		if err := read(c); err != nil {
			c.String(http.StatusBadRequest, err.Error())
			return
		}
		c.Data(http.StatusOK, "application/json", answer)
	})
	l, err := net.Listen("tcp", addr) //nolint:noctx // there is nothing to wait for
	if err != nil {
		return err
	}
	return (&http.Server{Handler: e}).Serve(l) //nolint:gosec // it serves this program only
}

func readJSON(c *gin.Context) error {
	var body struct {
		X []float64 `json:"x" binding:"required"`
	}
	return c.ShouldBindJSON(&body)
}

// reading is the memory of a request, kept from one to the next as Weir's server does.
type reading struct {
	body bytes.Buffer
	rows wire.Rows
}

var (
	readings = sync.Pool{New: func() any { return new(reading) }}
	schema   = wire.NewSchema(nil, false, false, false)
)

func readWire(c *gin.Context) error {
	r, _ := readings.Get().(*reading)
	defer readings.Put(r)
	r.body.Reset()
	if _, err := r.body.ReadFrom(c.Request.Body); err != nil {
		return err
	}
	return r.rows.Parse(r.body.Bytes(), 1, schema)
}
