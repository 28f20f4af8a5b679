//! The secret of an API key, and what is kept of it.
//!
//! A secret is 256 random bits, made here and nowhere else. Of such a value one plain SHA-256 is as good as the slow hashes
//! that passwords need: those make each of the few guesses that a dictionary holds dear, and here no dictionary is
//! smaller than 2^256. A slow hash would only make every request slow, and guessing a way to keep the server busy.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// How every secret begins, so that scanners for leaked secrets know one.
const PREFIX: &str = "rfk_";
const BYTES: usize = 32;

/// The secret of a key: shown once, when it is made.
pub struct ApiKey(Zeroizing<String>);

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl ApiKey {
    /// A new one. `None`: the system gives no random bytes.
    #[must_use]
    pub fn generate() -> Option<Self> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        SystemRandom::new().fill(bytes.as_mut()).ok()?;
        Some(Self(Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_ref())))))
    }

    /// The secret itself, to be given to whoever is to use it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(&self.0)
    }
}

/// The SHA-256 of a secret.
#[derive(Clone, Copy, Debug)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// That of a secret as a caller shows it.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(sha256(secret.as_bytes()))
    }

    /// Reads [`KeyDigest::text`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        read_sha256(text).map(Self)
    }

    /// `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn text(&self) -> String {
        sha256_text(&self.0)
    }

    /// The first bytes, by which a key is found; what is found is then compared whole.
    pub(super) const fn beginning(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        [a, b, c, d, e, f, g, h]
    }

    /// Whether both are of the same secret, in a time that says nothing about where they differ.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

pub(super) fn sha256_text(digest: &[u8; 32]) -> String {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

pub(super) fn read_sha256(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix("sha256:")?;
    // As `openssl x509 -fingerprint` prints it, with colons between.
    let hex: String = hex.chars().filter(|c| *c != ':').collect();
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; 32];
    for (byte, digits) in out.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_256_random_bits_and_its_digest_reads_back() {
        let (one, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert_eq!(one.reveal().len(), PREFIX.len() + 43);
        assert_ne!(one.reveal(), other.reveal());
        let kept = KeyDigest::parse(&one.digest().text()).unwrap();
        assert!(kept.is(&KeyDigest::of(one.reveal())) && !kept.is(&other.digest()));
        assert!(!format!("{one:?}").contains(one.reveal()));
    }

    #[test]
    fn a_digest_that_is_none_is_not_read() {
        let good = "a".repeat(64);
        assert!(read_sha256(&format!("sha256:{good}")).is_some());
        for bad in ["", "sha256:", &good, "sha256:zz", &format!("sha256:{}", "+a".repeat(32)), "sha256:ää"] {
            assert!(read_sha256(bad).is_none(), "{bad}");
        }
    }
}
