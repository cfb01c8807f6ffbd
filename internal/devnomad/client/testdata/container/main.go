// Command container is what the tests run in a container: its first argument says what it does.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGINT)
	switch os.Args[1] {
	case "serve": // tells its environment and a file, answers /health
		fmt.Println(strings.Join(os.Environ(), "\n"))
		data, err := os.ReadFile("/mounted/file")
		fmt.Printf("FILE=%s %v\n", data, err)
		fmt.Println("WRITE", os.WriteFile("/mounted/other", nil, 0o600))
		fmt.Println("LOCAL", os.WriteFile(os.Getenv("NOMAD_TASK_DIR")+"/own", nil, 0o600))
		fmt.Fprintln(os.Stderr, "to stderr")
		go func() {
			handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
			panic(http.ListenAndServe("0.0.0.0:"+os.Getenv("NOMAD_PORT_http"), handler)) //nolint:gosec // for a test
		}()
		<-asked
	case "clock": // a line every few milliseconds; asked to end, it ends with 3
		tick := time.NewTicker(2 * time.Millisecond)
		for n := 0; ; n++ {
			select {
			case <-tick.C:
				fmt.Println(n)
			case <-asked:
				os.Exit(3)
			}
		}
	case "stubborn":
		signal.Ignore(syscall.SIGINT)
		fmt.Println("READY")
		time.Sleep(time.Minute) // nothing else ends it
	case "glutton": // takes 200 MiB
		data := make([]byte, 200<<20)
		for i := 0; i < len(data); i += 4096 {
			data[i] = 1
		}
	}
}
