/*
 * A program with PHP inside, whose own threads run requests at once: threads EXTENSION
 *
 * Each has managers of its own, which are one for the library: one token in all. Meanwhile all of them change the environment,
 * which PHP guards by a lock and the library must not read by itself.
 */
#include <php.h>
#include <php_main.h>
#include <SAPI.h>
#include <sapi/embed/php_embed.h>

#include <pthread.h>
#include <stdatomic.h>

#ifndef ZTS
#error "This is for a thread-safe PHP."
#endif

ZEND_TSRMLS_CACHE_DEFINE()

#define THREADS 8
#define REQUESTS 20

static const char program[] =
	"(function () {"
	"    for ($i = 0; $i < 20; $i++) { putenv('PAY88_TEST_' . random_int(0, 50) . '=' . str_repeat('x', random_int(1, 500))); }"
	"    $tm = new Pay88\\TokenManager();"
	"    $charge = ['flow' => 'PAYIN', 'method_code' => 'CARDS', 'amount' => 50000, 'currency' => 'COP', 'country' => 'COL'];"
	"    $answer = $tm->makeRequest('/api/transactions/charges', 'POST', $charge);"
	"    try { $tm->request('GET', '//evil.example/'); } catch (Pay88\\Exception\\RefusedException $e) { $refused = $e->outcome(); }"
	"    Pay88\\events();"
	"    return $answer['status'] . ' ' . $refused . ' ' . count($tm->getToken()) . ' ' . $tm->managerId();"
	"})()";

static pthread_barrier_t together;
static _Atomic int right;

static void *run_requests(void *unused)
{
	ts_resource(0);
	ZEND_TSRMLS_CACHE_UPDATE();
	pthread_barrier_wait(&together);
	for (int i = 0; i < REQUESTS; i++) {
		if (php_request_startup() != SUCCESS) {
			fprintf(stderr, "no request\n");
			break;
		}
		zend_first_try {
			zval result;
			if (zend_eval_string_ex(program, &result, "threads", true) == SUCCESS && Z_TYPE(result) == IS_STRING) {
				if (!strcmp(Z_STRVAL(result), "Success not_sent 3 1")) {
					right++;
				} else {
					fprintf(stderr, "%s\n", Z_STRVAL(result));
				}
				zval_ptr_dtor(&result);
			}
		} zend_end_try();
		php_request_shutdown(NULL);
	}
	ts_free_thread();
	return unused;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s EXTENSION\n", argv[0]);
		return 2;
	}
	char settings[] = "/tmp/pay88-threads-XXXXXX";
	int file = mkstemp(settings);
	dprintf(file, "extension=%s\ndisplay_errors=stderr\nhtml_errors=0\n", argv[1]);
	close(file);
	php_embed_module.php_ini_path_override = settings;
	if (php_embed_init(0, NULL) != SUCCESS) {
		return 1;
	}
	unlink(settings);
	ZEND_TSRMLS_CACHE_UPDATE();
	pthread_barrier_init(&together, NULL, THREADS);
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++) {
		pthread_create(&threads[i], NULL, run_requests, NULL);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	zval tokens;
	zend_eval_string("json_decode(file_get_contents(getenv('PAY88_SANDBOX_CONTROL') . '/counters'))->tokens_issued", &tokens, "threads");
	printf("%d of %d requests in %d threads were right, with %ld token\n", right, THREADS * REQUESTS, THREADS, (long)Z_LVAL(tokens));
	int status = right == THREADS * REQUESTS && Z_LVAL(tokens) == 1 ? 0 : 1;
	php_embed_shutdown();
	return status;
}
