// A contender written in Go: as many operations as a line of its input says, then what they cost. See src/contender.rs, whose
// counterpart this is.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pay88 "github.com/pay88/pay88/go"
)

const (
	path    = "/api/transactions/charges"
	timeout = 30 * time.Second
	atATime = 32
	// Goroutines that compute beside the calls, and the processors that they take.
	spinners = 2
)

var (
	baseURL     = os.Getenv("BENCH_BASE_URL")
	accessToken = os.Getenv("BENCH_ACCESS_TOKEN")
	body        = []byte(os.Getenv("BENCH_BODY"))
	answerBytes = os.Getenv("BENCH_ANSWER_BYTES")
	// As a program has one that serves requests. It is never canceled.
	ctx, _ = context.WithCancel(context.Background())
)

func fail(about ...any) {
	fmt.Fprintln(os.Stderr, append([]any{"contender:"}, about...)...)
	os.Exit(1)
}

// Gives what is no error.
func must[T any](value T, err error) T {
	if err != nil {
		fail(err)
	}
	return value
}

// Does the work until the input ends; a tenth of it before each measurement, so that what idled is awake.
func serve(work func(times int)) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		operations := must(strconv.Atoi(lines.Text()))
		work(operations / 10)
		wall, cpu := time.Now(), processorTime()
		work(operations)
		fmt.Println(time.Since(wall).Nanoseconds(), (processorTime() - cpu).Nanoseconds())
	}
}

func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		fail(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func manager() *pay88.Manager {
	return must(pay88.New(pay88.Config{
		APIKey: os.Getenv("BENCH_API_KEY"), MerchantID: os.Getenv("BENCH_MERCHANT_ID"), BaseURL: baseURL,
		CABundle: os.Getenv("BENCH_CA"), Share: os.Getenv("BENCH_SHARE"),
	}))
}

func client() *http.Client {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(must(os.ReadFile(os.Getenv("BENCH_CA")))) {
		fail("no authority")
	}
	return &http.Client{
		Timeout:       timeout,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: atATime},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// One that allocates on the heap fails the benchmark.
func readToken(read func() string) {
	if read() != accessToken {
		fail("another token")
	}
	// It is kept from the second one on.
	if read(); testing.AllocsPerRun(1000, func() { read() }) != 0 {
		fail("reading a cached token allocates")
	}
	serve(func(times int) {
		for range times {
			read()
		}
	})
}

func check(status, length int) {
	if status != http.StatusOK || strconv.Itoa(length) != answerBytes {
		fail("status", status, "with", length, "bytes")
	}
}

// Each makes a function that charges once.
var senders = map[string]func() func(){
	"pay88": func() func() {
		manager := manager()
		return func() {
			answer := must(manager.Do(ctx, &pay88.Request{Method: "POST", Endpoint: path, Body: body}))
			check(answer.StatusCode, len(answer.Body))
		}
	},
	"nethttp": func() func() {
		client := client()
		return func() {
			request := must(http.NewRequestWithContext(ctx, "POST", baseURL+path, bytes.NewReader(body)))
			request.Header.Set("Authorization", "Bearer "+accessToken)
			request.Header.Set("x-session-id", os.Getenv("BENCH_SESSION_ID"))
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("User-Agent", os.Getenv("BENCH_USER_AGENT"))
			request.Header.Set("Accept", "*/*")
			answer := must(client.Do(request))
			defer answer.Body.Close()
			check(answer.StatusCode, len(must(io.ReadAll(answer.Body))))
		}
	},
}

func charge(send func()) func(int) {
	return func(times int) {
		for range times {
			send()
		}
	}
}

func chargeAtATime(send func()) func(int) {
	return func(times int) {
		var group sync.WaitGroup
		for range atATime {
			group.Go(func() { charge(send)(times / atATime) })
		}
		group.Wait()
	}
}

// One at a time, while all processors of this program compute.
func chargeBesideSpinners(send func()) func(int) {
	runtime.GOMAXPROCS(spinners)
	return func(times int) {
		var ended atomic.Bool
		var group sync.WaitGroup
		for range spinners {
			group.Go(func() {
				for !ended.Load() {
				}
			})
		}
		charge(send)(times)
		ended.Store(true)
		group.Wait()
	}
}

// The class of 88Pay's documentation ("Token Caching Strategy") in Go: as it stands there for other languages, with the mutex that
// goroutines need.
type documentedManager struct {
	apiKey, merchantID, baseURL string
	client                      *http.Client

	mutex     sync.Mutex
	cache     *documentedToken
	expiresAt time.Time
}

type documentedToken struct {
	AccessToken string `json:"access_token"`
	SessionID   string `json:"session_id"`
}

func (m *documentedManager) getToken() (*documentedToken, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	// Return cached token if valid (10s safety margin)
	if m.cache != nil && time.Now().Before(m.expiresAt.Add(-10*time.Second)) {
		return m.cache, nil
	}
	// Generate new token
	request, err := http.NewRequest("POST", m.baseURL+"/api/auth/token", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("x-api-key", m.apiKey)
	request.Header.Set("x-merchant-id", m.merchantID)
	response, err := m.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("token generation failed: %d", response.StatusCode)
	}
	var answer struct{ Data documentedToken }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	// Cache with 50s TTL
	m.cache = &answer.Data
	m.expiresAt = time.Now().Add(50 * time.Second)
	return m.cache, nil
}

func main() {
	kind, sender, named := strings.Cut(os.Args[1], "-")
	if !named {
		sender = "pay88"
	}
	ways := map[string]func(func()) func(int){"charge": charge, "async": chargeAtATime, "spinning": chargeBesideSpinners}
	switch build, way := senders[sender], ways[kind]; {
	case os.Args[1] == "--version":
		fmt.Println(runtime.Version())
	case os.Args[1] == "token":
		manager := manager()
		readToken(func() string { return must(manager.Token(ctx)).AccessToken() })
	case os.Args[1] == "token-documented":
		manager := documentedManager{
			apiKey: os.Getenv("BENCH_API_KEY"), merchantID: os.Getenv("BENCH_MERCHANT_ID"), baseURL: baseURL, client: client(),
		}
		readToken(func() string { return must(manager.getToken()).AccessToken })
	case build != nil && way != nil:
		serve(way(build()))
	default:
		fail("there is no contender", os.Args[1])
	}
}
