/* A program that takes libpay88 by its name and, at the same moment on another thread, runs Python that imports pay88.

       program LIBPYTHON PYTHON        prints the number of its manager; PYTHON prints that of Python's

   Both start together: whoever comes first loads a file of its own. libpython is loaded by its path, so that no headers of
   Python are needed. */
#include <dlfcn.h>
#include <pay88.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_barrier_t start;

static void *function(void *library, const char *name) {
    void *found = library ? dlsym(library, name) : NULL;
    if (!found) {
        fprintf(stderr, "%s: %s\n", name, dlerror());
        exit(3);
    }
    return found;
}

/* Asks for the functions that it needs; the address of one is put where a pointer to such a function is. */
#define FIND(library, name) \
    __typeof__(name) *name##_found; \
    *(void **)&name##_found = function(library, #name)

static void *use_the_library(void *unused) {
    pthread_barrier_wait(&start);
    void *library = dlopen("libpay88.so.0", RTLD_NOW | RTLD_LOCAL);
    FIND(library, pay88_config_new);
    FIND(library, pay88_manager_new);
    FIND(library, pay88_manager_id);
    FIND(library, pay88_manager_get_token);
    pay88_manager *manager = NULL;
    pay88_token *token = NULL;
    if (pay88_manager_new_found(pay88_config_new_found(), &manager, NULL) != PAY88_OK ||
        pay88_manager_get_token_found(manager, 20000, NULL, NULL, &token, NULL) != PAY88_OK) {
        fprintf(stderr, "no token\n");
        exit(4);
    }
    printf("%llu\n", (unsigned long long)pay88_manager_id_found(manager));
    fflush(stdout);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    if (argc != 3)
        return 2;
    void *python = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    void (*initialize)(void);
    int (*run)(const char *, void *), (*finalize)(void);
    *(void **)&initialize = function(python, "Py_Initialize");
    *(void **)&run = function(python, "PyRun_SimpleStringFlags");
    *(void **)&finalize = function(python, "Py_FinalizeEx");
    initialize();
    if (pthread_barrier_init(&start, NULL, 2) || pthread_create(&thread, NULL, use_the_library, NULL))
        return 5;
    pthread_barrier_wait(&start);
    int failed = run(argv[2], NULL);
    pthread_join(thread, NULL);
    failed |= finalize();
    return failed ? 6 : 0;
}
