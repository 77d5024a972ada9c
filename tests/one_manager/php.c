/* A program that runs PHP with the extension pay88 and, at the same moment on another thread, Python that imports pay88.

       php LIBPHP PHP LIBPYTHON PYTHON        PHP and PYTHON print the number of their managers

   PHP reads its settings while it starts, from PHP_INI_SCAN_DIR. Both are loaded by their paths, so that no headers of theirs
   are needed. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_barrier_t start;
static const char *libpython, *python;

static void *library(const char *path) {
    void *found = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!found) {
        fprintf(stderr, "%s\n", dlerror());
        exit(3);
    }
    return found;
}

/* Puts the address of a function where a pointer to it is. */
static void find(void *library, const char *name, void *pointer) {
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "%s\n", dlerror());
        exit(3);
    }
    *(void **)pointer = found;
}

static void *run_python(void *failed) {
    void (*initialize)(void);
    int (*run)(const char *, void *), (*finalize)(void);
    void *loaded = library(libpython);
    find(loaded, "Py_Initialize", &initialize);
    find(loaded, "PyRun_SimpleStringFlags", &run);
    find(loaded, "Py_FinalizeEx", &finalize);
    initialize();
    pthread_barrier_wait(&start);
    *(int *)failed = run(python, NULL) | finalize();
    return NULL;
}

int main(int argc, char **argv) {
    int (*initialize)(int, char **), (*evaluate)(const char *, void *, const char *);
    void (*shut_down)(void);
    int failed = 0;
    pthread_t thread;
    if (argc != 5)
        return 2;
    libpython = argv[3];
    python = argv[4];
    void *loaded = library(argv[1]);
    find(loaded, "php_embed_init", &initialize);
    find(loaded, "zend_eval_string", &evaluate);
    find(loaded, "php_embed_shutdown", &shut_down);
    if (pthread_barrier_init(&start, NULL, 2) || pthread_create(&thread, NULL, run_python, &failed))
        return 4;
    pthread_barrier_wait(&start);
    /* This is when PHP loads its extensions. */
    if (initialize(1, argv) || evaluate(argv[2], NULL, "the program's code"))
        return 5;
    pthread_join(thread, NULL);
    shut_down();
    return failed ? 6 : 0;
}
