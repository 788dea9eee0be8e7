package faults_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tenantry/internal/config"
	"tenantry/internal/database/dbtest"
)

// refusals are filters of system calls (seccomp(2)). The kernel answers the calls with the error of
// a file system that lacks the feature.
var refusals = map[string][]unix.SockFilter{
	// exFAT and many network shares have no hard links.
	"hard links": refuse(unix.SYS_LINKAT, unix.EPERM),
	// NFS has no locks without its lock service.
	"file locks": refuse(unix.SYS_FLOCK, unix.ENOLCK),
	// FUSE with direct I/O has no memory that processes share through a file.
	"shared memory": {
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: callNumber},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_MMAP, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: fourthArgument},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.MAP_SHARED, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENODEV)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	},
}

// callNumber and fourthArgument are offsets in struct seccomp_data, on little-endian machines.
const callNumber, fourthArgument = 0, 16 + 3*8

// refuse returns the filter that answers one system call with an error.
func refuse(call uint32, err syscall.Errno) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: callNumber},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(err)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
}

// TestRestrictedProcess is not a test. Started by startWithout, it becomes the
// program under a filter.
func TestRestrictedProcess(t *testing.T) {
	filter, ok := refusals[os.Getenv("TEST_WITHOUT")]
	if !ok {
		t.Skip("runs as a process of TestDataFolder_*")
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0,
		0); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("TEST_PROGRAM")
	t.Fatal(syscall.Exec(path, []string{path, "serve"}, os.Environ()))
}

// startWithout starts the program on a new data folder whose file system lacks a feature.
func startWithout(t *testing.T, feature string) (p *process, folder string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	opts := dbtest.EmptySQLite(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestRestrictedProcess$")
	cmd.Env = append(withoutSecret(settings(opts)), "TEST_WITHOUT="+feature, "TEST_PROGRAM="+path)
	return launch(t, cmd), opts.DataDir
}

func withoutSecret(env []string) []string {
	return slices.DeleteFunc(env, func(s string) bool { return strings.HasPrefix(s, "TENANTRY_SECRET=") })
}

// The data folder may be on a network share or a volume without hard links.
func TestDataFolder_withoutHardLinksServes(t *testing.T) {
	t.Parallel()
	p, folder := startWithout(t, "hard links")
	select {
	case <-p.serving:
	case <-p.exited:
		t.Fatalf("it ended instead of serving:\n%s", p.logged())
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not serve:\n%s", p.logged())
	}
	secret, err := os.ReadFile(filepath.Join(folder, "secret"))
	if err != nil || config.CheckSecret(string(secret)) != nil {
		t.Errorf("the secret: %q, %v", secret, err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "secret*"))
	if err != nil || len(files) != 1 {
		t.Errorf("files of the secret: %q, %v", files, err)
	}
}

// A newline at the end of the secret is not part of it. Values encrypted with the untrimmed secret
// can still be decrypted.
func TestDataFolder_newlineIsNotPartOfTheSecret(t *testing.T) {
	t.Parallel()
	const secret = "a secret for tests that is long enough 4711"
	for _, change := range []struct{ before, after string }{{secret, secret + "\n"}, {secret + "\n", secret},
		{secret + "\n", secret + "\n"}} {
		opts := dbtest.EmptySQLite(t)
		file := filepath.Join(opts.DataDir, "secret")
		var owner *client
		for _, content := range []string{change.before, change.after} {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			p := serve(t, opts, "TENANTRY_SECRET=")
			if owner == nil {
				owner = signedIn(t, p)
			}
			owner.url = p.url
			if got, err := owner.refresh(t.Context()); err != nil || got.status != http.StatusOK {
				t.Errorf("%q, then %q: the refresh is answered with %d, %v", change.before, change.after, got.status,
					err)
			}
			if err := p.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-p.exited
		}
	}
}

// If the file system lacks a feature that SQLite requires, the program names it and the next step.
func TestDataFolder_unsuitableForSQLiteIsRefused(t *testing.T) {
	t.Parallel()
	for feature, sentence := range map[string]string{
		"shared memory": "does not support SQLite's write-ahead log", "file locks": "does not support file locks",
	} {
		t.Run(feature, func(t *testing.T) {
			t.Parallel()
			p, folder := startWithout(t, feature)
			select {
			case <-p.exited:
			case <-time.After(15 * time.Second):
				t.Fatalf("it has not ended:\n%s", p.logged())
			}
			for _, part := range []string{sentence, folder, "TENANTRY_DATABASE_URL"} {
				if !strings.Contains(p.logged(), part) {
					t.Errorf("%q is missing in:\n%s", part, p.logged())
				}
			}
		})
	}
}

// A data folder that belongs to another user, as new volumes often do, is refused. The error names
// the user that needs access.
func TestDataFolder_ofAnotherUserNamesTheServersUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root starts a process as another user")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range []string{"TENANTRY_SECRET=", "TENANTRY_SECRET=a secret for tests that is long enough 4711"} {
		opts := dbtest.EmptySQLite(t)
		cmd := exec.Command(path, "serve")
		cmd.Env = append(withoutSecret(settings(opts)), env)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		p := launch(t, cmd)
		select {
		case <-p.exited:
		case <-time.After(15 * time.Second):
			t.Fatalf("it has not ended:\n%s", p.logged())
		}
		if want := "user 65532, which runs this program, needs read and write access to " +
			opts.DataDir; !strings.Contains(p.logged(), want) {
			t.Errorf("%q is missing in:\n%s", want, p.logged())
		}
	}
}

// Concurrent starts with one data folder use one secret.
func TestDataFolder_concurrentStartsShareOneSecret(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	opts := dbtest.EmptySQLite(t)
	starters := make([]*process, 8)
	for i := range starters {
		cmd := exec.Command(path, "serve")
		cmd.Env = withoutSecret(settings(opts))
		starters[i] = launch(t, cmd)
	}
	for i, p := range starters {
		select {
		case <-p.serving:
		case <-p.exited:
			t.Errorf("starter %d ended instead of serving:\n%s", i, p.logged())
		case <-time.After(60 * time.Second):
			t.Fatalf("starter %d does not serve:\n%s", i, p.logged())
		}
	}
	owner := signedIn(t, starters[0])
	for i, p := range starters {
		owner.url = p.url
		if got, err := owner.me(t.Context()); err != nil || got.status != http.StatusOK {
			t.Errorf("starter %d answers a token of starter 0 with %d, %v", i, got.status, err)
		}
	}
}
