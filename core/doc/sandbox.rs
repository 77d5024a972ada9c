// For the examples of the documentation, which include this file: a sandbox, and how a manager reaches it.
#[allow(dead_code)]
pub(crate) fn config() -> (pay88_sandbox::Sandbox, pay88::Config) {
    let settings = pay88_sandbox::Config {
        tls: false,
        ..Default::default()
    };
    let sandbox = pay88_sandbox::Sandbox::start(settings).unwrap();
    let mut config = pay88::Config::without_environment();
    for (name, value) in [
        ("api_key", pay88_sandbox::TEST_KEY),
        ("merchant_id", pay88_sandbox::TEST_MERCHANT),
        ("base_url", &sandbox.base_url()),
        ("share", "process"),
    ] {
        config.set(name, value).unwrap();
    }
    (sandbox, config)
}

/// A sandbox, and a manager that uses it.
#[allow(dead_code)]
pub(crate) fn manager() -> (pay88_sandbox::Sandbox, pay88::TokenManager) {
    let (sandbox, config) = config();
    let manager = pay88::TokenManager::new(config).unwrap();
    (sandbox, manager)
}
