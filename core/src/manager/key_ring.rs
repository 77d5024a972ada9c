//! The API keys of a manager: the current one, and the one to fall back to while 88Pay does not accept it yet.
//!
//! Promises: the key that was accepted last is kept, however many that are not accepted follow it. An immutable value: a
//! rotation makes a new one, so that a forked child finds a whole one. Never sends anything.
//!
//! Fact: a replaced key works 24 hours longer (88Pay documentation, "Key Rotation Policy").

use std::time::Duration;

use crate::config::credentials::ApiKey;
use crate::refresh::{Key, NEW_KEY_TRIED_EVERY};
use crate::time::BootTime;

const OLD_KEY_TIME: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Debug)]
pub(crate) struct Keys {
    current: ApiKey,
    /// It was accepted last, or it is what the manager began with.
    proven: bool,
    /// The key to fall back to, and until when.
    previous: Option<(ApiKey, BootTime)>,
    /// Changes with every rotation: a refresh of an earlier epoch publishes nothing.
    epoch: u64,
    /// Until then the previous key is tried first.
    prefer_previous: Option<BootTime>,
}

impl Keys {
    pub(crate) fn new(current: ApiKey, previous: Option<ApiKey>, now: BootTime) -> Keys {
        // The same key again is nothing to fall back to: rejected credentials are not asked about twice.
        let previous = previous.filter(|key| *key != current);
        Keys {
            current,
            proven: previous.is_none(),
            previous: previous.map(|key| (key, now.plus(OLD_KEY_TIME))),
            epoch: 0,
            prefer_previous: None,
        }
    }

    /// The keys after a rotation; `None` if that key is the current one already.
    pub(crate) fn rotated(&self, key: ApiKey, keep_old: bool, now: BootTime) -> Option<Keys> {
        if self.current == key {
            return None;
        }
        let accepted = match &self.previous {
            Some((accepted, _)) if !self.proven => accepted,
            _ => &self.current,
        };
        // On the way back to it the key between them is the only other one.
        let proven = *accepted == key;
        let old = if proven { &self.current } else { accepted };
        Some(Keys {
            epoch: self.epoch + 1,
            proven,
            ..Keys::new(key, keep_old.then(|| old.clone()), now)
        })
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The current key, and the previous one if there is one.
    pub(crate) fn each(&self) -> impl Iterator<Item = &ApiKey> {
        let previous = self.previous.as_ref().map(|(old, _)| old);
        std::iter::once(&self.current).chain(previous)
    }

    pub(crate) fn has(&self, key: &ApiKey) -> bool {
        self.each().any(|mine| mine == key)
    }

    /// Which key a refresh begins with, and whether there is another one to fall back to.
    pub(crate) fn begin_with(&self, now: BootTime) -> (Key, bool) {
        let other = self
            .previous
            .as_ref()
            .is_some_and(|(_, until)| now < *until);
        match self.prefer_previous {
            Some(until) if other && now < until => (Key::Previous, other),
            _ => (Key::Current, other),
        }
    }

    pub(crate) fn get(&self, key: Key) -> &ApiKey {
        match (key, &self.previous) {
            (Key::Previous, Some((previous, _))) => previous,
            _ => &self.current,
        }
    }

    /// The other key, if there is one.
    pub(crate) fn other(&self, key: Key) -> Option<&ApiKey> {
        let (previous, _) = self.previous.as_ref()?;
        Some(match key {
            Key::Current => previous,
            Key::Previous => &self.current,
        })
    }

    /// The keys after it is forgotten that the current one was not accepted; `None` if that changes nothing.
    pub(crate) fn untried(&self) -> Option<Keys> {
        self.prefer_previous?;
        Some(Keys {
            prefer_previous: None,
            ..self.clone()
        })
    }

    /// The keys after a token was granted to `key`; `None` if that changes nothing.
    pub(crate) fn accepted(&self, key: Key, now: BootTime) -> Option<Keys> {
        let prefer_previous = match key {
            Key::Current if self.proven && self.prefer_previous.is_none() => return None,
            Key::Current => None,
            Key::Previous => Some(now.plus(NEW_KEY_TRIED_EVERY)),
        };
        Some(Keys {
            proven: key == Key::Current,
            prefer_previous,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::endpoint::BaseUrl;
    use crate::config::option::Opt;

    fn key(text: &str) -> ApiKey {
        let base_url = BaseUrl::parse("https://pay.example").unwrap();
        ApiKey::parse(Opt::ApiKey, text, &base_url).unwrap()
    }

    #[test]
    fn a_replaced_key_is_kept_for_24_hours_and_tried_first_only_while_the_new_one_is_unknown() {
        let now = BootTime(0);
        let keys = Keys::new(key("sk_test_sandbox_old"), None, now);
        assert_eq!(keys.begin_with(now), (Key::Current, false));
        let keys = keys.rotated(key("sk_test_sandbox_new"), true, now).unwrap();
        assert!(keys.has(&key("sk_test_sandbox_old")) && keys.has(&key("sk_test_sandbox_new")));
        assert_eq!(keys.begin_with(now), (Key::Current, true));
        let fallen_back = keys.accepted(Key::Previous, now).unwrap();
        assert_eq!(
            fallen_back.begin_with(BootTime(299_000)),
            (Key::Previous, true)
        );
        assert_eq!(
            fallen_back.begin_with(BootTime(300_000)),
            (Key::Current, true)
        );
        let accepted = fallen_back.accepted(Key::Current, now).unwrap();
        assert_eq!(accepted.begin_with(BootTime(1000)), (Key::Current, true));
        assert_eq!(
            accepted.begin_with(BootTime(24 * 3_600_000)),
            (Key::Current, false)
        );
        assert!(
            keys.rotated(key("sk_test_sandbox_new"), true, now)
                .is_none()
        );
        assert_eq!(keys.epoch(), 1);
    }

    /// The key that is fallen back to.
    fn old(keys: &Keys) -> Option<&ApiKey> {
        keys.previous.as_ref().map(|(key, _)| key)
    }

    #[test]
    fn the_key_that_was_accepted_last_is_kept_whatever_is_rotated_after_it() {
        let [one, two, three, four] =
            ["1", "2", "3", "4"].map(|n| key(&format!("sk_test_sandbox_{n}")));
        let now = BootTime(0);
        let rotated = |keys: &Keys, key: &ApiKey| keys.rotated(key.clone(), true, now).unwrap();
        let first = Keys::new(one.clone(), None, now);
        let after = rotated(&rotated(&first, &two), &three);
        assert_eq!((&after.current, old(&after)), (&three, Some(&one)));
        assert!(!after.has(&two));
        // It begins a day of its own: what was to replace it did not.
        let later = BootTime(23 * 3_600_000);
        let late = after.rotated(four.clone(), true, later).unwrap();
        assert_eq!(
            late.begin_with(BootTime(46 * 3_600_000)),
            (Key::Current, true)
        );
        assert_eq!(old(&late), Some(&one));
        // Once the new one was accepted it is the one that is kept.
        let accepted = after.accepted(Key::Current, now).unwrap();
        assert_eq!(old(&rotated(&accepted, &four)), Some(&three));
        // Its acceptance may be over.
        let fallen_back = accepted.accepted(Key::Previous, now).unwrap();
        assert_eq!(old(&rotated(&fallen_back, &four)), Some(&one));
        // A key that the user calls the previous one is taken for accepted.
        let begun = Keys::new(two.clone(), Some(one.clone()), now);
        assert_eq!(old(&rotated(&begun, &three)), Some(&one));
        // Back to the accepted one, and forth.
        let back = rotated(&after, &one);
        assert_eq!((&back.current, old(&back)), (&one, Some(&three)));
        assert_eq!(old(&rotated(&back, &four)), Some(&one));
    }

    #[test]
    fn what_is_not_to_be_kept_is_not() {
        let [one, two, three] = ["1", "2", "3"].map(|n| key(&format!("sk_test_sandbox_{n}")));
        let now = BootTime(0);
        let keys = Keys::new(one.clone(), None, now);
        let alone = keys.rotated(two.clone(), false, now).unwrap();
        assert_eq!(old(&alone), None);
        let next = alone.rotated(three, true, now).unwrap();
        assert_eq!(old(&next), Some(&two));
    }
}
