// Package cachetest starts Redis servers for tests.
package cachetest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is a server of a test's own, on an address that stays the same when it is started again.
type Redis struct {
	testing.TB
	// URL leads to it, and Client is a way around what is tested.
	URL    string
	Client *redis.Client

	address string
	keeper  *exec.Cmd
	process *os.Process
	release io.Closer
}

// keeper kills the server when its standard input ends, so that no server outlives the test,
// however that ends.
const keeper = `redis-server "$@" >/dev/null 2>&1 &
echo $!
while read -r _; do :; done
kill -KILL $!
wait`

// Missing says why no server can be started, nil if one can.
func Missing() error {
	_, err := exec.LookPath("redis-server")
	return err
}

// Start starts an empty server. Without the program the test is skipped, unless CI=true.
func Start(t testing.TB) *Redis {
	t.Helper()
	if err := Missing(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no Redis: install redis-server")
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Redis{TB: t, address: listener.Addr().String()}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	r.URL, r.Client = "redis://"+r.address, redis.NewClient(&redis.Options{Addr: r.address})
	r.Restart()
	t.Cleanup(func() {
		r.Kill()
		_ = r.Client.Close()
	})
	return r
}

// Restart starts the server, empty, after it was killed.
func (r *Redis) Restart() {
	r.Helper()
	_, port, err := net.SplitHostPort(r.address)
	if err != nil {
		r.Fatal(err)
	}
	r.keeper = exec.Command("sh", "-c", keeper, "sh", "--bind", "127.0.0.1", "--port", port, "--save", "",
		"--appendonly", "no")
	if r.release, err = r.keeper.StdinPipe(); err != nil {
		r.Fatal(err)
	}
	out, err := r.keeper.StdoutPipe()
	if err != nil {
		r.Fatal(err)
	}
	if err := r.keeper.Start(); err != nil {
		r.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		r.Fatal(err)
	}
	if r.process, err = os.FindProcess(pid); err != nil {
		r.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); r.Client.Ping(context.Background()).
		Err() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatal("Redis does not start")
		}
	}
}

// Kill ends the server at once.
func (r *Redis) Kill() {
	if r.keeper.ProcessState == nil {
		_ = r.release.Close()
		_ = r.keeper.Wait()
	}
}

// Pause stops the server without ending its connections, until resume is called.
func (r *Redis) Pause() (resume func()) {
	r.Helper()
	r.signal(syscall.SIGSTOP)
	return func() { r.signal(syscall.SIGCONT) }
}

func (r *Redis) signal(s syscall.Signal) {
	r.Helper()
	if err := r.process.Signal(s); err != nil {
		r.Fatal(err)
	}
}

// Delayed returns a URL that leads to the server by a way on which one answer in a few is late, by
// up to a time.
func (r *Redis) Delayed(late time.Duration) string {
	r.Helper()
	listener, err := (&net.ListenConfig{}).Listen(r.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				server, err := net.Dial("tcp", r.address)
				if err != nil {
					return
				}
				go func() {
					defer server.Close()
					_, _ = io.Copy(server, client)
				}()
				_, _ = io.Copy(client, delayed{server, late})
			}()
		}
	}()
	return "redis://" + listener.Addr().String()
}

type delayed struct {
	net.Conn
	late time.Duration
}

func (d delayed) Read(b []byte) (int, error) {
	n, err := d.Conn.Read(b)
	if rand.IntN(50) == 0 {
		time.Sleep(rand.N(d.late))
	}
	return n, err
}
