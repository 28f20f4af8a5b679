//! Until when certificates are good: read off their bytes, which are all that is asked of a file that TLS has taken.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use super::tls::{TlsFault, certificates};

/// Tags of DER (X.690) that stand before the validity of a certificate (RFC 5280, section 4.1), and in it.
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first certificate of a file to expire: the file, and the second since 1970 at which that is.
///
/// # Errors
/// The file holds no certificate, or one whose dates cannot be read.
pub fn first_to_expire(path: &Path) -> Result<(PathBuf, i64), TlsFault> {
    let unreadable = || TlsFault::File { path: path.to_owned(), why: "has a certificate without dates".to_owned() };
    let ends = certificates(path)?.iter().map(expires).collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
    Ok((path.to_owned(), ends.into_iter().min().ok_or_else(unreadable)?))
}

/// The second since 1970 at which a certificate is no longer good.
pub(super) fn expires(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    // Version, where it is given, serial number, algorithm, issuer; then the validity.
    if *rest.first()? == VERSION {
        rest = element(rest)?.2;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (SEQUENCE, validity, _) = element(rest)? else { return None };
    let (tag, end, _) = element(element(validity)?.2)?;
    second(tag, end)
}

/// A time of DER, as the second since 1970.
pub(super) fn second(tag: u8, time: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2_000 + year } else { 1_900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let at = jiff::civil::DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, 0).ok()?;
    // RFC 5280, 4.1.2.5: 99991231235959Z is no end, and a little beyond what the library counts.
    Some(jiff::tz::TimeZone::UTC.to_timestamp(at).unwrap_or(jiff::Timestamp::MAX).as_second())
}

/// The first element: its tag, what it holds, and what comes after it.
pub(super) fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (held, after) = rest.split_at_checked(length)?;
    Some((*tag, held, after))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_and_nonsense_is_none() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/tls/authority.pem");
        let (file, end) = first_to_expire(&path).unwrap();
        assert_eq!((file, end), (path.clone(), 4948907487));
        let whole = CertificateDer::from_pem_file(&path).unwrap();
        for cut in 0..whole.len().min(400) {
            assert_eq!(expires(&CertificateDer::from(&whole[..cut])), None, "{cut}");
        }
    }
}
