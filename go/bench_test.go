//go:build unix

package pay88

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What a program writes that keeps its token as 88Pay's documentation shows.
type documented struct {
	mutex   sync.Mutex
	token   string
	session string
	until   time.Time
}

func (d *documented) get() (string, string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if time.Now().After(d.until.Add(-10 * time.Second)) {
		panic("the token has ended")
	}
	return d.token, d.session
}

func BenchmarkCachedToken(b *testing.B) {
	b.Run("pay88", func(b *testing.B) {
		manager := fresh(b)
		ctx := b.Context()
		token(b, manager)
		b.ReportAllocs()
		for b.Loop() {
			token, err := manager.Token(ctx)
			if err != nil || token.AccessToken() == "" || token.SessionID() == "" {
				b.Fatal(err)
			}
		}
	})
	b.Run("documented", func(b *testing.B) {
		class := documented{token: "token", session: "session", until: time.Now().Add(time.Hour)}
		b.ReportAllocs()
		for b.Loop() {
			if token, session := class.get(); token == "" || session == "" {
				b.Fatal()
			}
		}
	})
}

func BenchmarkCharge(b *testing.B) {
	manager := fresh(b)
	token := token(b, manager)
	for _, atOnce := range []int{1, 32} {
		name := map[int]string{1: "one", 32: "thirtyTwo"}[atOnce]
		b.Run("pay88/"+name, func(b *testing.B) {
			run(b, atOnce, func() error {
				answer, err := makeCharge(b.Context(), manager)
				if err == nil {
					err = answer.Err()
				}
				return err
			})
		})
		b.Run("net/http/"+name, func(b *testing.B) {
			own := client(b, manager)
			// The pair is on each request, and nothing is asked.
			own.Transport.(*transport).base.(*http.Transport).MaxIdleConnsPerHost = 64
			own.Transport = own.Transport.(*transport).base
			run(b, atOnce, func() error {
				body, err := json.Marshal(charge)
				if err != nil {
					return err
				}
				request, err := http.NewRequestWithContext(b.Context(), "POST", manager.BaseURL()+charges, bytes.NewReader(body))
				if err != nil {
					return err
				}
				request.Header.Set("Content-Type", "application/json")
				answer, err := own.Do(withPair(request, token, request.Body))
				if err != nil {
					return err
				}
				defer answer.Body.Close()
				_, err = io.ReadAll(answer.Body)
				return err
			})
		})
	}
}

// Makes b.N calls from so many goroutines.
func run(b *testing.B, atOnce int, call func() error) {
	b.ResetTimer()
	before := processorTime(b)
	numbers := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for range numbers {
				if err := call(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range b.N {
		numbers <- struct{}{}
	}
	close(numbers)
	group.Wait()
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// What this process has used of the processors, which says more than the time on a machine that does much else.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
