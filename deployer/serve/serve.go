// Package serve is the daemon: it guards all rollouts, and shows them and takes acts by HTTP.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/deployer/access"
	"github.com/weirhq/weir/deployer/api"
	"github.com/weirhq/weir/deployer/board"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/dashboard"
	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/nomad"
)

// DefaultListen is where the dashboard is.
const DefaultListen = "127.0.0.1:8088"

// Config says what is served, and where.
type Config struct {
	Listen          string // host:port; another than loopback takes Tokens
	Tokens          string // path of a file of tokens; "": none
	TLSCert, TLSKey string // paths of PEM files; "": plain HTTP
	Nomad           *nomad.Client
	Consul          *consul.Client
	Log             *slog.Logger
}

// Run guards and serves until the context ends. ready is told the address.
func Run(ctx context.Context, cfg Config, ready func(url string)) error {
	gate, err := cfg.gate()
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("serve: %w; --listen takes another address", err)
	}
	defer listener.Close()
	url := "http://" + listener.Addr().String()
	if cfg.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			return fmt.Errorf("serve: read the certificate: %w", err)
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
		url = "https://" + listener.Addr().String()
	}
	b := board.New(cfg.Consul, cfg.Log)
	g := &guard.Guard{Nomad: cfg.Nomad, Consul: cfg.Consul, Log: cfg.Log}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.All(ctx) })
	group.Go(func() error { b.Run(ctx); return nil })
	group.Go(func() error { return cfg.serve(ctx, listener, handler(cfg, gate, b, g)) })
	ready(url)
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (c Config) gate() (*access.Gate, error) {
	if c.Tokens == "" {
		return access.NewGate(c.Listen, nil)
	}
	tokens, err := access.OpenTokens(c.Tokens, c.Log)
	if err != nil {
		return nil, err
	}
	return access.NewGate(c.Listen, tokens)
}

func handler(cfg Config, gate *access.Gate, b *board.Board, g *guard.Guard) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.Use(gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, what any) {
		cfg.Log.Error("panic", "path", c.FullPath(), "err", what)
		c.AbortWithStatus(http.StatusInternalServerError)
	}), headers)
	api.Routes(e, api.Config{Board: b, Gate: gate, Guard: g, Nomad: cfg.Nomad, Consul: cfg.Consul, Log: cfg.Log})
	dashboard.Routes(e, gate, cfg.Log)
	return e
}

// headers tells browsers to keep to this page's own scripts and styles, and to show it in no frame.
func headers(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	if c.Request.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// Bounds of the server. Answers have none: streams stay open.
const (
	headerLimit = 10 * time.Second
	bodyLimit   = 30 * time.Second
	idleLimit   = 2 * time.Minute
	leaveLimit  = 5 * time.Second
)

func (c Config) serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerLimit, ReadTimeout: bodyLimit, IdleTimeout: idleLimit,
		BaseContext: func(net.Listener) context.Context { return ctx }, // streams end with it
		ErrorLog:    slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
		defer cancel()
		_ = server.Shutdown(leaving) // what is still open is cut
		_ = server.Close()
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	<-ended
	return context.Cause(ctx)
}
