/* Makes one charge. EIGHTY_EIGHT_PAY_API_KEY, EIGHTY_EIGHT_PAY_MERCHANT_ID and EIGHTY_EIGHT_PAY_BASE_URL are set.
 *
 *     cc charge.c $(pkg-config --cflags --libs pay88) -Wl,-rpath,$(pkg-config --variable=libdir pay88) && ./a.out
 */
#include <pay88.h>
#include <stdio.h>
#include <string.h>

static int failed(const char *what, pay88_error *error) {
    fprintf(stderr, "%s: %s: %s\n  %s\n  outcome: %.*s\n", what, pay88_error_name(error).data,
            pay88_error_message(error).data, pay88_error_hint(error).data,
            PAY88_STR(pay88_outcome_name(pay88_error_outcome(error))));
    pay88_error_release(error);
    return 1;
}

int main(void) {
    static const char endpoint[] = "/api/transactions/charges";
    static const char body[] =
        "{\"flow\":\"PAYIN\",\"method_code\":\"CARDS\",\"method_category\":\"CARD\",\"amount\":50000,"
        "\"currency\":\"COP\",\"country\":\"COL\",\"description\":\"Order 1001\",\"customer_id\":\"customer-1\","
        "\"notification_url\":\"https://example.com/notify\",\"return_url\":\"https://example.com/return\"}";
    pay88_error *error = NULL;
    pay88_manager *manager = NULL;
    pay88_request *request = NULL;
    pay88_response *response = NULL;

    pay88_config *config = pay88_config_new();
    pay88_status status = pay88_manager_new(config, &manager, &error);
    pay88_config_release(config);
    if (status != PAY88_OK)
        return failed("configuration", error);

    status = pay88_request_new("POST", 4, endpoint, strlen(endpoint), &request, &error);
    if (status == PAY88_OK)
        status = pay88_request_set_body(request, (const uint8_t *)body, strlen(body), &error);
    if (status == PAY88_OK)
        status = pay88_manager_send(manager, request, NULL, NULL, &response, &error);
    if (status == PAY88_OK) {
        pay88_bytes answer = pay88_response_body(response);
        printf("%u\n%.*s\n", (unsigned)pay88_response_status(response), (int)answer.len, (const char *)answer.data);
        status = pay88_response_error_for_status(response, &error);
    }
    pay88_response_release(response);
    pay88_request_release(request);
    pay88_manager_release(manager);
    return status == PAY88_OK ? 0 : failed("charge", error);
}
