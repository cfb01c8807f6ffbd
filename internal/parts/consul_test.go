package parts_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go.uber.org/goleak"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/parts/partstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStartConsulServesWritesAtOnceAndStops(t *testing.T) {
	began := time.Now()
	c := partstest.Consul(t)
	t.Logf("ready after %s", time.Since(began))
	client := consulClient(t, c)
	if _, err := client.KV().Put(&api.KVPair{Key: "k", Value: []byte("v")}, nil); err != nil {
		t.Fatal(err)
	}
	if err := client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "s"}); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped after %s", time.Since(began))
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", c.Addr); err == nil {
		conn.Close()
		t.Fatalf("something still listens on %s", c.Addr)
	}
}

func TestStartConsulOnATakenPortSaysWhy(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = parts.StartConsul(t.Context(), parts.ConsulConfig{
		HTTPPort: listener.Addr().(*net.TCPAddr).Port, LogFile: t.TempDir() + "/consul.log",
	})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("got %v, want the reason from Consul's log", err)
	}
}

func consulClient(t *testing.T, c *parts.ConsulServer) *api.Client {
	t.Helper()
	client, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	return client
}
