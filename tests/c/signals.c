/* SIGPIPE at its default and a timer that interrupts every 5 ms, while the server closes in every phase. */
#define _DEFAULT_SOURCE
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t ticks;

static void tick(int signal) {
    (void)signal;
    ticks++;
}

/* A blocking call, or an asynchronous one that is waited for. */
static void send_one(pay88_manager *manager, pay88_request *request, int blocking, struct tally *tally) {
    tally_init(tally);
    if (blocking) {
        pay88_response *response = NULL;
        pay88_error *error = NULL;
        pay88_status status = pay88_manager_send(manager, request, NULL, NULL, &response, &error);
        tally_response(tally, status, response, error);
    } else {
        OK(pay88_manager_send_async(manager, request, tally_response, tally, tally_destroy, NULL, &error));
        tally_wait(tally, 1, 60000);
    }
    CHECK(tally->called == 1);
}

/* --- The sandbox's faults, over TLS ------------------------------------------------------------------------------ */

struct phase {
    const char *action;
    pay88_status status;
    /* Whether bytes of the request are written before the connection ends; -1 where that is a race. */
    int sent;
};

static const struct phase PHASES[] = {
    {"\"cut_handshake\"", PAY88_CONNECTION_FAILED, 0},
    {"\"alert_handshake\"", PAY88_TLS_FAILED, 0},
    {"\"cut_before_request\"", PAY88_CONNECTION_FAILED, -1},
    {"\"cut_after_request\"", PAY88_CONNECTION_FAILED, 1},
    {"\"cut_before_answer\"", PAY88_CONNECTION_FAILED, 1},
    {"\"cut_in_head\"", PAY88_CONNECTION_FAILED, 1},
    {"\"cut_in_body\"", PAY88_BAD_RESPONSE, 1},
    {"\"garbage\"", PAY88_BAD_RESPONSE, 1},
};
#define PHASE_COUNT (sizeof PHASES / sizeof *PHASES)

static void play(const char *on, const char *action) {
    char json[200];
    snprintf(json, sizeof json, "{\"on\":\"%s\",\"times\":null,\"action\":%s}", on, action);
    fault(json);
}

static void a_charge_is_cut_in_every_phase(int blocking) {
    struct tally tally;
    pay88_manager *manager = NULL;
    pay88_config *config = fresh_config();
    pay88_request *request = charge_request();
    /* Each call on a connection of its own, so that faults of the connection meet it. */
    set(config, "idle_timeout", "0");
    OK(pay88_manager_new(config, &manager, &error));
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        const struct phase *phase = &PHASES[i];
        send_one(manager, request, blocking, &tally);
        CHECK(tally.ok == 1);
        long before = counter("charges_created");
        play("calls", phase->action);
        send_one(manager, request, blocking, &tally);
        free(control("DELETE", "/faults", NULL));
        printf("  charge, %s, %s: %.*s, %.*s\n", blocking ? "blocking" : "asynchronous", phase->action,
               PAY88_STR(pay88_status_name((int)tally.status)), PAY88_STR(pay88_outcome_name((int)tally.outcome)));
        CHECK(tally.status == phase->status);
        CHECK(phase->sent < 0 ||
              tally.outcome == (phase->sent ? PAY88_OUTCOME_UNKNOWN : PAY88_OUTCOME_NOT_SENT));
        CHECK(counter("charges_created") - before <= (phase->sent != 0));
    }
    send_one(manager, request, blocking, &tally);
    CHECK(tally.ok == 1);
    pay88_request_release(request);
    pay88_config_release(config);
    pay88_manager_release(manager);
}

/* Gives a manager its token. Token requests of all managers share kept connections; this one leaves none. */
static void keep_no_connection(pay88_manager *manager) {
    pay88_token *token = NULL;
    play("token", "{\"close_after_answer\":{\"announced\":true}}");
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &token, &error));
    free(control("DELETE", "/faults", NULL));
    pay88_token_release(token);
}

static void a_token_request_is_cut_in_every_phase(int blocking) {
    struct tally tally;
    pay88_request *request = charge_request();
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        const struct phase *phase = &PHASES[i];
        pay88_manager *manager = NULL;
        pay88_config *config = fresh_config();
        set(config, "idle_timeout", "0");
        OK(pay88_manager_new(config, &manager, &error));
        /* So that faults of the connection meet the next token request. */
        pay88_manager *other = fresh_manager();
        keep_no_connection(other);
        pay88_manager_release(other);
        long before = counter("charges_created");
        play("token", phase->action);
        send_one(manager, request, blocking, &tally);
        free(control("DELETE", "/faults", NULL));
        printf("  token, %s, %s: %.*s\n", blocking ? "blocking" : "asynchronous", phase->action,
               PAY88_STR(pay88_status_name((int)tally.status)));
        CHECK(tally.status == phase->status);
        CHECK(tally.outcome == PAY88_OUTCOME_NOT_SENT);
        CHECK(counter("charges_created") == before);
        pay88_config_release(config);
        pay88_manager_release(manager);
    }
    pay88_request_release(request);
}

/* Waits until the sandbox has closed all connections: a request that meets the close itself may have been processed. */
static void no_connection_is_left(void) {
    for (unsigned long end = millis() + 30000; counter("connections_open") > 0;) {
        CHECK(millis() < end);
        sleep_ms(5);
    }
}

static void a_kept_connection_that_the_server_closed_costs_nothing(int blocking) {
    struct tally tally;
    pay88_manager *manager = fresh_manager();
    pay88_request *request = charge_request();
    keep_no_connection(manager);
    no_connection_is_left();
    long before = counter("charges_created");
    play("calls", "{\"close_after_answer\":{\"announced\":false}}");
    for (int i = 0; i < 10; i++) {
        send_one(manager, request, blocking, &tally);
        CHECK(tally.ok == 1);
        no_connection_is_left();
    }
    free(control("DELETE", "/faults", NULL));
    CHECK(counter("charges_created") - before == 10);
    pay88_request_release(request);
    pay88_manager_release(manager);
}

/* --- A server of its own, which closes while a large body is on its way ------------------------------------------ */

static atomic_size_t close_after; /* bytes of a call that are read before the connection is closed */

static void *closes(void *data) {
    static const char TOKEN[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 114\r\n\r\n"
        "{\"status\":\"Success\",\"code\":200,\"data\":{\"access_token\":\"test.of.signals\",\"expires_in\":60,\"session_id\":\"sess_1234\"}}";
    int listener = *(int *)data;
    for (;;) {
        char buffer[4096];
        size_t have = 0;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 && errno == EINTR)
            continue;
        if (fd < 0)
            return NULL;
        /* The first byte tells nothing yet; "POST /api/a" is a token request, "POST /api/t" a charge. */
        int token = 0;
        while (have < 11 || (!token && have < atomic_load(&close_after))) {
            ssize_t n = recv(fd, buffer + (have < 11 ? have : 11), have < 11 ? 11 - have : sizeof buffer - 11, 0);
            if (n <= 0 && !(n < 0 && errno == EINTR))
                break;
            have += n > 0 ? (size_t)n : 0;
            token = have >= 11 && buffer[10] == 'a';
            if (token)
                break;
            if (have > 0 && atomic_load(&close_after) < 11)
                break;
        }
        if (token) {
            while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
            }
            send(fd, TOKEN, sizeof TOKEN - 1, MSG_NOSIGNAL);
            shutdown(fd, SHUT_WR);
            while (recv(fd, buffer, sizeof buffer, 0) > 0) {
            }
        }
        close(fd);
    }
}

static void an_upload_is_cut_wherever_the_server_likes(int blocking) {
    static const size_t PLACES[] = {1, 12, 200, 1000, 5000, 100000, 1000000, 3000000};
    static int listener;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    pthread_t server;
    char url[64];
    size_t size = 4000000;
    char *body = malloc(size);
    CHECK(body != NULL);
    memset(body, ' ', size);

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(listener, 64) == 0 && getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    CHECK(pthread_create(&server, NULL, closes, &listener) == 0);

    pay88_manager *manager = NULL;
    pay88_config *config = fresh_config();
    snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    set(config, "base_url", url);
    OK(pay88_manager_new(config, &manager, &error));
    pay88_request *request = request_of("POST", "/api/transactions/charges", NULL);
    OK(pay88_request_set_body(request, (const uint8_t *)body, size, &error));
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
        for (int times = 0; times < 5; times++) {
            struct tally tally;
            atomic_store(&close_after, PLACES[i]);
            send_one(manager, request, blocking, &tally);
            if (tally.outcome != PAY88_OUTCOME_UNKNOWN)
                fprintf(stderr, "after %zu bytes: %s\n", PLACES[i], tally.message);
            CHECK(tally.status == PAY88_CONNECTION_FAILED);
            CHECK(tally.outcome == PAY88_OUTCOME_UNKNOWN);
        }
    shutdown(listener, SHUT_RDWR);
    pthread_join(server, NULL);
    close(listener);
    pay88_request_release(request);
    pay88_config_release(config);
    pay88_manager_release(manager);
    free(body);
}

int main(void) {
    struct sigaction interrupts = {.sa_handler = tick}, pipe;
    struct itimerval every = {{0, 5000}, {0, 5000}};
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    /* No SA_RESTART: every system call of this thread is cut short. */
    CHECK(sigaction(SIGALRM, &interrupts, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    reset();
    for (int blocking = 0; blocking < 2; blocking++) {
        a_charge_is_cut_in_every_phase(blocking);
        a_token_request_is_cut_in_every_phase(blocking);
        a_kept_connection_that_the_server_closed_costs_nothing(blocking);
        an_upload_is_cut_wherever_the_server_likes(blocking);
    }
    CHECK(ticks > 100);
    CHECK(sigaction(SIGPIPE, NULL, &pipe) == 0 && pipe.sa_handler == SIG_DFL);
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    CHECK(!sigismember(&mask, SIGPIPE) && !sigismember(&mask, SIGALRM));
    return 0;
}
