//! The body of an answer, held to a limit while it arrives and while it is decoded.
//!
//! Memory grows with the bytes that have come, never with what `Content-Length` promises. A secret body leaves no
//! copy behind when it grows, nor when reading it fails.

use zeroize::Zeroize;

use crate::exchange::{Failure, FailureKind};

/// How many bytes are reserved at most before any have come.
const FIRST_RESERVE: u64 = 64 * 1024;

pub(super) struct BodyBuffer {
    bytes: Vec<u8>,
    limit: u64,
    secret: bool,
}

impl BodyBuffer {
    /// Refuses a body whose announced length is over the limit. In an answer without a body (HEAD), `Content-Length`
    /// announces nothing.
    pub(super) fn new(announced: u64, limit: u64, secret: bool) -> Result<BodyBuffer, Failure> {
        let mut buffer = BodyBuffer {
            bytes: Vec::new(),
            limit,
            secret,
        };
        buffer.check(announced)?;
        // And one byte for the NUL that follows it.
        let reserve = announced.min(FIRST_RESERVE - 1) + 1;
        buffer
            .bytes
            .reserve_exact(usize::try_from(reserve).unwrap_or(0));
        Ok(buffer)
    }

    /// A body that has come completely.
    pub(super) fn of(bytes: Vec<u8>, secret: bool) -> BodyBuffer {
        BodyBuffer {
            limit: bytes.len() as u64,
            bytes,
            secret,
        }
    }

    pub(super) fn append(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.check(self.bytes.len() as u64 + data.len() as u64)?;
        self.make_room(data.len());
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Makes the body longer by zeros, up to this length or the limit, so that a decoder can write over them.
    pub(super) fn stretch(&mut self, length: usize) {
        let length = length.min(usize::try_from(self.limit).unwrap_or(usize::MAX));
        self.make_room(length.saturating_sub(self.bytes.len()));
        self.bytes.resize(length.max(self.bytes.len()), 0);
    }

    /// Fails if the limit allows no more than this length.
    pub(super) fn check_more(&self, length: usize) -> Result<(), Failure> {
        self.check(length as u64 + 1)
    }

    /// Removes the zeros that were not used. A secret stays where it is.
    pub(super) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
        if !self.secret {
            self.bytes.shrink_to_fit();
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn make_room(&mut self, more: usize) {
        if self.secret && self.bytes.capacity() - self.bytes.len() < more {
            // Growing in place could leave the old memory behind unchanged.
            let mut grown = Vec::with_capacity((self.bytes.len() + more).next_power_of_two());
            grown.extend_from_slice(&self.bytes);
            self.bytes.zeroize();
            self.bytes = grown;
        }
    }

    pub(super) fn into_inner(mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn check(&self, length: u64) -> Result<(), Failure> {
        if length <= self.limit {
            return Ok(());
        }
        Err(Failure::before_sending(
            FailureKind::TooLarge,
            format!(
                "the answer's body is larger than the limit of {} bytes",
                self.limit
            ),
        ))
    }
}

impl Drop for BodyBuffer {
    fn drop(&mut self) {
        if self.secret {
            self.bytes.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_body_grows_to_the_same_bytes_and_stops_at_its_limit() {
        for secret in [false, true] {
            let mut buffer = BodyBuffer::new(0, 10_000, secret).unwrap();
            for n in 0..100_u8 {
                buffer.append(&[n; 100]).unwrap();
            }
            assert_eq!(buffer.append(b"x").unwrap_err().kind, FailureKind::TooLarge);
            let expected: Vec<u8> = (0..100_u8).flat_map(|n| [n; 100]).collect();
            assert_eq!(buffer.into_inner(), expected);
        }
    }

    #[test]
    fn a_promised_length_reserves_little() {
        let buffer = BodyBuffer::new(1_000_000_000, u64::MAX, true).unwrap();
        assert!(buffer.bytes.capacity() <= 64 * 1024);
    }
}
