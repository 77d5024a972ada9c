//! What 88Pay says of an answer in its own words, made fit for an error: the `message` of the envelope.
//!
//! Promises: one line of at most 200 characters, without control characters; no piece of a secret that the request carried,
//! and no word that looks like a key, a token or a session ID.

use serde_json::Value;

use crate::json;

/// The longest text that is shown, in characters.
const LONGEST: usize = 200;

/// How much of a text is read. Nothing behind it can be shown.
const LOOKED_AT: usize = 2000;

/// The largest body that is read. A larger one is no envelope of an error.
const LARGEST_BODY: usize = 64 * 1024;

/// So many characters of a secret in a row give it away.
const PIECE: usize = 12;

/// How keys, session IDs and JWTs begin, and with how many characters behind that a word is one.
const SECRET_LOOKS: [(&str, usize); 4] =
    [("sk_test_", 4), ("sk_live_", 4), ("sess_", 4), ("eyJ", 12)];

/// The message of that body, or an empty text if it has none. `secrets` are those of the request, which an answer may echo.
pub(crate) fn provider_message(body: &[u8], secrets: &[&str]) -> String {
    if body.len() > LARGEST_BODY {
        return String::new();
    }
    let Ok(Value::Object(envelope)) = json::read(body) else {
        return String::new();
    };
    let Some(Value::String(message)) = envelope.get("message") else {
        return String::new();
    };
    let shown: String = message
        .chars()
        .take(LOOKED_AT)
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .collect();
    let words: Vec<&str> = shown
        .split_whitespace()
        .map(|word| {
            if is_secret(word, secrets) {
                "…"
            } else {
                word
            }
        })
        .collect();
    let text: String = words.join(" ").chars().take(LONGEST).collect();
    text.trim_end().to_owned()
}

/// Characters that show nothing, or turn the direction of a text.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn is_secret(word: &str, secrets: &[&str]) -> bool {
    let looks = SECRET_LOOKS.iter().any(|(prefix, behind)| {
        word.split_once(prefix)
            .is_some_and(|(_, rest)| rest.chars().count() >= *behind)
    });
    looks
        || secrets
            .iter()
            .filter(|secret| !secret.is_empty())
            .any(|secret| {
                word.contains(*secret)
                    || word
                        .as_bytes()
                        .windows(PIECE)
                        .any(|piece| secret.as_bytes().windows(PIECE).any(|other| other == piece))
            })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(message: &str, secrets: &[&str]) -> String {
        let body = json!({"status": "Error", "code": 401, "message": message});
        provider_message(body.to_string().as_bytes(), secrets)
    }

    #[test]
    fn the_words_of_the_documentation_come_through() {
        for words in [
            "Invalid API key or merchant ID",
            "The API key must start with sk_test_ or sk_live_.",
            "No existe la transacción 8f14e45f-ceea-4e7a-9b1c-2d1f0a7c1b2e",
        ] {
            assert_eq!(said(words, &["sk_test_sandbox_0123456789"]), words);
        }
    }

    #[test]
    fn what_has_no_message_says_nothing() {
        let long = format!("{{\"message\":\"{}\"}}", "x".repeat(LARGEST_BODY));
        for body in [
            "",
            "{",
            "[]",
            "null",
            "{}",
            "{\"message\":7}",
            "{\"message\":[\"a\"]}",
            "<html>",
            &long,
        ] {
            assert_eq!(provider_message(body.as_bytes(), &[]), "", "{body:.20}");
        }
        assert_eq!(provider_message(b"\xff{\"message\":\"x\"}", &[]), "");
    }

    #[test]
    fn it_is_one_line_of_bounded_length() {
        assert_eq!(
            said("a\r\nb\u{85}c\x1b[31m\u{0}\u{202e}d", &[]),
            "a b c[31md"
        );
        let long = said(&"pago ".repeat(1000), &[]);
        assert!(
            long.starts_with("pago pago") && long.chars().count() <= LONGEST,
            "{long}"
        );
        assert_eq!(said(&"x".repeat(1 << 14), &[]).len(), LONGEST);
    }

    #[test]
    fn no_secret_is_repeated_however_it_is_echoed() {
        let (key, token) = ("sk_test_a1b2c3d4e5f6g7h8", "opaque-token-0123456789abcdef");
        for message in [
            "Key sk_test_a1b2c3d4e5f6g7h8 is not known",
            "Key (sk_test_a1b2c3d4e5f6g7h8) is not known",
            "key=\"a1b2c3d4e5f6g7h8\" is not known",
            "Bearer opaque-token-0123456789abcdef was revoked",
            "token opaque-token-0123... was revoked",
            "token opaque-tok\u{200b}en-0123456789 was revoked",
            "token=eyJhbGciOiJFUzI1NiJ9.e30.x was revoked",
            "of another: sk_live_zzzzzzzz, sess_11111111-2222",
        ] {
            let said = said(message, &[key, token]);
            assert!(said.contains('…'), "{said}");
            for secret in [
                "a1b2c3",
                "0123456789",
                "opaque-token-0123",
                "eyJhbGci",
                "zzzz",
                "11111111",
            ] {
                assert!(!said.contains(secret), "{said}");
            }
        }
        // One that begins within what is shown and goes on behind it.
        let cut = format!("{} {key}", "x".repeat(LONGEST - 12));
        assert!(!said(&cut, &[key]).contains("sk_test"), "{cut}");
    }
}
