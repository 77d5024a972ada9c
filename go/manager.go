package pay88

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pay88/pay88/go/internal/native"
)

// Manager holds 88Pay's token and makes authenticated calls. Any number of goroutines may use it at once.
//
// Managers of the same credentials share one token in the whole process, with those of other languages too. Unless Share is
// "process", they also share it with all processes of this user on this host.
//
// New makes it. A zero Manager, and one that is nil, fail with ErrConfigInvalid, and tell nothing of themselves.
type Manager struct {
	native *native.Manager
	// Its end is counted once.
	closed *sync.Once
	// What is only read as long as the token is the same.
	kept atomic.Pointer[kept]
	// Not in one cache line with what is only read.
	_ [64]byte
	// Uses of the kept token that the library was not told of.
	uses atomic.Uint64
}

// A token, and for how long it may be used without a call of the library.
type kept struct {
	token    *Token
	word     uint64
	until    time.Time
	realtime int64
}

// New builds a manager. It sends nothing. It fails with ErrConfigInvalid if an option cannot be used, and with ErrInternal if the
// library is missing.
func New(config Config) (*Manager, error) {
	if err := load(); err != nil {
		return nil, err
	}
	set, wrong := config.set()
	if wrong != nil {
		return nil, wrong
	}
	handle, failure := native.NewManager(config.environment(), set)
	if failure != nil {
		return nil, failed(failure)
	}
	m := &Manager{native: handle, closed: &sync.Once{}}
	results.opened()
	// A manager that was forgotten does not keep the goroutine that takes results.
	runtime.AddCleanup(m, func(closed *sync.Once) { closed.Do(results.closed) }, m.closed)
	return m, nil
}

func load() error {
	if err := native.Load(); err != nil {
		return &Error{
			Code: ErrInternal, Outcome: NotSent, cause: err,
			Message: "The native library cannot be used: " + err.Error() + ".",
			Hint:    "The README of the Go module says what it needs, and which tags there are.",
		}
	}
	return nil
}

// Whether New did not make it.
func (m *Manager) none() bool { return m == nil || m.native == nil }

func noManager() *Error {
	return invalid("This manager was not made by New.", "Use what pay88.New gives, if it gives no error.")
}

// ID is the number of the manager behind this value. Equal numbers mean the same manager of this process.
func (m *Manager) ID() uint64 {
	if m.none() {
		return 0
	}
	return m.native.ID()
}

// BaseURL is the base URL, normalised.
func (m *Manager) BaseURL() string {
	if m.none() {
		return ""
	}
	return m.native.BaseURL()
}

// MerchantID is the merchant ID.
func (m *Manager) MerchantID() string {
	if m.none() {
		return ""
	}
	return m.native.MerchantID()
}

// Timeout is how long a call may take whose context has no deadline.
func (m *Manager) Timeout() time.Duration {
	if m.none() {
		return 0
	}
	return time.Duration(m.native.TimeoutMs()) * time.Millisecond
}

// Token gives the token. If there is a valid one in the cache, it is given at once, as a rule without a call of the library. A context
// that has ended gets it too, as long as that takes no wait: a few goroutines at a time ask the library, and a wait for one's turn ends
// with the context. If there is no valid token, Token waits for a new one until the context ends, at most an hour, or for the option
// Timeout if the context has no deadline. However many goroutines wait, one token is asked for. The outcome of an error is always NotSent.
func (m *Manager) Token(ctx context.Context) (*Token, error) {
	if m.none() {
		return nil, noManager()
	}
	if kept := m.kept.Load(); kept != nil && kept.word == m.native.Word() {
		if now := time.Now(); now.Before(kept.until) && now.UnixNano() < kept.realtime {
			m.uses.Add(1)
			return kept.token, nil
		}
	}
	var token *Token
	if err := results.start(ctx, func() { token = m.keep() }); err != nil {
		return nil, err
	}
	if token != nil {
		return token, nil
	}
	limit, err := newWait(ctx, 0)
	if err != nil {
		return nil, err
	}
	waited, err := results.token(ctx, m.native, limit)
	if err != nil {
		if err.Outcome != NotSent {
			// Whatever became of a request for a token, no transaction was sent.
			err.Outcome, err.Hint = NotSent, "Ask for the token again."
		}
		return nil, err
	}
	return m.known(waited), nil
}

// Asks the library for the token that it would give at once, and for how long it may be kept.
func (m *Manager) keep() *Token {
	m.reportUses()
	current := m.native.CurrentUntil()
	if current.Generation == 0 {
		return nil
	}
	until, realtime := native.MonotonicUntil(current.MonotonicUntil), int64(current.RealtimeUntil)
	if before := m.kept.Load(); before != nil && before.token.Generation() == current.Generation {
		return m.remember(kept{before.token, current.Word, until, realtime})
	}
	peeked, failure := m.native.Peek()
	if failure != nil || peeked == nil {
		return nil
	}
	if peeked.Generation != current.Generation {
		// It was renewed in between.
		return m.known(peeked)
	}
	return m.remember(kept{newToken(peeked), current.Word, until, realtime})
}

// One token is one value as long as it is kept. This one is not used again without asking the library.
func (m *Manager) known(token *native.Token) *Token {
	if before := m.kept.Load(); before != nil && before.token.Generation() == token.Generation {
		return before.token
	}
	return m.remember(kept{token: newToken(token)})
}

// Keeps a token, unless a newer one is kept. The word 0, which no manager has, means that the library has to be asked.
func (m *Manager) remember(next kept) *Token {
	for {
		before := m.kept.Load()
		if before != nil && before.token.Generation() > next.token.Generation() {
			return next.token
		}
		if before != nil && before.token.Generation() == next.token.Generation() {
			if next.token = before.token; next.word == 0 {
				return next.token
			}
		}
		if m.kept.CompareAndSwap(before, &next) {
			return next.token
		}
	}
}

func (m *Manager) reportUses() {
	if uses := m.uses.Swap(0); uses > 0 {
		m.native.CountUses(uses)
	}
}

// Peek gives the cached token, or nil if there is no valid one. It never waits. It fails if the manager is closed.
func (m *Manager) Peek() (*Token, error) {
	if m.none() {
		return nil, noManager()
	}
	token, failure := m.native.Peek()
	if failure != nil {
		return nil, failed(failure)
	}
	if token == nil {
		return nil, nil
	}
	return m.known(token), nil
}

// Do makes an authenticated call. If 88Pay answers, there is no error, whatever the HTTP status. The call ends with the context: at its
// deadline with ErrTimeout, and with ErrCanceled when it is canceled. It takes at most an hour, also where the deadline is later.
// Error.Outcome says whether the request can have reached 88Pay.
func (m *Manager) Do(ctx context.Context, request *Request) (*Response, error) {
	if m.none() {
		return nil, noManager()
	}
	if request == nil {
		return nil, invalid("There is no request.", "Pass a *pay88.Request.")
	}
	// What is left until the deadline is known after JSON was encoded, which may take long.
	built, err := request.native()
	if err != nil {
		return nil, err
	}
	defer built.Release()
	limit, err := newWait(ctx, request.Timeout)
	if err != nil {
		return nil, err
	}
	if failure := built.SetTimeoutMs(limit.timeoutMs); failure != nil {
		return nil, failed(failure)
	}
	answer, err := results.response(ctx, m.native, built, limit)
	if err != nil {
		return nil, err
	}
	return newResponse(answer), nil
}

// Invalidate drops the cached token, for example because another program has revoked it. If token is not nil, the cached token is
// dropped only if it is that one. It says whether there was one to drop. It fails with ErrRateLimited if tokens were dropped too
// often lately; the token then stays.
func (m *Manager) Invalidate(token *Token) (bool, error) {
	if m.none() {
		return false, noManager()
	}
	var handle *native.Token
	if token != nil {
		if handle = token.own().native; handle == noPair.native {
			return false, invalid("This token was not given by a manager.", "Pass what Token or Peek gave.")
		}
	}
	dropped, failure := m.native.Invalidate(handle)
	if failure != nil {
		return false, failed(failure)
	}
	return dropped, nil
}

// Rotate replaces the API key, for everything in the process that uses this manager. With keepOld the old key is used for up to 24
// hours while 88Pay does not accept the new one.
func (m *Manager) Rotate(apiKey string, keepOld bool) error {
	if m.none() {
		return noManager()
	}
	if failure := m.native.Rotate(apiKey, keepOld); failure != nil {
		return failed(failure)
	}
	return nil
}

// Stats is what the manager has done so far, and its present state.
func (m *Manager) Stats() (Stats, error) {
	if m.none() {
		return Stats{}, noManager()
	}
	m.reportUses()
	raw, failure := m.native.Stats()
	if failure != nil {
		return Stats{}, failed(failure)
	}
	stats, err := newStats(raw)
	if err != nil {
		return Stats{}, &Error{Code: ErrInternal, Outcome: NotSent, Message: "The statistics cannot be read.", Hint: "Please report it.", cause: err}
	}
	return stats, nil
}

// Close ends the pending calls of this manager with ErrCanceled, and refuses later ones. Other managers are not affected. It may be
// called several times. It never fails.
func (m *Manager) Close() error {
	if m.none() {
		return nil
	}
	m.reportUses()
	m.native.Close()
	m.closed.Do(results.closed)
	return nil
}

// Format prints the number, the merchant ID and the base URL.
func (m *Manager) Format(state fmt.State, _ rune) {
	if m.none() {
		fmt.Fprint(state, "pay88.Manager(nil)")
		return
	}
	fmt.Fprintf(state, "pay88.Manager{%d, %s at %s}", m.ID(), m.MerchantID(), m.BaseURL())
}

// LogValue is the number, the merchant ID and the base URL.
func (m *Manager) LogValue() slog.Value {
	if m.none() {
		return slog.AnyValue(nil)
	}
	return slog.GroupValue(slog.Uint64("id", m.ID()), slog.String("merchant_id", m.MerchantID()), slog.String("base_url", m.BaseURL()))
}

// How long a call may take, as the library takes it.
type wait struct {
	// 0 is the option Timeout of the manager.
	timeoutMs uint64
	// The deadline of the context, if that is the limit.
	deadline time.Time
}

// The longest time that the library takes.
const longest = time.Hour

func newWait(ctx context.Context, own time.Duration) (wait, *Error) {
	if ctx.Err() != nil {
		return wait{}, ended(ctx)
	}
	if own < 0 || own > longest {
		return wait{}, invalid(fmt.Sprintf("The timeout is %s.", own), "It must be above 0 and at most an hour.")
	}
	deadline, has := ctx.Deadline()
	if !has {
		return wait{timeoutMs: milliseconds(own)}, nil
	}
	left := time.Until(deadline)
	switch {
	case left <= 0:
		// The context is not done yet: its timer is late.
		return wait{}, ended(ctx)
	case own > 0 && own <= left:
		return wait{timeoutMs: milliseconds(own)}, nil
	case left > longest:
		return wait{timeoutMs: milliseconds(longest)}, nil
	default:
		return wait{milliseconds(left), deadline}, nil
	}
}

// Rounded up: 0 would be the default, and a wait that ends before the deadline of its context has no cause.
func milliseconds(duration time.Duration) uint64 {
	return uint64((duration + time.Millisecond - 1) / time.Millisecond)
}

// Calls cancel as soon as the context is done, unless the library ends the call then.
func (w wait) onDone(ctx context.Context, cancel func()) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		if !w.endsNow(ctx) {
			cancel()
		}
	})
}

// Whether the library ends the call itself, and says so, of a context that is done. A context may say that its deadline was exceeded
// without having one, or before the one that it told.
func (w wait) endsNow(ctx context.Context) bool {
	return errors.Is(ctx.Err(), context.DeadlineExceeded) && !w.deadline.IsZero() && !time.Now().Before(w.deadline)
}
