package pay88

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pay88/pay88/go/internal/native"
)

// Code is the kind of an [Error]. The codes are the same in all languages; later releases may add some. A code is an error
// itself, to be compared with:
//
//	if errors.Is(err, pay88.ErrRateLimited) { … }
type Code string

// The kinds of errors.
const (
	// An option, credential or argument cannot be used, or the manager is closed; nothing was sent.
	ErrConfigInvalid Code = "config_invalid"
	// An endpoint or header would endanger the token; nothing was sent.
	ErrRefused Code = "refused"
	// The token endpoint answered 401: wrong API key or merchant ID.
	ErrCredentialsRejected Code = "credentials_rejected"
	// The token endpoint answered 403: account or address not allowed.
	ErrAccessDenied Code = "access_denied"
	// No new token is allowed now: the token endpoint answered 429, or the limits that are counted here are used up.
	ErrRateLimited Code = "rate_limited"
	// The time limit passed before there was a result.
	ErrTimeout Code = "timeout"
	// The context was canceled, or the manager was closed while the call was pending.
	ErrCanceled Code = "canceled"
	// No connection could be made, or it was cut.
	ErrConnectionFailed Code = "connection_failed"
	// The TLS handshake failed, or the certificate was not accepted.
	ErrTLSFailed Code = "tls_failed"
	// The answer is not as 88Pay documents it, was cut, or is too large.
	ErrBadResponse Code = "bad_response"
	// The answer has an HTTP status of 400 or above, and [Response.Err] was asked.
	ErrHTTP Code = "http_error"
	// The library has a fault (please report it) or cannot be loaded, or the system gave no thread, descriptor or memory. The hint
	// says which.
	ErrInternal Code = "internal"
	// The call was begun before a fork, in the parent process.
	ErrForked Code = "forked"
)

// Error is the name of the code, so that a code can be compared with by [errors.Is].
func (c Code) Error() string { return string(c) }

// Outcome says whether the request of a failed call can have reached 88Pay.
type Outcome string

// What can have become of a request.
const (
	// Nothing was sent; it is safe to repeat.
	NotSent Outcome = "not_sent"
	// It may have arrived. Look the transaction up, do not repeat it.
	Unknown Outcome = "unknown"
	// A complete answer came.
	Answered Outcome = "answered"
)

// The outcome of an error if nothing else is known of its request.
var usualOutcomes = map[Code]Outcome{
	ErrConfigInvalid:       NotSent,
	ErrRefused:             NotSent,
	ErrCredentialsRejected: NotSent,
	ErrAccessDenied:        NotSent,
	ErrRateLimited:         NotSent,
	ErrTimeout:             Unknown,
	ErrCanceled:            Unknown,
	ErrConnectionFailed:    Unknown,
	ErrTLSFailed:           NotSent,
	ErrBadResponse:         Unknown,
	ErrHTTP:                Answered,
	ErrInternal:            Unknown,
	ErrForked:              Unknown,
}

// Error says what went wrong, and whether a request can have reached 88Pay. All errors of this package are of this type. It holds
// no secret.
//
// errors.Is compares it with a [Code], and with the cause of the context that ended the call ([context.Cause]).
type Error struct {
	// The kind of error, for programs.
	Code Code
	// Whether the request can have reached 88Pay.
	Outcome Outcome
	// What happened, for people.
	Message string
	// What to do about it, for people.
	Hint string
	// The HTTP status of the answer that caused the error; 0 if no answer did.
	HTTPStatus int
	// How long to wait before another try makes sense; 0 if that is not known.
	RetryAfter time.Duration
	// Whether you may try the same call again later and it can then succeed. Never true where the outcome is Unknown, unless the
	// request was marked as safe to repeat.
	Retryable bool
	// The number of the token request that failed; 0 if the error is not about one. All callers that waited for it get the same.
	Attempt uint64
	// The answer, if the code is ErrHTTP. It is not printed with the error.
	Response *Response `json:"-"`

	cause error
}

// NewError makes an error with what errors of this code have most often, for mocks of your tests.
func NewError(code Code, message string) *Error {
	outcome, known := usualOutcomes[code]
	if !known {
		outcome = Unknown
	}
	return &Error{Code: code, Message: message, Outcome: outcome, Retryable: outcome == NotSent && code == ErrRateLimited}
}

// Error is the code, the message and the hint.
func (e *Error) Error() string {
	message := e.Message
	if e.Hint != "" && !strings.HasSuffix(message, ".") && !strings.HasSuffix(message, "!") && !strings.HasSuffix(message, "?") {
		message += "."
	}
	return strings.TrimRight("pay88: "+string(e.Code)+": "+message+" "+e.Hint, " ")
}

// Is compares the code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// Unwrap is why the context ended, if that ended the call; or the error of loading the library, or of encoding or decoding JSON.
func (e *Error) Unwrap() error { return e.cause }

// Timeout is true if the time limit passed, as [net.Error] has it.
func (e *Error) Timeout() bool { return e.Code == ErrTimeout }

// An argument that cannot be used, found here.
func invalid(message, hint string) *Error {
	return &Error{Code: ErrConfigInvalid, Outcome: NotSent, Message: message, Hint: hint}
}

func failed(failure *native.Failure) *Error {
	err := &Error{
		Code:      Code(failure.Name),
		Outcome:   Outcome(failure.Outcome),
		Message:   failure.Message,
		Hint:      failure.Hint,
		Retryable: failure.Retryable,
	}
	if failure.HTTPStatus != nil {
		err.HTTPStatus = *failure.HTTPStatus
	}
	if failure.RetryAfterMs != nil {
		err.RetryAfter = time.Duration(*failure.RetryAfterMs) * time.Millisecond
	}
	if failure.Attempt != nil {
		err.Attempt = *failure.Attempt
	}
	return err
}

// The error of a wait that a context may have ended; nil if there is none.
func (w wait) failed(ctx context.Context, failure *native.Failure) *Error {
	if failure == nil {
		return nil
	}
	err := failed(failure)
	switch {
	case err.Code == ErrCanceled && ctx.Err() != nil:
		err.cause = context.Cause(ctx)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err.Code, err.Message = ErrTimeout, "The deadline of the context passed."
		}
	case err.Code == ErrTimeout && !w.deadline.IsZero():
		err.cause = deadlineCause(ctx)
	}
	return err
}

// The context ended before anything was begun, or its deadline is over.
func ended(ctx context.Context) *Error {
	if err := ctx.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return &Error{
			Code: ErrCanceled, Outcome: NotSent, cause: context.Cause(ctx),
			Message: "The context was canceled before the call.", Hint: "Nothing was sent.",
		}
	}
	return &Error{
		Code: ErrTimeout, Outcome: NotSent, Retryable: true, cause: deadlineCause(ctx),
		Message: "The deadline of the context had passed.", Hint: "Give the call more time.",
	}
}

// How late the timer of a context may be, on a machine that is busy.
const lateness = 10 * time.Second

// Why the deadline of the context is over.
func deadlineCause(ctx context.Context) error {
	if ctx.Done() != nil {
		select {
		case <-ctx.Done():
		case <-time.After(lateness):
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return context.DeadlineExceeded
}
