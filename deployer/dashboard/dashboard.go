// Package dashboard is the page of the daemon: its files, and the login. It works without any other host.
package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"path"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/deployer/access"
)

//go:embed assets
var files embed.FS

//go:embed login.html
var loginText string

var loginPage = template.Must(template.New("login").Parse(loginText))

type pages struct {
	gate *access.Gate
	log  *slog.Logger
}

// maxForm bounds what is sent at the login, in bytes.
const maxForm = 8 << 10

// Routes adds the dashboard to an engine.
func Routes(e *gin.Engine, gate *access.Gate, log *slog.Logger) {
	p := &pages{gate, log}
	e.GET("/", p.index)
	e.GET("/models/:model", p.index)
	e.GET("/login", func(c *gin.Context) { showLogin(c, http.StatusOK, "") })
	e.POST("/login", p.login)
	e.POST("/logout", p.logout)
	e.GET("/assets/:name", asset)
	e.GET("/health", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
}

// index is the page itself, for those who may see something.
func (p *pages) index(c *gin.Context) {
	_, err := p.gate.Recognise(c.Request)
	switch {
	case errors.Is(err, access.ErrNobody):
		c.Redirect(http.StatusSeeOther, "/login")
	case err != nil:
		c.String(http.StatusForbidden, "%v\n", err)
	default:
		send(c, "index.html")
	}
}

func asset(c *gin.Context) { send(c, c.Param("name")) }

// send answers with a file. The browser asks each time whether it is still the same.
func send(c *gin.Context, name string) {
	b, err := fs.ReadFile(files, path.Join("assets", path.Base(name)))
	if err != nil {
		c.String(http.StatusNotFound, "there is no such file\n")
		return
	}
	sum := sha256.Sum256(b)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	c.Header("ETag", tag)
	c.Header("Cache-Control", "no-cache")
	if c.GetHeader("If-None-Match") == tag {
		c.Status(http.StatusNotModified)
		return
	}
	c.Data(http.StatusOK, mime.TypeByExtension(path.Ext(name)), b)
}

func showLogin(c *gin.Context, status int, trouble string) {
	var b bytes.Buffer
	if err := loginPage.Execute(&b, trouble); err != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Data(status, "text/html; charset=utf-8", b.Bytes())
}

func (p *pages) login(c *gin.Context) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	if p.gate.Open() {
		c.Redirect(http.StatusSeeOther, "/")
		return
	}
	who, err := p.gate.Login(c.Writer, c.Request, c.PostForm("token"))
	var limited *access.LimitError
	switch {
	case err == nil:
		p.log.Info("login", "by", who.Name, "role", who.Role, "from", c.Request.RemoteAddr)
		c.Redirect(http.StatusSeeOther, "/")
		return
	case errors.As(err, &limited):
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(limited.Wait.Seconds()))))
		showLogin(c, http.StatusTooManyRequests, "Too many wrong tokens. Try again in a minute.")
	case errors.Is(err, access.ErrOrigin):
		showLogin(c, http.StatusForbidden, "The form came from another site.")
	default:
		showLogin(c, http.StatusUnauthorized, "This token is not known.")
	}
	p.log.Warn("login refused", "from", c.Request.RemoteAddr, "err", err)
}

func (p *pages) logout(c *gin.Context) {
	if err := p.gate.SameOrigin(c.Request); err != nil {
		c.String(http.StatusForbidden, "%v\n", err)
		return
	}
	p.gate.Logout(c.Writer, c.Request)
	c.Redirect(http.StatusSeeOther, "/login")
}
