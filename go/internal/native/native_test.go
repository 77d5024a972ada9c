package native

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

func TestMain(m *testing.M) {
	if child := os.Getenv("PAY88_TEST_CHILD"); child != "" {
		children[child]()
		return
	}
	os.Exit(m.Run())
}

// What a test does in a process of its own.
var children = map[string]func(){}

func child(t *testing.T, name string, environment ...string) string {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "PAY88_TEST_CHILD="+name)
	command.Env = append(command.Env, environment...)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return strings.TrimSpace(string(output))
}

func load(t testing.TB) {
	t.Helper()
	if err := Load(); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFunctionIsDeclaredInTheHeader(t *testing.T) {
	header, err := os.ReadFile("../../../include/pay88.h")
	if err != nil {
		t.Fatal(err)
	}
	for index, name := range names {
		if !regexp.MustCompile(`\b` + name + `\(`).Match(header) {
			t.Errorf("%s is not in the header", name)
		}
		if index > 0 && names[index-1] >= name {
			t.Errorf("%s is not in its place", name)
		}
	}
	version := regexp.MustCompile(`#define PAY88_ABI_VERSION (\d+)`).FindSubmatch(header)
	if version == nil || string(version[1]) != fmt.Sprint(abiVersion) {
		t.Errorf("the header has ABI version %s, this package %d", version, abiVersion)
	}
}

func TestAVersionOfTheABIThatDoesNotFitIsRefused(t *testing.T) {
	for version, fits := range map[uint32]bool{abiVersion: true, abiVersion + 1: true, 2 << 16: false, 0xffff: false} {
		if (checkVersion(version) == nil) != fits {
			t.Errorf("version %#x: %v", version, checkVersion(version))
		}
	}
}

// A pointer that passes through a uintptr is not moved when the stack is. What is passed begins its life on a stack here, if it may.
func TestWhatIsPassedIsNotOnAStackThatMoves(t *testing.T) {
	done := make(chan bool)
	// A goroutine with a stack that is small yet.
	go func() {
		defer close(done)
		var frame, other [16]byte
		text := string(append(frame[:0], Soname[:8]...))
		bytes := append(other[:0], 1, 2, 3)
		c := begin(fnConfigSet).text(text).bytes(bytes)
		use(1000)
		done <- uintptr(unsafe.Pointer(unsafe.StringData(text))) == c.args[0] && uintptr(unsafe.Pointer(&bytes[0])) == c.args[2]
		end(c)
	}()
	if !<-done {
		t.Error("the stack was moved, and the library would read where it was")
	}
	<-done
}

//go:noinline
func use(depth int) (sum int) {
	var frame [128]byte
	if depth > 0 {
		sum = use(depth - 1)
	}
	return sum + int(frame[depth%len(frame)])
}

// As above, with the real library, and beside a collector that never rests. A garbled name is no option, so the library refuses it.
func TestTextsArriveWhileStacksMove(t *testing.T) {
	load(t)
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	calls := 1_000_000
	if testing.Short() {
		calls = 100_000
	}
	const goroutines = 8
	rows := Options()
	var group sync.WaitGroup
	for worker := range goroutines {
		group.Go(func() {
			config, _ := value(fnConfigNewWithoutEnvironment)
			defer value(fnConfigRelease, uint64(config))
			done := make(chan *Failure)
			for number := range calls / goroutines {
				row := rows[(worker+number)%len(rows)]
				// A new stack grows, somewhere between what is passed and the call.
				go func() { done <- setDeep(config, row.Name, number%64) }()
				if failure := <-done; failure != nil {
					t.Errorf("%s: %s", row.Name, failure.Message)
					return
				}
			}
		})
	}
	group.Wait()
}

//go:noinline
func setDeep(config uintptr, name string, depth int) *Failure {
	var frame [64]byte
	own := string(append(frame[:0], name...))
	if depth > 0 {
		failure := setDeep(config, own, depth-1)
		runtime.KeepAlive(frame)
		return failure
	}
	_, failure := begin(fnConfigSet).handle(config).text(own).text("1").try()
	return failure
}

func TestADescriptorThatCannotBeWaitedForIsRefused(t *testing.T) {
	file, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if readable, err := NewReadable(int(file.Fd())); err == nil {
		readable.Close()
		t.Error("no error")
	}
}
