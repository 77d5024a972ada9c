package pay88

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestNothingThatIsPrintedShowsASecret(t *testing.T) {
	key := freshKey(t)
	config := Config{APIKey: key, PreviousAPIKey: key, Proxy: "http://u:" + key + "@127.0.0.1:1", Share: "process",
		Options: map[string]string{"unknown": key}, Env: []string{"A=" + key}}
	// A key in the wrong field, and a password.
	const password = "a-password"
	wrong := Config{MerchantID: key, BaseURL: "https://user:" + password + "@127.0.0.1:1", UserAgentSuffix: key, CABundle: key,
		Options: map[string]string{"timeout": key, key: "1"}}
	shown := config.shown()
	config.Options, config.Env = nil, nil
	manager := build(t, config)
	token := token(t, manager)
	holder := struct {
		token   Token
		pointer *Token
		manager *Manager
	}{*token, token, manager}
	var logged bytes.Buffer
	for _, logger := range []*slog.Logger{slog.New(slog.NewJSONHandler(&logged, nil)), slog.New(slog.NewTextHandler(&logged, nil))} {
		logger.Info("x", "config", config, "pointer", &config, "wrong", wrong, "token", token, "manager", manager, "holder", holder)
	}
	fmt.Fprintln(&logged, shown)
	for _, value := range []any{config, &config, wrong, &wrong, token, manager, holder, &holder, []any{config, token}} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&logged, format+"\n", value)
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Error(err)
		}
		logged.Write(encoded)
	}
	for _, err := range []error{manager.Rotate("pk_"+key, true)} {
		fmt.Fprintf(&logged, "%v %+v %#v", err, err, err)
	}
	for _, secret := range []string{key, password, token.AccessToken(), token.SessionID()} {
		for _, spelled := range []string{secret, fmt.Sprintf("%x", secret)} {
			if strings.Contains(logged.String(), spelled) {
				t.Error("a secret is shown")
			}
		}
	}
	if !strings.Contains(logged.String(), "generation") || !strings.Contains(logged.String(), hidden) {
		t.Error("nothing is shown")
	}
}

func TestEventsAreLoggedWithTheirFields(t *testing.T) {
	var mutex sync.Mutex
	var logged bytes.Buffer
	stop, err := LogEvents(slog.New(slog.NewJSONHandler(locked{&mutex, &logged}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	manager := fresh(t)
	token(t, manager)
	wanted := fmt.Sprintf(`"msg":"token_issued","manager_id":%d,`, manager.ID())
	eventually(t, "the event", func() bool {
		mutex.Lock()
		defer mutex.Unlock()
		return strings.Contains(logged.String(), wanted)
	})
	stop()
	stop()
	mutex.Lock()
	before := logged.Len()
	mutex.Unlock()
	later := fresh(t)
	seen := make(chan struct{}, 1)
	end, err := Subscribe(func(event Event) {
		if event.Name == "token_issued" && event.ManagerID == later.ID() {
			seen <- struct{}{}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	token(t, later)
	select {
	case <-seen:
	case <-time.After(patience):
		t.Error("another subscriber gets no event")
	}
	mutex.Lock()
	defer mutex.Unlock()
	if logged.Len() != before {
		t.Error("an event after the end")
	}
}

func TestASubscriptionEndsAlsoIfEventsDoNot(t *testing.T) {
	manager := fresh(t)
	keys := []string{freshKey(t), freshKey(t)}
	var received atomic.Int64
	// Each event makes another one.
	next := func() {
		if err := manager.Rotate(keys[received.Add(1)%2], false); err != nil {
			t.Error(err)
		}
	}
	stop, err := Subscribe(func(Event) { next() })
	if err != nil {
		t.Fatal(err)
	}
	next()
	eventually(t, "events", func() bool { return received.Load() > 100 })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop()
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("it does not end")
	}
}

type locked struct {
	mutex *sync.Mutex
	to    io.Writer
}

func (l locked) Write(bytes []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.to.Write(bytes)
}

func entries(directory string) int {
	found, err := os.ReadDir(directory)
	if err != nil {
		panic(err)
	}
	return len(found)
}

// In kilobytes.
func resident() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		panic(err)
	}
	return kilobytes
}

// Runs in a process of its own, whose threads are counted.
func stress() {
	const goroutines = 20_000
	manager, err := New(Config{Share: "process"})
	if err != nil {
		panic(err)
	}
	var group sync.WaitGroup
	var errs sync.Map
	for range goroutines {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
			defer cancel()
			if _, err := manager.Token(ctx); err != nil {
				errs.Store(err.Error(), true)
			}
		})
	}
	group.Wait()
	errs.Range(func(err, _ any) bool { panic(err) })
	stats, err := manager.Stats()
	if err != nil {
		panic(err)
	}
	fmt.Println(entries("/proc/self/task"), stats.TokensIssued)
	_ = manager.Close()
}

// Runs in a process of its own, whose memory and descriptors are counted.
func cancelMany() {
	const calls, rounds = 1000, 10
	manager, err := New(Config{Share: "process"})
	if err != nil {
		panic(err)
	}
	if _, err := manager.Token(context.Background()); err != nil {
		panic(err)
	}
	var after [rounds][3]int
	before := runtime.NumGoroutine()
	for round := range rounds {
		ctx, cancel := context.WithCancel(context.Background())
		var group sync.WaitGroup
		for range calls {
			group.Go(func() {
				_, err := makeCharge(ctx, manager)
				var told *Error
				if !errors.As(err, &told) || told.Code != ErrCanceled || !errors.Is(err, context.Canceled) {
					panic(fmt.Sprint("not canceled: ", err))
				}
			})
		}
		for pending := 0; pending < calls-mostBlocking; time.Sleep(time.Millisecond) {
			results.mutex.Lock()
			pending = len(results.pending)
			results.mutex.Unlock()
		}
		cancel()
		group.Wait()
		runtime.GC()
		debug.FreeOSMemory()
		after[round] = [3]int{runtime.NumGoroutine(), entries("/proc/self/fd"), resident()}
	}
	// The one that takes results.
	first, last := after[3], after[rounds-1]
	if left := last[0] - before; left > 1 {
		_ = pprof.Lookup("goroutine").WriteTo(os.Stdout, 1)
		panic(fmt.Sprint(left, " goroutines are left"))
	}
	// Connections are kept, at most so many.
	if last[1] > first[1]+64 {
		panic(fmt.Sprint("descriptors: ", after))
	}
	if last[2] > first[2]+8<<10 && !raceDetector {
		panic(fmt.Sprint("memory: ", after))
	}
	_ = manager.Close()
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			panic("the goroutine that takes results does not end with the last manager")
		}
	}
	fmt.Println("fine")
}

func init() {
	children["stress"] = stress
	children["cancelMany"] = cancelMany
}

func child(t *testing.T, name string, environment ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	command := exec.CommandContext(ctx, os.Args[0])
	command.Env = append(os.Environ(), "PAY88_TEST_CHILD="+name, "EIGHTY_EIGHT_PAY_API_KEY="+freshKey(t))
	command.Env = append(command.Env, environment...)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return strings.TrimSpace(string(output))
}

func TestTwentyThousandGoroutinesNeedOneTokenAndFewThreads(t *testing.T) {
	control(t, "POST", "/switches", map[string]any{"token_delay": 1}, nil)
	defer control(t, "POST", "/switches", map[string]any{"token_delay": 0}, nil)
	before := counter(t, "tokens_requested")
	var threads, tokens int
	if told := child(t, "stress"); !scanned(told, &threads, &tokens) {
		t.Fatal(told)
	}
	if requested := counter(t, "tokens_requested") - before; requested != 1 || tokens != 1 || threads > 64 {
		t.Errorf("%v token requests, %d tokens, %d threads", requested, tokens, threads)
	}
	t.Logf("%d threads", threads)
}

func scanned(text string, into ...any) bool {
	count, err := fmt.Sscan(text, into...)
	return err == nil && count == len(into)
}

func TestTenThousandCallsThatAreCanceledLeaveNothing(t *testing.T) {
	fault(t, "calls", nil, "stall")
	// Each thread would have a part of the heap of its own, which fills up by and by.
	if told := child(t, "cancelMany", "MALLOC_ARENA_MAX=1"); told != "fine" {
		t.Error(told)
	}
}

// The profiler's signals, and those by which the runtime takes a processor from a goroutine, arrive during calls.
func TestCallsGoOnWhileTheyAreProfiled(t *testing.T) {
	manager := fresh(t)
	var profile bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err != nil {
		t.Fatal(err)
	}
	defer pprof.StopCPUProfile()
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			// It never gives its processor away.
			for number := 0; ; number++ {
				if number%1_000_000 == 0 {
					select {
					case <-stop:
						return
					default:
					}
				}
			}
		})
	}
	for range 100 {
		if answer, err := makeCharge(t.Context(), manager); err != nil || !answer.OK() {
			t.Error(answer, err)
			break
		}
	}
	close(stop)
	group.Wait()
}
