package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// servePprof serves net/http/pprof on its own address, if there is one, until stop is called.
func (s *Server) servePprof(ctx context.Context) (stop func(), err error) {
	if s.opts.PprofAddr == "" {
		return func() {}, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.opts.PprofAddr)
	if err != nil {
		return nil, fmt.Errorf("listen for pprof on %s: %w", s.opts.PprofAddr, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // it ends with stop
	}()
	s.log.Info("pprof is served", "addr", l.Addr().String())
	return func() {
		_ = srv.Close()
		<-done
	}, nil
}
