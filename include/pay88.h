/*
 * pay88: the client for the payment provider 88Pay.
 *
 * It holds 88Pay's short-lived token (one for all processes of a user on a host, renewed before its end, within the
 * limits of 10 a minute and 100 an hour) and makes authenticated calls that are never charged twice.
 *
 * The grammar
 *   Functions     pay88_<type>_<verb>. Types are opaque handles.
 *   Ownership     What a function gives through an out parameter, returns as a handle or passes to a callback belongs to
 *                 the caller, who releases it with pay88_<type>_release(): NULL is allowed, it never blocks and does no
 *                 I/O. A handle that was released must not be used. Handles do not depend on each other: they may be
 *                 released in any order.
 *   Failure       A function that can fail returns a pay88_status, 0 if it worked. Its last parameter error may be NULL;
 *                 else *error gets an owned error if it failed. Out parameters, error included, are written only
 *                 when they have something to say: results on success, the error on failure.
 *                 All others return a neutral value for NULL: 0, false, empty, NULL, or what their text says.
 *   Text in       A pointer to UTF-8 and its length in bytes; NULL with length 0 is empty. No NUL is needed. The library
 *                 copies what it keeps. Lengths above the limit given at a function are PAY88_CONFIG_INVALID.
 *   Text out      A pay88_str or pay88_bytes lent by a handle, valid until that is released.
 *   Times         In milliseconds, at most 3600000 (an hour); 0 is the default of the place.
 *   Threads       Any function may be called by any thread. Handles may be used by many threads at once, except that
 *                 nobody else uses a pay88_config or pay88_request while it is changed, or any handle while it is released.
 *   Stack         A thread that calls the library needs 256 KiB of stack for it (a call that makes a TLS connection; a build without
 *                 optimisation was measured to use up to 149). An interrupt callback needs its own beside that. Callbacks of
 *                 asynchronous calls run on a stack of 512 KiB and may use 256 of them.
 *   Cancellation  A thread may be canceled by pthread_cancel() while it is inside of the library, which turns cancellation
 *                 off there, also while an interrupt callback runs. The call ends as ever, and the thread at its next
 *                 cancellation point after it. To end the call itself let the interrupt callback say so. The thread's type of
 *                 cancellation must be PTHREAD_CANCEL_DEFERRED, the default.
 *   Signals       The library installs no handler, raises no SIGPIPE and goes on after EINTR; its threads block all
 *                 signals.
 *   fork          Parent and child both go on, whatever other threads are at. The child may use the handles that it
 *                 inherited, on connections and threads of its own, but for pay88_call and pay88_events, which are the
 *                 parent's: asynchronous calls begun before the fork end there, and their callbacks and destroy
 *                 functions run there alone. What the child builds belongs to another manager than what it inherited;
 *                 with the option share at its default both have the same token.
 *                 The program's own code may fork where the library runs it. A blocking call whose interrupt callback forks
 *                 goes on in the parent; in the child it ends with PAY88_FORKED. A callback or destroy function may fork,
 *                 too: the child should call exec or _exit there. If it returns, its thread waits for ever and nothing of
 *                 the parent's calls is repeated.
 *   Exit          The program may exit at any moment with calls pending. The library cannot be unloaded.
 *   Output        Nothing is ever printed. Errors, events and statistics hold no secret.
 *
 * An example
 *   pay88_config *config = pay88_config_new();               // EIGHTY_EIGHT_PAY_API_KEY, ..._MERCHANT_ID, ..._BASE_URL
 *   pay88_manager *manager = NULL;
 *   pay88_error *error = NULL;
 *   if (pay88_manager_new(config, &manager, &error) != PAY88_OK)
 *       fprintf(stderr, "%s\n%s\n", pay88_error_message(error).data, pay88_error_hint(error).data);
 */

#ifndef PAY88_H
#define PAY88_H

/* Made from the sources of pay88-c by `cargo run -p pay88-header`; not to be edited. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For printf("%.*s", PAY88_STR(text)); text is evaluated twice. */
#define PAY88_STR(text) (int)(text).len, (text).data

// The major and minor version of this header, for comparison with pay88_abi_version(). A new minor version adds to the
// one before; a new major version has another soname.
#define PAY88_ABI_VERSION 65536

// What became of a call. Numbers are never reused; groups: 1xx the caller's input, 2xx the token endpoint, 3xx the way
// there, 4xx answers, 9xx the library. Later releases may add some.
typedef enum pay88_status {
  // It worked.
  PAY88_OK = 0,
  // An option, credential or argument cannot be used; nothing was sent.
  PAY88_CONFIG_INVALID = 101,
  // An endpoint or header would endanger the token; nothing was sent.
  PAY88_REFUSED = 102,
  // The token endpoint answered 401: wrong API key or merchant ID.
  PAY88_CREDENTIALS_REJECTED = 201,
  // The token endpoint answered 403: account or address not allowed.
  PAY88_ACCESS_DENIED = 202,
  // No token may be asked for now: the token endpoint answered 429, or the local budget is used up.
  PAY88_RATE_LIMITED = 203,
  // The deadline passed.
  PAY88_TIMEOUT = 301,
  // The caller gave up, or the manager was closed while the call was pending.
  PAY88_CANCELED = 302,
  // No connection could be had, or it was cut.
  PAY88_CONNECTION_FAILED = 303,
  // TLS could not be agreed, or the certificate was not accepted.
  PAY88_TLS_FAILED = 304,
  // The answer is not what the API documents, was cut, or is too large.
  PAY88_BAD_RESPONSE = 401,
  // An HTTP status of 400 or above, where the caller asked for an error.
  PAY88_HTTP_ERROR = 402,
  // A fault of the library, to be reported, or of its host (no thread, descriptor or memory): the hint says which.
  PAY88_INTERNAL = 901,
  // The call was begun before a fork, in the parent process.
  PAY88_FORKED = 902,
} pay88_status;

// Whether the request of a failed call can have reached 88Pay.
typedef enum pay88_outcome {
  // Nothing of the request was written to the network: it is safe to repeat.
  PAY88_OUTCOME_NOT_SENT = 0,
  // Bytes were written and no complete answer came: look the transaction up, do not repeat it.
  PAY88_OUTCOME_UNKNOWN = 1,
  // A complete answer came.
  PAY88_OUTCOME_ANSWERED = 2,
} pay88_outcome;

// An asynchronous call, by which it can be canceled. May be used by any number of threads at once.
typedef struct pay88_call pay88_call;

// Options by name. To be used by one thread at a time.
typedef struct pay88_config pay88_config;

// What went wrong. Never changes; may be read and released by any thread.
typedef struct pay88_error pay88_error;

// Something that happened. Never changes; may be read and released by any thread.
typedef struct pay88_event pay88_event;

// A queue of the events of all managers of this process. May be used by several threads at once: each event goes to one
// of them.
typedef struct pay88_events pay88_events;

// A handle of the manager of one set of credentials. Handles built from the same credentials share one manager in the
// process, and so one token. May be used by any number of threads at once.
typedef struct pay88_manager pay88_manager;

// A call of 88Pay's API. May be sent several times, by several threads at once, as long as none changes it.
typedef struct pay88_request pay88_request;

// An answer of any HTTP status. Never changes; may be read and released by any thread.
typedef struct pay88_response pay88_response;

// What a manager had done at one moment. Never changes; may be read and released by any thread.
typedef struct pay88_stats pay88_stats;

// An access token and its session ID, which go together. Never changes; may be read and released by any thread. Stays
// readable after its end. Its memory is zeroed when its last handle is released and the manager has a newer one.
typedef struct pay88_token pay88_token;

// Gets the token with PAY88_OK, else the error; the other one is NULL. The callback owns what it gets and releases it.
//
// It is called exactly once, on a thread of the library with all signals blocked, after *call was written, also when the
// call was canceled, the manager closed, or the library failed. It may call any function of this library, also cancel and
// release its own call. It should be quick, since one thread serves all calls. It must return: no longjmp, no C++
// exception, no pthread_exit.
//
// It may fork. The child should call exec or _exit, and may use this library before, as any child may. If the child returns
// from the callback, it runs nothing of its parent's calls: no destroy, no other callback, nothing is sent. Its thread, the
// only one that it has of its parent's, waits for ever with all signals blocked. The same holds for pay88_destroy.
typedef void (*pay88_token_callback)(void *user_data,
                                     enum pay88_status status,
                                     struct pay88_token *token,
                                     struct pay88_error *error);

// Called once with the user_data, when the library will not use it any more: after the callback, on the same thread; or
// before the function returns that could not start the call. May be NULL.
typedef void (*pay88_destroy)(void *user_data);

// Gets the response with PAY88_OK, else the error; all else as for pay88_token_callback.
typedef void (*pay88_response_callback)(void *user_data,
                                        enum pay88_status status,
                                        struct pay88_response *response,
                                        struct pay88_error *error);

// Borrowed UTF-8 text, valid as long as the handle that it was read from; texts that belong to no handle are valid for
// ever. `data` is never NULL. Only where a function says so is the text followed by a NUL, which `len` does not count.
// Print it with `printf("%.*s", PAY88_STR(text))`.
typedef struct pay88_str {
  // The first byte.
  const char *data;
  // The number of bytes.
  size_t len;
} pay88_str;

// Asked on the caller's thread at least every 50 ms while a call waits, with nothing locked; anything but 0 ends the call
// with PAY88_CANCELED, and is said once: it is not asked again. It may call this library. It must return: no longjmp, no C++
// exception, no pthread_exit. Cancellation of the thread is off meanwhile. It may fork: the call goes on in the parent, and
// ends in the child with PAY88_FORKED as soon as the interrupt has returned there.
typedef int (*pay88_interrupt)(void *interrupt_data);

// Borrowed bytes, valid as long as the handle that they were read from. `data` is never NULL. Not followed by a NUL.
typedef struct pay88_bytes {
  // The first byte.
  const uint8_t *data;
  // The number of bytes.
  size_t len;
} pay88_bytes;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the ABI: major in the upper, minor in the lower 16 bits. A program built with this header works with a
// library whose major version is equal and whose minor version is not less.
uint32_t pay88_abi_version(void);

// The version of the library, such as "0.1.0". Followed by a NUL, valid for ever.
const char *pay88_version(void);

// As pay88_manager_get_token(), without waiting: the result goes to the callback. *call gets a handle to cancel it with,
// to be released with pay88_call_release(); call may be NULL.
//
// Errors: PAY88_CONFIG_INVALID for a closed handle, a time out of range, NULL; PAY88_INTERNAL if no thread can be had. The
// callback is not called then, but destroy is.
enum pay88_status pay88_manager_get_token_async(const struct pay88_manager *manager,
                                                uint64_t timeout_ms,
                                                pay88_token_callback callback,
                                                void *user_data,
                                                pay88_destroy destroy,
                                                struct pay88_call **call,
                                                struct pay88_error **error);

// As pay88_manager_send(), without waiting: the result goes to the callback. The request stays the caller's and may be
// changed or released at once. *call gets a handle to cancel it with, to be released with pay88_call_release(); call may
// be NULL.
//
// Errors: what can be said before anything is sent, and PAY88_INTERNAL if no thread can be had. The callback is not
// called then, but destroy is.
enum pay88_status pay88_manager_send_async(const struct pay88_manager *manager,
                                           const struct pay88_request *request,
                                           pay88_response_callback callback,
                                           void *user_data,
                                           pay88_destroy destroy,
                                           struct pay88_call **call,
                                           struct pay88_error **error);

// Ends the call soon with PAY88_CANCELED, unless its result is there already. Never waits. May be called at any time and
// more than once, also in the callback. NULL is allowed.
void pay88_call_cancel(const struct pay88_call *call);

// Releases the handle; the call itself goes on. May be called in the callback. NULL is allowed.
void pay88_call_release(struct pay88_call *call);

// A configuration with nothing set: every option comes from its environment variable, EIGHTY_EIGHT_PAY_ and its name in
// capitals, else it has its default. The environment is read when a manager is built. Release it with
// pay88_config_release().
struct pay88_config *pay88_config_new(void);

// As pay88_config_new(), but the environment is not looked at: neither for options nor for HTTPS_PROXY and its like,
// SSL_CERT_FILE, SSL_CERT_DIR and XDG_RUNTIME_DIR.
struct pay88_config *pay88_config_new_without_environment(void);

// Sets an option; see pay88_option_name() for the names. The value is text, as in the environment variable ("2.5" for
// seconds), and is copied. It is checked when a manager is built.
//
// Limits: name 256 bytes, value 64 KiB.
// Errors: PAY88_CONFIG_INVALID for an unknown name, text that is no UTF-8, NULL.
enum pay88_status pay88_config_set(struct pay88_config *config,
                                   const char *name,
                                   size_t name_len,
                                   const char *value,
                                   size_t value_len,
                                   struct pay88_error **error);

// Gives an environment variable as it is to be read in place of the process's own, for a program whose environment is not
// that of its process, such as a worker or a test that has one of its own. Begin with
// pay88_config_new_without_environment(): what is not given counts as unset. Both texts are copied. Names that the library
// does not read are ignored, so that a whole environment can be given; so is all of it in a program that runs with rights
// which its user does not have.
//
// Limits: name 1 MiB, value 1 MiB, which is more than an environment can hold.
// Errors: PAY88_CONFIG_INVALID for text that is too long or no UTF-8, NULL.
enum pay88_status pay88_config_set_variable(struct pay88_config *config,
                                            const char *name,
                                            size_t name_len,
                                            const char *value,
                                            size_t value_len,
                                            struct pay88_error **error);

// Releases it. Managers built from it live on. NULL is allowed.
void pay88_config_release(struct pay88_config *config);

// The status, for programs. PAY88_OK for NULL.
enum pay88_status pay88_error_status(const struct pay88_error *error);

// The name of the status, such as "rate_limited". Followed by a NUL.
struct pay88_str pay88_error_name(const struct pay88_error *error);

// What happened. Followed by a NUL. Holds no secret.
struct pay88_str pay88_error_message(const struct pay88_error *error);

// What to do about it. Followed by a NUL.
struct pay88_str pay88_error_hint(const struct pay88_error *error);

// The HTTP status that caused it; 0 if no answer did.
uint16_t pay88_error_http_status(const struct pay88_error *error);

// How many milliseconds to wait before the next try makes sense, rounded up; -1 if that is not known.
int64_t pay88_error_retry_after_ms(const struct pay88_error *error);

// Whether the same call may be tried again later and can then succeed. Never true with PAY88_OUTCOME_UNKNOWN, unless the
// request was marked safe to repeat.
bool pay88_error_retryable(const struct pay88_error *error);

// Whether the request can have reached 88Pay. PAY88_OUTCOME_UNKNOWN for NULL.
enum pay88_outcome pay88_error_outcome(const struct pay88_error *error);

// The number of the token refresh that failed, counted from 1 in each manager; 0 if it was none. All who waited for one
// refresh get the same number.
uint64_t pay88_error_attempt(const struct pay88_error *error);

// Releases it. NULL is allowed.
void pay88_error_release(struct pay88_error *error);

// The number of kinds of events.
size_t pay88_event_kind_count(void);

// The name of the kind at an index below pay88_event_kind_count(); empty above it. Valid for ever.
struct pay88_str pay88_event_kind_name(size_t index);

// When the kind at an index happens, and its fields. Valid for ever.
struct pay88_str pay88_event_kind_summary(size_t index);

// Subscribes to all events from now on. At most capacity of them wait; what comes while the queue is full is dropped, and
// an event "events_dropped" says how many. Release it with pay88_events_release().
//
// Limits: capacity 1 to 1000000.
// Errors: PAY88_CONFIG_INVALID for another capacity and NULL.
enum pay88_status pay88_events_open(size_t capacity,
                                    struct pay88_events **events,
                                    struct pay88_error **error);

// The next event, waiting for it at most timeout_ms (0: not at all; at most 3600000). If none came, the result is PAY88_OK
// and *event is NULL. Release the event with pay88_event_release().
//
// Errors: PAY88_CONFIG_INVALID for a time out of range and NULL.
enum pay88_status pay88_events_next(const struct pay88_events *events,
                                    uint64_t timeout_ms,
                                    struct pay88_event **event,
                                    struct pay88_error **error);

// Ends the subscription. NULL is allowed.
void pay88_events_release(struct pay88_events *events);

// The name, such as "token_issued". Valid for ever.
struct pay88_str pay88_event_name(const struct pay88_event *event);

// When it happened, in milliseconds since 1970.
uint64_t pay88_event_time(const struct pay88_event *event);

// In which manager; see pay88_manager_id(). 0 for events of the queue itself.
uint64_t pay88_event_manager_id(const struct pay88_event *event);

// The whole event: {"name":...,"level":"info" or "warning","time":...,"manager_id":...,"fields":{...}}. Followed by a NUL.
// Holds no secret.
struct pay88_str pay88_event_json(const struct pay88_event *event);

// Releases it. NULL is allowed.
void pay88_event_release(struct pay88_event *event);

// Builds a manager, or finds the one of these credentials that the process has already. Sends nothing. The configuration
// stays the caller's. Release the manager with pay88_manager_release().
//
// Errors: PAY88_CONFIG_INVALID with the option that cannot be used, and NULL.
enum pay88_status pay88_manager_new(const struct pay88_config *config,
                                    struct pay88_manager **manager,
                                    struct pay88_error **error);

// Closes this handle: pending calls end with PAY88_CANCELED, later ones with PAY88_CONFIG_INVALID. Other handles of the
// same manager go on; after the last one a manager of these credentials may have other options. Never waits. May be called
// while other threads use the handle, and more than once.
void pay88_manager_close(const struct pay88_manager *manager);

// Whether it was closed. True for NULL.
bool pay88_manager_is_closed(const struct pay88_manager *manager);

// Releases the handle, which no thread may be using. Asynchronous calls that are pending go on; to end them, close it
// before. The manager is kept for 10 minutes, should one with the same credentials be built again. NULL is allowed.
void pay88_manager_release(struct pay88_manager *manager);

// The number of the manager behind the handle, from 1: equal numbers mean the same manager of this process. 0 for NULL.
uint64_t pay88_manager_id(const struct pay88_manager *manager);

// The normalised base URL. Not followed by a NUL.
struct pay88_str pay88_manager_base_url(const struct pay88_manager *manager);

// The merchant ID. Not followed by a NUL.
struct pay88_str pay88_manager_merchant_id(const struct pay88_manager *manager);

// How many milliseconds a call of the handle may take unless it says otherwise: the option "timeout", rounded up. 0 for
// NULL.
uint64_t pay88_manager_timeout_ms(const struct pay88_manager *manager);

// The token: the cached one at once, else it waits for a new one, at most timeout_ms (0: the option "timeout"; at most
// 3600000). However many threads wait, one token is asked for. interrupt may be NULL. Release the token with
// pay88_token_release().
//
// Errors: PAY88_CREDENTIALS_REJECTED, PAY88_ACCESS_DENIED, PAY88_RATE_LIMITED, PAY88_TIMEOUT, PAY88_CANCELED,
// PAY88_CONNECTION_FAILED, PAY88_TLS_FAILED, PAY88_BAD_RESPONSE, PAY88_CONFIG_INVALID. The outcome is always
// PAY88_OUTCOME_NOT_SENT.
enum pay88_status pay88_manager_get_token(const struct pay88_manager *manager,
                                          uint64_t timeout_ms,
                                          pay88_interrupt interrupt,
                                          void *interrupt_data,
                                          struct pay88_token **token,
                                          struct pay88_error **error);

// The number of the token that pay88_manager_get_token() would give at once, as pay88_token_generation() tells it; 0 if it
// would have to wait or fail. Counts as use, for which the token is renewed ahead of its end. For programs that keep the
// token: as long as the number is the same, so is the token.
uint64_t pay88_manager_current(const struct pay88_manager *manager);

// The cached token; *token is NULL if there is none that is valid. Never waits and never asks for one. Release the token
// with pay88_token_release().
//
// Errors: PAY88_CONFIG_INVALID for a closed handle and NULL.
enum pay88_status pay88_manager_peek_token(const struct pay88_manager *manager,
                                           struct pay88_token **token,
                                           struct pay88_error **error);

// Makes an authenticated call on this thread. An answer of any HTTP status is PAY88_OK. interrupt may be NULL. The request
// stays the caller's. Release the response with pay88_response_release().
//
// Errors: any; pay88_error_outcome() says whether the request can have reached 88Pay.
enum pay88_status pay88_manager_send(const struct pay88_manager *manager,
                                     const struct pay88_request *request,
                                     pay88_interrupt interrupt,
                                     void *interrupt_data,
                                     struct pay88_response **response,
                                     struct pay88_error **error);

// Drops the cached token if it is this one, or whichever it is if token is NULL; for example when another program has
// revoked it. *dropped, which may be NULL, says whether there was one.
//
// Errors: PAY88_RATE_LIMITED if tokens were dropped too often lately (one per 10 s, 20 an hour), the token stays then;
// PAY88_CONFIG_INVALID.
enum pay88_status pay88_manager_invalidate(const struct pay88_manager *manager,
                                           const struct pay88_token *token,
                                           bool *dropped,
                                           struct pay88_error **error);

// Replaces the API key, for all handles of this manager. With keep_old, anything but 0, the old key is used for up to 24
// hours while 88Pay does not accept the new one. Tokens that were handed out live on.
//
// Limits: key 64 KiB.
// Errors: PAY88_CONFIG_INVALID if the key cannot be used, or another manager of this process has it.
enum pay88_status pay88_manager_rotate(const struct pay88_manager *manager,
                                       const char *api_key,
                                       size_t api_key_len,
                                       int keep_old,
                                       struct pay88_error **error);

// What the manager has done so far. Works on a closed handle too. Release it with pay88_stats_release().
//
// Errors: PAY88_CONFIG_INVALID for NULL.
enum pay88_status pay88_manager_stats(const struct pay88_manager *manager,
                                      struct pay88_stats **stats,
                                      struct pay88_error **error);

// The number of options.
size_t pay88_option_count(void);

// The name of the option at an index below pay88_option_count(), for pay88_config_set(); empty above it. Valid for ever.
struct pay88_str pay88_option_name(size_t index);

// How the text of the option is read: "text", "secret", "seconds", "count", "bytes" or "path"; later releases may add
// some. Valid for ever.
struct pay88_str pay88_option_kind(size_t index);

// What holds when the option is set nowhere, in words where there is no value. Valid for ever.
struct pay88_str pay88_option_default(size_t index);

// What the option does. Valid for ever.
struct pay88_str pay88_option_summary(size_t index);

// A request of any method and of any path below the base URL, such as "/api/balance?id=MCH-COL-29ZTP4". Release it with
// pay88_request_release().
//
// Limits: method 256 bytes, endpoint 64 KiB; what 88Pay takes is checked when it is sent.
// Errors: PAY88_CONFIG_INVALID for text that is no UTF-8 and NULL.
enum pay88_status pay88_request_new(const char *method,
                                    size_t method_len,
                                    const char *endpoint,
                                    size_t endpoint_len,
                                    struct pay88_request **request,
                                    struct pay88_error **error);

// Adds a header. Those of the credential and of the connection are refused when the request is sent.
//
// Limits: name 256 bytes, value 64 KiB.
// Errors: PAY88_CONFIG_INVALID for text that is no UTF-8 and NULL.
enum pay88_status pay88_request_add_header(struct pay88_request *request,
                                           const char *name,
                                           size_t name_len,
                                           const char *value,
                                           size_t value_len,
                                           struct pay88_error **error);

// Adds a parameter to the query; it is percent-encoded.
//
// Limits: name 256 bytes, value 64 KiB.
// Errors: PAY88_CONFIG_INVALID for text that is no UTF-8 and NULL.
enum pay88_status pay88_request_add_param(struct pay88_request *request,
                                          const char *name,
                                          size_t name_len,
                                          const char *value,
                                          size_t value_len,
                                          struct pay88_error **error);

// Sets the body, any bytes; they are copied. "Content-Type: application/json" is sent unless a header says otherwise.
//
// Limits: 64 MiB.
// Errors: PAY88_CONFIG_INVALID for a longer one and NULL.
enum pay88_status pay88_request_set_body(struct pay88_request *request,
                                         const uint8_t *body,
                                         size_t body_len,
                                         struct pay88_error **error);

// Sets how long the call may take in all, waiting for a token included: 1 to 3600000 ms. Without it, or with 0, it is the
// manager's option "timeout".
//
// Errors: PAY88_CONFIG_INVALID for a value out of range and NULL.
enum pay88_status pay88_request_set_timeout_ms(struct pay88_request *request,
                                               uint64_t timeout_ms,
                                               struct pay88_error **error);

// Says, with anything but 0, that sending it twice does no harm, so that it is repeated after a fault. GET, HEAD, OPTIONS
// and POST /api/balance need no mark; a charge must not have it.
//
// Errors: PAY88_CONFIG_INVALID for NULL.
enum pay88_status pay88_request_set_safe_to_repeat(struct pay88_request *request,
                                                   int safe,
                                                   struct pay88_error **error);

// Releases it, also while calls with it are pending. NULL is allowed.
void pay88_request_release(struct pay88_request *request);

// The HTTP status; 0 for NULL.
uint16_t pay88_response_status(const struct pay88_response *response);

// The body, as it is. Not followed by a NUL.
struct pay88_bytes pay88_response_body(const struct pay88_response *response);

// The value of the first header of that name, in any case of letters; empty if there is none. Not followed by a NUL.
struct pay88_bytes pay88_response_header(const struct pay88_response *response,
                                         const char *name,
                                         size_t name_len);

// The number of headers.
size_t pay88_response_header_count(const struct pay88_response *response);

// The name of the header at an index below pay88_response_header_count(), in lower case; empty above it. Headers of one
// name stand together. Not followed by a NUL.
struct pay88_str pay88_response_header_name(const struct pay88_response *response,
                                            size_t index);

// The value of the header at an index below pay88_response_header_count(); empty above it. Not followed by a NUL.
struct pay88_bytes pay88_response_header_value(const struct pay88_response *response,
                                               size_t index);

// PAY88_OK if the HTTP status is below 400, else PAY88_HTTP_ERROR with the status and the message of the answer.
enum pay88_status pay88_response_error_for_status(const struct pay88_response *response,
                                                  struct pay88_error **error);

// Releases it. NULL is allowed.
void pay88_response_release(struct pay88_response *response);

// One number by its name: "manager_id", "hits" (cached tokens handed out), "waits" (callers that had to wait for one),
// "refreshes", "tokens_issued", "tokens_shared" (taken over from other processes), "refreshes_failed", "calls",
// "calls_repeated", "calls_failed" (that ended without an answer), "calls_answered_401", "calls_answered_403",
// "calls_answered_404", "calls_answered_422", "calls_answered_429" (that ended with that status), "calls_answered_4xx" and
// "calls_answered_5xx" (with any of 400 to 499, or of 500 and above), "generation" (of the token that is kept; 0 if none
// is), "token_age" (seconds since it was asked for, by whichever process; NaN if none is), "token_valid_for" (seconds),
// "budget_left_minute",
// "budget_left_hour" (tokens that may still be asked for), "budget_split" (hosts among which what was left of them is
// split, while no store can be used; else 1), "hosts" (that share the token, as far as this one knows; 0 without a
// store). Later releases may add some. NaN for a name that is none.
double pay88_stats_value(const struct pay88_stats *stats,
                         const char *name,
                         size_t name_len);

// All of them as a JSON object, and: "hold", the remembered failure of the token endpoint: null, or an object with its
// "class" and the seconds "left"; "share": who shares the token, "process", "host" or "fleet"; "share_path", the file in
// which the host does, and "share_degraded", why it cannot; "store", the fleet's store that was used last, and
// "store_degraded", why none can be used; each of these four is a text or null. Followed by a NUL. Holds no secret.
struct pay88_str pay88_stats_json(const struct pay88_stats *stats);

// Releases it. NULL is allowed.
void pay88_stats_release(struct pay88_stats *stats);

// The number of statuses, PAY88_OK not counted.
size_t pay88_status_count(void);

// The status at an index below pay88_status_count(), in the order of their numbers; 0 above it.
enum pay88_status pay88_status_at(size_t index);

// The name that all languages use, such as "rate_limited"; "ok" for 0, empty for a number that is none. Valid for ever.
struct pay88_str pay88_status_name(int status);

// One sentence that says when it is used; empty for a number that is none. Valid for ever.
struct pay88_str pay88_status_summary(int status);

// "not_sent", "unknown" or "answered"; empty for a number that is none. Valid for ever.
struct pay88_str pay88_outcome_name(int outcome);

// The access token, for "Authorization: Bearer ...". A secret. Not followed by a NUL.
struct pay88_str pay88_token_access_token(const struct pay88_token *token);

// The session ID, for "x-session-id". A secret. Not followed by a NUL.
struct pay88_str pay88_token_session_id(const struct pay88_token *token);

// The life in seconds that 88Pay gave it, counted on 88Pay's side.
uint64_t pay88_token_expires_in(const struct pay88_token *token);

// How many milliseconds the library will still hand it out; 0 when that is over.
uint64_t pay88_token_valid_for_ms(const struct pay88_token *token);

// Its number: the tokens of a manager are counted from 1.
uint64_t pay88_token_generation(const struct pay88_token *token);

// Another handle of the same token, to be released by itself. NULL for NULL.
struct pay88_token *pay88_token_retain(const struct pay88_token *token);

// Releases it. NULL is allowed.
void pay88_token_release(struct pay88_token *token);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PAY88_H */
