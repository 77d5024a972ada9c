//! Options for a manager of a test.

use crate::config::Config;

/// Those without a default, and no environment.
pub(crate) fn config() -> Config {
    config_with(&[
        ("api_key", "sk_test_sandbox_0123456789"),
        ("merchant_id", "MCH-COL-TEST-12345"),
    ])
}

/// These options alone, and no environment.
pub(crate) fn config_with(options: &[(&str, &str)]) -> Config {
    let config = options
        .iter()
        .try_fold(Config::without_environment(), |config, (name, value)| {
            config.with(name, value)
        });
    config.unwrap()
}
