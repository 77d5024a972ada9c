/* Several copies of the library in one process, as with a plugin that brings its own: together they ask for one token. */
#define _GNU_SOURCE
#include "support.h"

#include <dlfcn.h>
#include <unistd.h>

#define COPIES 3
#define ROUNDS 4

/* What is used of a copy. */
struct copy {
    __typeof__(&pay88_config_new) config_new;
    __typeof__(&pay88_config_set) config_set;
    __typeof__(&pay88_config_release) config_release;
    __typeof__(&pay88_manager_new) manager_new;
    __typeof__(&pay88_manager_release) manager_release;
    __typeof__(&pay88_manager_get_token) get_token;
    __typeof__(&pay88_token_access_token) access_token;
    __typeof__(&pay88_token_release) token_release;
    pay88_manager *manager;
    pthread_barrier_t *start;
    char token[4096];
};

/* The library that this program is linked with, once more under another path. */
static void *another_library(void) {
    Dl_info own;
    char path[] = "/tmp/pay88-copy-XXXXXX", command[4096];
    CHECK(dladdr((void *)(size_t)&pay88_config_new, &own) != 0);
    int file = mkstemp(path);
    CHECK(file >= 0);
    close(file);
    snprintf(command, sizeof command, "cp '%s' '%s'", own.dli_fname, path);
    CHECK(system(command) == 0);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    unlink(path);
    CHECK(library != NULL);
    return library;
}

#define FIND(copy, member, name) \
    do { \
        void *found = dlsym(library, name); \
        CHECK(found != NULL); \
        memcpy(&(copy)->member, &found, sizeof found); \
    } while (0)

static void find(struct copy *copy, void *library) {
    FIND(copy, config_new, "pay88_config_new");
    FIND(copy, config_set, "pay88_config_set");
    FIND(copy, config_release, "pay88_config_release");
    FIND(copy, manager_new, "pay88_manager_new");
    FIND(copy, manager_release, "pay88_manager_release");
    FIND(copy, get_token, "pay88_manager_get_token");
    FIND(copy, access_token, "pay88_token_access_token");
    FIND(copy, token_release, "pay88_token_release");
}

static void *ask(void *data) {
    struct copy *copy = data;
    pay88_token *token = NULL;
    pthread_barrier_wait(copy->start);
    OK(copy->get_token(copy->manager, 30000, NULL, NULL, &token, &error));
    pay88_str text = copy->access_token(token);
    CHECK(text.len < sizeof copy->token);
    memcpy(copy->token, text.data, text.len);
    copy->token[text.len] = 0;
    copy->token_release(token);
    return NULL;
}

int main(void) {
    static struct copy copies[COPIES];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, COPIES);
    for (int i = 0; i < COPIES; i++) {
        find(&copies[i], i == 0 ? dlopen(NULL, RTLD_NOW) : another_library());
        copies[i].start = &start;
        for (int j = 0; j < i; j++)
            CHECK(copies[i].get_token != copies[j].get_token);
    }
    switches("{\"token_delay\": 0.3}");
    for (int round = 0; round < ROUNDS; round++) {
        char key[64], body[200];
        snprintf(key, sizeof key, "sk_test_sandbox_copies_%08x_%d", (unsigned)getpid(), round);
        snprintf(body, sizeof body, "{\"merchant_id\":\"%s\",\"key\":\"%s\"}", getenv("EIGHTY_EIGHT_PAY_MERCHANT_ID"), key);
        free(control("POST", "/keys", body));
        for (int i = 0; i < COPIES; i++) {
            pay88_config *config = copies[i].config_new();
            pay88_error *error = NULL;
            CHECK(copies[i].config_set(config, "api_key", 7, key, strlen(key), &error) == PAY88_OK);
            CHECK(copies[i].manager_new(config, &copies[i].manager, &error) == PAY88_OK);
            copies[i].config_release(config);
        }
        long before = counter("tokens_requested");
        pthread_t threads[COPIES];
        for (int i = 0; i < COPIES; i++)
            CHECK(pthread_create(&threads[i], NULL, ask, &copies[i]) == 0);
        for (int i = 0; i < COPIES; i++)
            pthread_join(threads[i], NULL);
        CHECK(counter("tokens_requested") - before == 1);
        for (int i = 0; i < COPIES; i++) {
            CHECK(strcmp(copies[i].token, copies[0].token) == 0);
            copies[i].manager_release(copies[i].manager);
        }
    }
    puts("two_copies: one token for all copies");
    return 0;
}
