package server

import (
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/service/wire"
)

// inference is the Open Inference Protocol.
var inference = &protocol{
	accepts: func(contentType string) bool {
		return jsonContent(contentType) || strings.HasPrefix(contentType, "application/octet-stream")
	},
	read: (*Server).readTensors, write: (*Server).writeTensors,
	send:  (*Server).sendTensors,
	shape: `want {"inputs":[{"name":"x","datatype":"FP64","shape":[rows,columns],"data":[numbers]}]}`,
}

func (s *Server) inferenceRoutes(e *gin.Engine) {
	e.GET("/v2", s.getV2)
	e.GET("/v2/health/live", func(c *gin.Context) { s.answer(c, http.StatusOK, []byte(`{"live":true}`)) })
	e.GET("/v2/health/ready", s.getV2Ready)
	for _, path := range []string{"/v2/models/:model", "/v2/models/:model/versions/:version"} {
		e.GET(path, s.getV2Model)
		e.GET(path+"/ready", s.getV2ModelReady)
		e.POST(path+"/infer", s.postInfer)
	}
}

// getV2 describes the server.
func (s *Server) getV2(c *gin.Context) {
	s.answer(c, http.StatusOK, []byte(`{"name":"weir","version":`+string(wire.Text(version()))+
		`,"extensions":["binary_tensor_data"]}`))
}

// version is that of the program, as far as its build knows it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// ready reports whether the server takes predictions, with the code that says so.
func (s *Server) ready() (bool, int) {
	if s.model.Load() == nil || s.draining.Load() {
		return false, http.StatusServiceUnavailable
	}
	return true, http.StatusOK
}

func (s *Server) getV2Ready(c *gin.Context) {
	ready, code := s.ready()
	s.answer(c, code, []byte(`{"ready":`+strconv.FormatBool(ready)+`}`))
}

func (s *Server) getV2ModelReady(c *gin.Context) {
	if f := s.named(c); f != nil {
		s.refuse(c, f)
		return
	}
	ready, code := s.ready()
	s.answer(c, code, []byte(`{"name":`+string(wire.Text(s.opts.ModelName))+`,"ready":`+strconv.FormatBool(ready)+`}`))
}

func (s *Server) getV2Model(c *gin.Context) {
	f, m := s.named(c), s.model.Load()
	if f == nil && m == nil {
		f = &failure{loading, "the model is being loaded: try again when /v2/health/ready answers 200"}
	}
	if f != nil {
		s.refuse(c, f)
		return
	}
	s.answer(c, http.StatusOK, m.metadata)
}

// postInfer answers an inference request.
func (s *Server) postInfer(c *gin.Context) {
	if f := s.named(c); f != nil {
		s.metrics.count(f.kind)
		s.refuse(c, f)
		return
	}
	s.predict(c, inference)
}

// named checks the model and version that a path names.
func (s *Server) named(c *gin.Context) *failure {
	if name := c.Param("model"); name != s.opts.ModelName {
		return &failure{notFound, "there is no model " + strconv.Quote(name) + " here: want " + s.opts.ModelName}
	}
	if v := c.Param("version"); v != "" && v != s.opts.ModelVersion {
		return &failure{notFound, "the model has no version " + strconv.Quote(v) + " here: want " + s.opts.ModelVersion}
	}
	return nil
}
