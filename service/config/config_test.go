package config_test

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/service/config"
)

func env(m map[string]string) func(string) string { return func(k string) string { return m[k] } }

func TestFlagsWinOverEnvironment(t *testing.T) {
	digest := strings.Repeat("AB", 32)
	c, err := config.Parse("inference", []string{"--model-version", "v2", "-max-rows=7"}, env(map[string]string{
		"MODEL_VERSION": "v1", "MODEL_PATH": "/m.pkl", "MODEL_DIGEST": digest, "MODEL_COLOR": "green", "MAX_ROWS": "nonsense",
		"LISTEN_ADDR": ":0", "MODEL_NAME": "iris",
	}), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		ModelName: "iris", ModelVersion: "v2", ModelPath: "/m.pkl", ModelDigest: "sha256:" + strings.ToLower(digest),
		ModelRelease: "v2", ModelColor: "green", ListenAddr: ":0", MaxBody: 8 << 20, MaxRows: 7,
		DrainQuiet: 250 * time.Millisecond, DrainTimeout: 8 * time.Second,
		MaxConcurrency: 256, QueueTimeout: 100 * time.Millisecond, MaxBuffered: 64 << 20, ReadTimeout: 30 * time.Second,
		WriteTimeout: time.Minute, ScoreEvery: 8, RingSize: 4096, RingFrom: "127.0.0.0/8,::1/128",
	}
	if c != want {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestRefusesBadValues(t *testing.T) {
	tests := []struct {
		args []string
		env  map[string]string
		want string
	}{
		{nil, nil, "set MODEL_VERSION or --model-version"},
		{nil, map[string]string{"MODEL_VERSION": "v 1"}, `MODEL_VERSION="v 1": want up to 128`},
		{[]string{"--model-version="}, nil, `--model-version=""`},
		{[]string{"--model-digest=abc"}, nil, "want 64 hex digits"},
		{[]string{"--model-color=red"}, nil, "want blue or green"},
		{nil, map[string]string{"LISTEN_ADDR": "localhost"}, "want host:port"},
		{[]string{"--listen-addr=:99999"}, nil, "want host:port"},
		{[]string{"--max-rows=0"}, nil, "want a number from 1"},
		{[]string{"--drain-quiet=soon"}, nil, "want a duration"},
		{[]string{"--drain-quiet=10s", "--model-version=v1"}, nil, "is longer than"},
		{[]string{"--max-queue=-1"}, nil, "want a number from 0"},
		{nil, map[string]string{"RING_FROM": "10.0.0.1"}, "want networks"},
		{[]string{"--pprof-addr=:6060"}, nil, "want host:port with a loopback"},
		{[]string{"--pprof-addr=10.0.0.1:6060"}, nil, "want host:port with a loopback"},
		{[]string{"--pprof-addr=localhost:none"}, nil, "want host:port"},
		{[]string{"--log-requests=maybe"}, nil, "want true or false"},
		{[]string{"--colour=blue"}, nil, "colour"},
		{[]string{"model.pkl"}, nil, `"model.pkl" is not expected`},
	}
	for _, tt := range tests {
		_, err := config.Parse("inference", tt.args, env(tt.env), io.Discard)
		if !errors.Is(err, config.ErrUsage) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q %q: got %v, want %q in it", tt.args, tt.env, err, tt.want)
		}
	}
}

func TestHelpNamesEverySetting(t *testing.T) {
	var out strings.Builder
	extra := config.Setting{Flag: "extra", Env: "EXTRA_ENV", Usage: "more", Set: func(string) error { return nil }}
	_, err := config.Parse("inference", []string{"-h"}, env(nil), &out, extra)
	if !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, want := range []string{
		"--model-name", "MODEL_NAME", "--model-version", "MODEL_VERSION", "MODEL_PATH", "MODEL_DIGEST", "MODEL_RELEASE",
		"MODEL_COLOR", "LISTEN_ADDR", "MAX_BODY_BYTES", "MAX_ROWS", "DRAIN_QUIET", "DRAIN_TIMEOUT", "EXTRA_ENV",
		"MAX_CONCURRENCY", "MAX_QUEUE", "QUEUE_TIMEOUT", "MAX_BUFFERED_BYTES", "READ_TIMEOUT", "WRITE_TIMEOUT",
		"SCORE_EVERY", "RING_SIZE", "RING_FROM", "PPROF_ADDR", "LOG_REQUESTS",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("help has no %s:\n%s", want, &out)
		}
	}
}
