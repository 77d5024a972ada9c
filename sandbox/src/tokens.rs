//! Tokens: signed ES256 JWTs, each paired with one session ID, valid until they expire or are revoked. What is presented is
//! compared with what was issued; a signature alone is worth nothing.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// Expired tokens are remembered this long, so that they are refused as expired and not as unknown.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Below this many, those to be forgotten are not looked for.
const SWEEP_ABOVE: usize = 1024;

/// A key that signs tokens, and the source of random IDs.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    pub(crate) fn new() -> io::Result<Self> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
        let key =
            EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).map_err(failed)?;
        Ok(Signer { key, random })
    }

    /// The public half: an uncompressed point on P-256.
    pub(crate) fn public_key(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// A signed JWT with these claims.
    pub(crate) fn jwt(&self, claims: &Value) -> io::Result<String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut jwt = format!(
            "{}.{}",
            part(&json!({"alg": "ES256", "typ": "JWT"})),
            part(claims)
        );
        let signature = self
            .key
            .sign(&self.random, jwt.as_bytes())
            .map_err(failed)?;
        jwt.push('.');
        jwt.push_str(&URL_SAFE_NO_PAD.encode(signature.as_ref()));
        Ok(jwt)
    }

    /// A random UUID (version 4).
    pub(crate) fn uuid(&self) -> io::Result<String> {
        let mut bytes = [0u8; 16];
        self.random.fill(&mut bytes).map_err(failed)?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let n = u128::from_be_bytes(bytes);
        Ok(format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            n >> 96,
            n >> 80 & 0xffff,
            n >> 64 & 0xffff,
            n >> 48 & 0xffff,
            n & 0xffff_ffff_ffff
        ))
    }
}

/// Errors of the cryptography say no more than that there was one.
fn failed(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// What belongs to a token that was issued.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) session: String,
    pub(crate) key: String,
    pub(crate) merchant: String,
    /// Since 1970; the token is refused from this instant on.
    pub(crate) expires: Duration,
    pub(crate) revoked: bool,
}

/// All tokens issued lately.
#[derive(Default)]
pub(crate) struct Tokens {
    grants: HashMap<String, Grant>,
    /// How many there were after the last sweep.
    kept: usize,
}

impl Tokens {
    pub(crate) fn add(&mut self, token: String, grant: Grant, now: Duration) {
        if self.grants.len() > SWEEP_ABOVE.max(2 * self.kept) {
            self.grants
                .retain(|_, grant| grant.expires + REMEMBERED > now);
            self.kept = self.grants.len();
        }
        self.grants.insert(token, grant);
    }

    pub(crate) fn find(&self, token: &str) -> Option<&Grant> {
        self.grants.get(token)
    }

    /// The grant of a token that is good at `now` for this session, or why it is not.
    pub(crate) fn check(
        &self,
        token: &str,
        session: &str,
        now: Duration,
    ) -> Result<&Grant, &'static str> {
        let grant = self.find(token).ok_or("Invalid token")?;
        if grant.session != session {
            Err("Session does not belong to the token")
        } else if grant.revoked {
            Err("Token revoked")
        } else if now >= grant.expires {
            Err("Token expired")
        } else {
            Ok(grant)
        }
    }

    /// Revokes every token that `which` picks.
    pub(crate) fn revoke(&mut self, which: impl Fn(&Grant) -> bool) {
        self.grants
            .values_mut()
            .filter(|grant| which(grant))
            .for_each(|grant| grant.revoked = true);
    }
}
