package client_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary is also the program of the tasks: TASK says which.
func TestMain(m *testing.M) {
	if role := os.Getenv("TASK"); role != "" {
		runTask(role)
		return
	}
	goleak.VerifyTestMain(m)
}

func runTask(role string) {
	asked := make(chan os.Signal, 1)
	if role != "stubborn" {
		signal.Notify(asked, syscall.SIGINT, syscall.SIGTERM)
	}
	switch role {
	case "serve":
		serveHealth()
		<-asked
	case "print": // the environment and arguments
		fmt.Println(strings.Join(os.Environ(), "\n"))
		fmt.Println("ARGS=" + strings.Join(os.Args[1:], ","))
		wd, _ := os.Getwd()
		fmt.Println("WD=" + wd)
		<-asked
	case "crash":
		fmt.Fprintln(os.Stderr, "crashing")
		os.Exit(1)
	case "glutton": // takes 200 MiB
		data := make([]byte, 200<<20)
		for i := 0; i < len(data); i += 4096 {
			data[i] = 1
		}
	case "once":
		os.Exit(0)
	case "stubborn": // ignores the kill signal, and has a child that does
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
		if os.Getenv("CHILD") == "" {
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), "CHILD=yes")
			child.Stdout = os.Stdout
			child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // out of the task's group
			if err := child.Start(); err != nil {
				panic(err)
			}
			fmt.Println("CHILD", child.Process.Pid)
		}
		fmt.Println("READY")
		time.Sleep(time.Minute) // nothing else ends it
	case "chatter": // 1 MiB of numbered lines, then one more when asked to, then the end when asked to
		more := make(chan os.Signal, 1)
		signal.Notify(more, syscall.SIGUSR1)
		for i := range 1 << 16 { // 16 bytes each
			fmt.Printf("%015d\n", i)
		}
		<-more
		fmt.Println("one more")
		<-asked
	case "clock": // a line every few milliseconds; asked to end, it ends with 3; with END, the first one ends at once
		mark := os.Getenv("NOMAD_TASK_DIR") + "/ended"
		if _, err := os.Stat(mark); err != nil && os.Getenv("END") != "" {
			_ = os.WriteFile(mark, nil, 0o600)
			os.Exit(2)
		}
		tick := time.NewTicker(5 * time.Millisecond)
		for n := 0; ; n++ {
			select {
			case <-tick.C:
				fmt.Println(n)
			case <-asked:
				os.Exit(3)
			}
		}
	case "agent": // a client that runs what it is told and is killed
		runAgent()
	default:
		panic("unknown role " + role)
	}
}

// serveHealth answers /health with 200, after a GET of /break with 503.
func serveHealth() {
	var broken atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/break", func(http.ResponseWriter, *http.Request) { broken.Store(true) })
	go func() { panic(http.ListenAndServe(os.Getenv("NOMAD_ADDR_http"), mux)) }()
}
