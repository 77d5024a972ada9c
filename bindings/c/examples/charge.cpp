// Makes one charge, with handles that release themselves. EIGHTY_EIGHT_PAY_API_KEY, EIGHTY_EIGHT_PAY_MERCHANT_ID and
// EIGHTY_EIGHT_PAY_BASE_URL are set.
//
//     c++ -std=c++17 charge.cpp $(pkg-config --cflags --libs pay88) -Wl,-rpath,$(pkg-config --variable=libdir pay88) && ./a.out
#include <pay88.h>

#include <future>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

template <auto release>
struct Release {
    template <class Handle>
    void operator()(Handle *handle) const { release(handle); }
};
using Config = std::unique_ptr<pay88_config, Release<pay88_config_release>>;
using Manager = std::unique_ptr<pay88_manager, Release<pay88_manager_release>>;
using Request = std::unique_ptr<pay88_request, Release<pay88_request_release>>;
using Response = std::unique_ptr<pay88_response, Release<pay88_response_release>>;

static std::string text(pay88_str view) { return {view.data, view.len}; }

class Error : public std::runtime_error {
public:
    explicit Error(pay88_error *error)
        : std::runtime_error(text(pay88_error_name(error)) + ": " + text(pay88_error_message(error)) + " (" +
                             text(pay88_error_hint(error)) + ")"),
          status(pay88_error_status(error)), outcome(pay88_error_outcome(error)) {
        pay88_error_release(error);
    }
    pay88_status status;
    pay88_outcome outcome;
};

// Throws unless the call, which gets the place for its error, succeeds.
template <class Call>
static void check(Call call) {
    pay88_error *error = nullptr;
    if (call(&error) != PAY88_OK)
        throw Error(error);
}

static Manager manager_of(const Config &config) {
    pay88_manager *manager = nullptr;
    check([&](pay88_error **error) { return pay88_manager_new(config.get(), &manager, error); });
    return Manager(manager);
}

static Request post(std::string_view endpoint, std::string_view body) {
    pay88_request *request = nullptr;
    check([&](pay88_error **error) {
        return pay88_request_new("POST", 4, endpoint.data(), endpoint.size(), &request, error);
    });
    Request owned(request);
    check([&](pay88_error **error) {
        return pay88_request_set_body(request, reinterpret_cast<const uint8_t *>(body.data()), body.size(), error);
    });
    return owned;
}

// The asynchronous call as a future.
static std::future<Response> send(const Manager &manager, const Request &request) {
    using Promise = std::promise<Response>;
    auto promise = std::make_unique<Promise>();
    auto future = promise->get_future();
    check([&](pay88_error **error) {
        return pay88_manager_send_async(
            manager.get(), request.get(),
            [](void *data, pay88_status status, pay88_response *response, pay88_error *failure) {
                auto *result = static_cast<Promise *>(data);
                if (status == PAY88_OK)
                    result->set_value(Response(response));
                else
                    result->set_exception(std::make_exception_ptr(Error(failure)));
            },
            // Whatever becomes of the call, the library gives the promise back, once.
            promise.release(), [](void *data) { delete static_cast<Promise *>(data); }, nullptr, error);
    });
    return future;
}

int main() try {
    Manager manager = manager_of(Config(pay88_config_new()));
    Request request = post("/api/transactions/charges",
                           R"({"flow":"PAYIN","method_code":"CARDS","method_category":"CARD","amount":50000,
                               "currency":"COP","country":"COL","description":"Order 1001","customer_id":"customer-1",
                               "notification_url":"https://example.com/notify",
                               "return_url":"https://example.com/return"})");
    Response response = send(manager, request).get();
    pay88_bytes body = pay88_response_body(response.get());
    std::cout << pay88_response_status(response.get()) << '\n'
              << std::string_view(reinterpret_cast<const char *>(body.data), body.len) << '\n';
    check([&](pay88_error **error) { return pay88_response_error_for_status(response.get(), error); });
    return 0;
} catch (const Error &error) {
    std::cerr << error.what() << "\n  outcome: " << text(pay88_outcome_name(error.outcome)) << '\n';
    return 1;
}
