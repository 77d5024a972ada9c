//! API key and merchant ID: trimmed, and checked for what 88Pay's documentation says of them, and for no more.
//!
//! Never checks the length, nor the alphabet beyond what a header can carry. Never infers the environment from the
//! merchant ID. Facts: real keys have 16 to 32 characters after the prefix and may have `_` and `-`. Merchant IDs
//! exist with three and with four parts (88Pay documentation, "Authentication" and "Generate token").

use crate::config::endpoint::{BaseUrl, PRODUCTION_HOST, SANDBOX_HOST};
use crate::config::option::Opt;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// A checked API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiKey(Secret);

impl ApiKey {
    /// Checks that a key has the shape of a key, and that it belongs to the environment of `base_url`.
    pub(crate) fn parse(option: Opt, text: &str, base_url: &BaseUrl) -> Result<ApiKey> {
        let name = option.name();
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::invalid(
                format!("The {name} is blank."),
                "Copy the API key from the dashboard.",
            ));
        }
        let live = text.starts_with("sk_live_");
        if !live && !text.starts_with("sk_test_") {
            return Err(Error::invalid(
                format!("The {name} does not start with sk_test_ or sk_live_."),
                "Copy the API key from the dashboard; the merchant ID is another value.",
            ));
        }
        if text.len() < "sk_test_x".len()
            || text.len() > 512
            || !text.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(Error::invalid(
                format!("The {name} is cut off or holds characters that no key has."),
                "Copy the API key from the dashboard once more, without line breaks.",
            ));
        }
        if (base_url.host() == SANDBOX_HOST && live)
            || (base_url.host() == PRODUCTION_HOST && !live)
        {
            let (key, host) = if live {
                ("sk_live_", "the sandbox")
            } else {
                ("sk_test_", "production")
            };
            return Err(Error::invalid(
                format!("The {name} is a {key} key, but the base_url is that of {host}."),
                "Use sk_test_ keys with https://api-sandbox.88pay.io and sk_live_ keys with https://api.88pay.io.",
            ));
        }
        if live && !base_url.is_https() {
            return Err(Error::invalid(
                format!("The {name} is an sk_live_ key, and the base_url is not https."),
                "Live keys are sent over https only.",
            ));
        }
        Ok(ApiKey(Secret::new(text.to_owned())))
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }
}

/// A checked merchant ID. Not a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MerchantId(String);

impl MerchantId {
    pub(crate) fn parse(text: &str) -> Result<MerchantId> {
        let text = text.trim();
        let mut parts = text.split('-');
        let shape = parts.next() == Some("MCH")
            && parts.clone().count() >= 2
            && text.len() <= 128
            && parts.all(|part| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            });
        if !shape {
            // The text may be an API key in the wrong place, so it is not shown.
            return Err(Error::invalid(
                "The merchant_id does not have the form MCH-{COUNTRY}-{ID}.",
                "Copy the merchant ID from the dashboard, for example MCH-COL-29ZTP4.",
            ));
        }
        Ok(MerchantId(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn key(text: &str, base: &str) -> Result<ApiKey> {
        ApiKey::parse(Opt::ApiKey, text, &BaseUrl::parse(base).unwrap())
    }

    fn merchant(text: &str) -> Result<MerchantId> {
        MerchantId::parse(text)
    }

    #[test]
    fn stray_white_space_is_trimmed() {
        let base = "https://api-sandbox.88pay.io";
        assert_eq!(
            key(" \tsk_test_a1b2c3d4e5f6g7h8\r\n", base)
                .unwrap()
                .secret()
                .expose(),
            "sk_test_a1b2c3d4e5f6g7h8"
        );
        assert_eq!(
            merchant("\u{a0}MCH-COL-29ZTP4 \n").unwrap().as_str(),
            "MCH-COL-29ZTP4"
        );
    }

    #[test]
    fn a_key_of_the_other_environment_is_told_for_the_two_documented_hosts_only() {
        assert!(key("sk_live_a1b2c3d4", "https://api-sandbox.88pay.io").is_err());
        assert!(key("sk_test_a1b2c3d4", "https://api.88pay.io").is_err());
        assert!(key("sk_live_a1b2c3d4", "https://pay.example").is_ok());
        assert!(key("sk_test_a1b2c3d4", "https://pay.example").is_ok());
    }

    #[test]
    fn a_live_key_never_goes_over_http() {
        assert!(key("sk_live_a1b2c3d4", "http://127.0.0.1:8080").is_err());
        assert!(key("sk_test_a1b2c3d4", "http://127.0.0.1:8080").is_ok());
    }

    #[test]
    fn malformed_credentials_are_refused_without_showing_them() {
        for text in [
            "",
            "  ",
            "pk_test_abcdef",
            "sk_test_",
            "sk_test_with space",
            "sk_test_\u{e9}",
            "SK_TEST_abc",
        ] {
            let error = key(text, "https://pay.example").unwrap_err();
            assert_eq!(error.code(), ErrorCode::ConfigInvalid, "{text}");
            assert!(
                !error.hint().is_empty() && (text.len() < 9 || !error.to_string().contains(text))
            );
        }
        for text in [
            "",
            "MCH",
            "MCH-COL",
            "MCH--1",
            "mch-COL-1",
            "MCH-COL-",
            "MCH-COL-1\n2",
            "MCH-C\u{d6}L-1",
            "sk_test_a",
        ] {
            assert_eq!(
                merchant(text).unwrap_err().code(),
                ErrorCode::ConfigInvalid,
                "{text}"
            );
        }
        assert!(merchant("MCH-COL-TEST-12345").is_ok());
    }
}
