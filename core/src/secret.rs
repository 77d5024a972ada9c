//! Text that must not be seen: zeroed when dropped, masked wherever it is shown.
//!
//! Never implements `Display` or a `Debug` that shows more than the prefix and the last four characters.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

/// A secret text, shared by reference count and zeroed with its last owner.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// `text` is moved in, not copied.
    pub(crate) fn new(text: String) -> Self {
        Secret(Arc::new(Zeroizing::new(text)))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// A header value over the same memory, so that the end of the header zeroes it too.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        struct Owner(Arc<Zeroizing<String>>);
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }
        let mut value =
            HeaderValue::from_maybe_shared(Bytes::from_owner(Owner(self.0.clone()))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(self.expose()))
    }
}

/// Zeroes the texts of a parsed value.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        _ => {}
    }
}

/// Masks a secret for people: gives its prefix and its last four characters. Of a short text it gives less.
///
/// ```
/// assert_eq!(pay88::mask("sk_test_a1b2c3d4e5f6h8f2"), "sk_test_…h8f2");
/// ```
pub fn mask(secret: &str) -> String {
    let prefix = ["sk_test_", "sk_live_", "sess_"]
        .into_iter()
        .find(|p| secret.starts_with(p))
        .unwrap_or("");
    let rest: Vec<char> = secret[prefix.len()..].chars().collect();
    // Four characters of fewer than twelve would be too large a part.
    let shown = if rest.len() >= 12 { 4 } else { 0 };
    let tail: String = rest[rest.len() - shown..].iter().collect();
    format!("{prefix}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_shows_prefix_and_last_four_only() {
        assert_eq!(mask("sk_test_a1b2c3d4e5f6g7h8"), "sk_test_…g7h8");
        assert_eq!(mask("short"), "…");
        assert_eq!(mask(""), "…");
        assert_eq!(
            format!("{:?}", Secret::new("sk_live_0123456789abcdef".into())),
            "sk_live_…cdef"
        );
    }

    #[test]
    fn a_header_is_sensitive_and_refuses_what_is_no_field_value() {
        assert!(
            Secret::new("sess_1".into())
                .header()
                .unwrap()
                .is_sensitive()
        );
        assert!(Secret::new("a\r\nb: c".into()).header().is_none());
    }
}
