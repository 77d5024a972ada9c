//! Seals what leaves the process: encrypts and authenticates it with keys that come from the API key alone.
//!
//! Promises: without the API key nobody learns the token, the session ID or the key. Nobody can write a value that is
//! believed, or move one to another context. Never writes anything anywhere.

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::config::credentials::ApiKey;

const NONCE: usize = 24;
pub(crate) const TAG: usize = 16;

/// How much longer a sealed value is than what it holds.
pub(crate) const OVERHEAD: usize = NONCE + TAG;

/// The keys of one set of credentials; zeroed when dropped.
pub(crate) struct Sealer {
    name: hmac::Key,
    cipher: XChaCha20Poly1305,
}

/// A 256-bit output of HKDF.
struct Key;

impl KeyType for Key {
    fn len(&self) -> usize {
        32
    }
}

impl Sealer {
    /// `None` only if the machine's cryptography fails.
    pub(crate) fn of(key: &ApiKey) -> Option<Sealer> {
        let derived = Salt::new(HKDF_SHA256, b"pay88").extract(key.secret().expose().as_bytes());
        let derive = |label: &[u8]| {
            let mut bytes = Zeroizing::new([0; 32]);
            derived.expand(&[label], Key).ok()?.fill(&mut *bytes).ok()?;
            Some(bytes)
        };
        Some(Sealer {
            name: hmac::Key::new(hmac::HMAC_SHA256, &*derive(b"name")?),
            cipher: XChaCha20Poly1305::new((&*derive(b"seal")?).into()),
        })
    }

    /// A tag over `parts` that only a holder of the key can make.
    pub(crate) fn tag(&self, parts: &[&[u8]]) -> [u8; TAG] {
        let tag = hmac::sign(&self.name, &joined(parts));
        std::array::from_fn(|at| tag.as_ref().get(at).copied().unwrap_or_default())
    }

    /// A name that tells others nothing: 32 hexadecimal digits over `parts`.
    pub(crate) fn name(&self, parts: &[&[u8]]) -> String {
        let tag = self.tag(parts);
        tag.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Gives nonce, ciphertext and tag. They open only with the same `context`. `None` if the system gives no
    /// randomness.
    pub(crate) fn seal(&self, context: &[&[u8]], plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
        sealed.resize(NONCE, 0);
        SystemRandom::new().fill(&mut sealed).ok()?;
        let nonce = XNonce::clone_from_slice(&sealed);
        sealed.extend_from_slice(plain);
        let tag = self
            .cipher
            .encrypt_in_place_detached(&nonce, &joined(context), &mut sealed[NONCE..])
            .ok()?;
        sealed.extend_from_slice(&tag);
        Some(sealed)
    }

    /// Opens what was sealed with the same `context`; `None` for anything else.
    pub(crate) fn open(&self, context: &[&[u8]], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE)?;
        let (text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        let mut plain = Zeroizing::new(text.to_vec());
        self.cipher
            .decrypt_in_place_detached(
                XNonce::from_slice(nonce),
                &joined(context),
                &mut plain,
                Tag::from_slice(tag),
            )
            .ok()?;
        Some(plain)
    }
}

/// Each part with its length before it, so two lists never give the same bytes.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_le_bytes());
        all.extend_from_slice(part);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::endpoint::BaseUrl;
    use crate::config::option::Opt;

    fn sealer(key: &str) -> Sealer {
        let base_url = BaseUrl::parse("https://pay.example").unwrap();
        Sealer::of(&ApiKey::parse(Opt::ApiKey, key, &base_url).unwrap()).unwrap()
    }

    #[test]
    fn only_the_same_key_opens_a_value_and_only_where_it_was_sealed_for() {
        let mine = sealer("sk_test_sandbox_1");
        let sealed = mine.seal(&[b"host", b"a"], b"sess_1").unwrap();
        let opened = mine.open(&[b"host", b"a"], &sealed).unwrap();
        assert_eq!(&**opened, b"sess_1");
        assert!(mine.open(&[b"host", b"b"], &sealed).is_none());
        assert!(mine.open(&[b"hosta", b""], &sealed).is_none());
        assert!(
            sealer("sk_test_sandbox_2")
                .open(&[b"host", b"a"], &sealed)
                .is_none()
        );
    }

    #[test]
    fn a_value_that_was_cut_or_changed_in_any_place_does_not_open() {
        let mine = sealer("sk_test_sandbox_1");
        let sealed = mine.seal(&[b"p"], b"0123456789").unwrap();
        for length in 0..sealed.len() {
            assert!(mine.open(&[b"p"], &sealed[..length]).is_none(), "{length}");
        }
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert!(mine.open(&[b"p"], &other).is_none(), "{at}");
        }
    }

    #[test]
    fn a_name_depends_on_key_and_parts_and_shows_neither() {
        let mine = sealer("sk_test_sandbox_1");
        let name = mine.name(&[b"MCH-COL-1", b"1000"]);
        assert_eq!(name, mine.name(&[b"MCH-COL-1", b"1000"]));
        assert_ne!(name, mine.name(&[b"MCH-COL-11", b"000"]));
        assert_ne!(
            name,
            sealer("sk_test_sandbox_2").name(&[b"MCH-COL-1", b"1000"])
        );
        assert!(name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()));
    }

    #[test]
    fn no_two_values_look_alike() {
        let mine = sealer("sk_test_sandbox_1");
        assert_ne!(mine.seal(&[b"p"], b"x"), mine.seal(&[b"p"], b"x"));
    }
}
