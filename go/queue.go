package pay88

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/pay88/pay88/go/internal/native"
)

// How many calls of the process wait in the library, each on a thread of its own. That is the fastest way, above all where goroutines
// compete for the processors; but each thread costs memory. The others wait in Go, for one queue of results.
const mostBlocking = 32

// How many goroutines begin a call at once that will wait in Go. The library is quick, but each that it lets wait for a lock, and each
// that the system takes the processor from meanwhile, would cost another thread.
const mostStarting = 4

// The results of the calls of this process.
var results = waiting{starting: make(chan struct{}, mostStarting)}

// Makes calls, and waits for their results.
type waiting struct {
	blocking atomic.Int32
	// A place for each that begins a queued call, or asks for the token in the cache.
	starting chan struct{}

	mutex sync.Mutex
	// Managers that are open.
	managers int
	// Who waits for which result. Their number is the tag.
	pending map[uint64]chan native.Completion
	last    uint64
	// The queue and the goroutine that takes from it. They end with the last manager and the last result.
	reader *reader
}

type reader struct {
	queue    *native.Completions
	readable *native.Readable
}

func (w *waiting) token(ctx context.Context, manager *native.Manager, limit wait) (*native.Token, *Error) {
	if w.enter() {
		defer w.leave()
		flag, stop := interruptible(ctx, limit)
		defer stop()
		token, failure := manager.GetToken(limit.timeoutMs, flag)
		return token, limit.failed(ctx, failure)
	}
	done, err := w.queued(ctx, limit, func(queue *native.Completions, tag uint64) (native.Call, *native.Failure) {
		return manager.GetTokenQueued(limit.timeoutMs, queue, tag)
	})
	return done.Token, err
}

func (w *waiting) response(ctx context.Context, manager *native.Manager, request *native.Request, limit wait) (*native.Response, *Error) {
	if w.enter() {
		defer w.leave()
		flag, stop := interruptible(ctx, limit)
		defer stop()
		response, failure := manager.Send(request, flag)
		return response, limit.failed(ctx, failure)
	}
	done, err := w.queued(ctx, limit, func(queue *native.Completions, tag uint64) (native.Call, *native.Failure) {
		return manager.SendQueued(request, queue, tag)
	})
	return done.Response, err
}

// Whether the caller may block a thread.
func (w *waiting) enter() bool {
	if w.blocking.Add(1) <= mostBlocking {
		return true
	}
	w.blocking.Add(-1)
	return false
}

func (w *waiting) leave() { w.blocking.Add(-1) }

// A flag that ends a blocking call when the context is done; none if it never is.
func interruptible(ctx context.Context, limit wait) (*native.Flag, func() bool) {
	if ctx.Done() == nil {
		return nil, func() bool { return true }
	}
	flag := new(native.Flag)
	return flag, limit.onDone(ctx, flag.Raise)
}

// Runs what is quick in the library, for a few goroutines at once. It fails if the context ends before there is a place.
func (w *waiting) start(ctx context.Context, run func()) *Error {
	select {
	case w.starting <- struct{}{}:
	default:
		// Only now the context matters.
		select {
		case w.starting <- struct{}{}:
		case <-ctx.Done():
			return ended(ctx)
		}
	}
	defer func() { <-w.starting }()
	run()
	return nil
}

// Begins a call and waits for its one result, also after it was canceled.
func (w *waiting) queued(
	ctx context.Context, limit wait, begin func(*native.Completions, uint64) (native.Call, *native.Failure),
) (native.Completion, *Error) {
	arrived := make(chan native.Completion, 1)
	queue, tag, failure := w.register(arrived)
	if failure != nil {
		return native.Completion{}, failed(failure)
	}
	// No result comes of a call that is not begun, also if that panics.
	defer w.take(tag)
	var call native.Call
	if err := w.start(ctx, func() { call, failure = begin(queue, tag) }); err != nil {
		return native.Completion{}, err
	}
	if failure != nil {
		return native.Completion{}, limit.failed(ctx, failure)
	}
	defer call.Release()
	var done native.Completion
	select {
	case done = <-arrived:
	case <-ctx.Done():
		if !limit.endsNow(ctx) {
			call.Cancel()
		}
		done = <-arrived
	}
	return done, limit.failed(ctx, done.Failure)
}

func (w *waiting) register(arrived chan native.Completion) (*native.Completions, uint64, *native.Failure) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.reader == nil {
		reader, failure := w.open()
		if failure != nil {
			return nil, 0, failure
		}
		w.reader = reader
	}
	if w.pending == nil {
		w.pending = map[uint64]chan native.Completion{}
	}
	w.last++
	w.pending[w.last] = arrived
	return w.reader.queue, w.last, nil
}

// Who waits for the result of that number, which is the last to ask.
func (w *waiting) take(tag uint64) chan native.Completion {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	arrived := w.pending[tag]
	delete(w.pending, tag)
	w.endIfUnused()
	return arrived
}

func (w *waiting) opened() {
	w.mutex.Lock()
	w.managers++
	w.mutex.Unlock()
}

func (w *waiting) closed() {
	w.mutex.Lock()
	w.managers--
	w.endIfUnused()
	w.mutex.Unlock()
}

func (w *waiting) endIfUnused() {
	if w.managers == 0 && len(w.pending) == 0 && w.reader != nil {
		w.reader.readable.Close()
		w.reader = nil
		w.pending = nil
	}
}

func (w *waiting) open() (*reader, *native.Failure) {
	queue, failure := native.OpenCompletions()
	if failure != nil {
		return nil, failure
	}
	readable, err := native.NewReadable(queue.Fd())
	if err != nil {
		queue.Release()
		return nil, noDescriptor(err)
	}
	reader := &reader{queue, readable}
	go w.read(reader)
	return reader, nil
}

// The goroutine that takes results. It has no thread while it waits.
func (w *waiting) read(from *reader) {
	for {
		var taken []native.Completion
		var failure *native.Failure
		err := from.readable.Take(func() bool {
			taken, failure = from.queue.Next()
			return len(taken) > 0 || failure != nil
		})
		for _, done := range taken {
			// One that nobody waits for cannot come.
			if arrived := w.take(done.Tag); arrived != nil {
				arrived <- done
			}
		}
		if err != nil || failure != nil {
			w.ended(from)
			return
		}
	}
}

// No result comes from this queue any more. If it was closed, nobody uses it. Otherwise the system failed: all who wait are told so, the
// next call opens another queue, and this one stays, because a call may be about to begin with it.
func (w *waiting) ended(from *reader) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.reader != from {
		from.queue.Release()
		return
	}
	for _, arrived := range w.pending {
		arrived <- native.Completion{Failure: &native.Failure{
			Name: string(ErrInternal), Outcome: string(Unknown), Message: "The system failed while the result was waited for.",
			Hint: "Look the transaction up, unless repeating it does no harm.",
		}}
	}
	w.reader = nil
	w.pending = nil
}

func noDescriptor(err error) *native.Failure {
	return &native.Failure{
		Name: string(ErrInternal), Outcome: string(NotSent),
		Message: "The system gave no descriptor to wait with.", Hint: "Look at the limits of this process: " + err.Error() + ".",
	}
}
