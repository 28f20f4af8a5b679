//! Revocation lists of the authorities of clients (CRLs): read, and looked at before anything relies on them.
//!
//! Promises: a set is taken only where the verification of TLS can go by it: each list has not run out and is signed by its
//! authority, and each authority has exactly one. What of that is not so would refuse every client, or miss who was revoked.

use std::path::{Path, PathBuf};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};

use super::expiry::{SEQUENCE, VERSION, element, second};
use super::tls::{TlsFault, fault};
use crate::time::Instant;

/// Tags of DER (X.690).
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OBJECT: u8 = 0x06;
/// What stands before extensions.
const EXTENSIONS: u8 = 0xa0;
/// 2.5.29.27 and 2.5.29.28 (RFC 5280, sections 5.2.4 and 5.2.5).
const DELTA: &[u8] = &[0x55, 0x1d, 0x1b];
const PART: &[u8] = &[0x55, 0x1d, 0x1c];

/// A list, with where it came from.
pub(super) struct List {
    pub der: CertificateRevocationListDer<'static>,
    path: PathBuf,
    about: About,
}

/// What a list says of itself (RFC 5280, section 5.1).
struct About {
    /// The name of its authority, as DER has it.
    issuer: Vec<u8>,
    /// The second since 1970 by which the next one is there.
    until: i64,
    signed: Signed,
    /// Why it is not all that its authority has revoked.
    incomplete: Option<&'static str>,
}

/// What was signed, how, and the signature.
struct Signed {
    what: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

/// The name and the key of an authority (RFC 5280, section 4.1).
struct Authority<'a> {
    subject: &'a [u8],
    algorithm: &'a [u8],
    key: &'a [u8],
}

/// Until when the first list of these files to run out is good, in seconds since 1970.
///
/// # Errors
/// A file holds no list.
pub fn first_to_run_out(files: &[PathBuf]) -> Result<Option<i64>, TlsFault> {
    Ok(lists(files)?.iter().map(|list| list.about.until).min())
}

/// The lists of these files, PEM with one or several, or DER.
pub(super) fn lists(files: &[PathBuf]) -> Result<Vec<List>, TlsFault> {
    let mut lists = Vec::new();
    for path in files {
        let bytes = std::fs::read(path).map_err(|error| fault(path, format!("cannot be read: {error}")))?;
        let none = |why: &str| fault(path, format!("holds no revocation list in PEM or DER ({why})"));
        let found = if bytes.starts_with(&[SEQUENCE]) {
            vec![CertificateRevocationListDer::from(bytes)]
        } else {
            let read: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
            read.map_err(|error| none(&error.to_string()))?
        };
        if found.is_empty() {
            return Err(none("it has none"));
        }
        for der in found {
            let about = about(&der).ok_or_else(|| none("one is cut, or says not until when it is good"))?;
            if let Some(why) = about.incomplete {
                return Err(fault(path, format!("a revocation list {why}: put the whole list of the authority there")));
            }
            lists.push(List { der, path: path.clone(), about });
        }
    }
    Ok(lists)
}

/// Whether clients of these authorities, out of this file, can be held against the lists.
pub(super) fn check(
    lists: &[List],
    (path, authorities): (&Path, &[CertificateDer<'_>]),
    provider: &CryptoProvider,
) -> Result<(), TlsFault> {
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    for (at, list) in lists.iter().enumerate() {
        if list.about.until <= now {
            let until = Instant::from_millis(list.about.until.saturating_mul(1_000));
            let what =
                format!("a revocation list ran out {until}: who was revoked since is not in it: put a newer one there");
            return Err(fault(&list.path, what));
        }
        if let Some(other) = lists.iter().take(at).find(|other| other.about.issuer == list.about.issuer) {
            let other = other.path.display();
            let what =
                format!("a second revocation list of an authority, beside that of {other}: keep the newest alone");
            return Err(fault(&list.path, what));
        }
    }
    for (at, certificate) in authorities.iter().enumerate() {
        let n = at + 1;
        let no =
            |what: &str| fault(path, format!("of certificate {n} {what}, so each of its clients would be refused"));
        let authority = authority(certificate).ok_or_else(|| no("the key cannot be read"))?;
        let Some(list) = lists.iter().find(|list| list.about.issuer == authority.subject) else {
            return Err(no("no list is in tls_client_crl: add it, an empty one if nobody is revoked"));
        };
        if !list.about.signed.is_by(&authority, provider) {
            let at = path.display();
            let what =
                format!("a revocation list is not signed by the authority that it names, certificate {n} of {at}");
            return Err(fault(&list.path, what));
        }
    }
    Ok(())
}

impl Signed {
    fn is_by(&self, authority: &Authority<'_>, provider: &CryptoProvider) -> bool {
        let known = provider.signature_verification_algorithms.all.iter().filter(|known| {
            known.signature_alg_id().as_ref() == self.algorithm
                && known.public_key_alg_id().as_ref() == authority.algorithm
        });
        known.into_iter().any(|known| known.verify_signature(authority.key, &self.what, &self.signature).is_ok())
    }
}

fn about(list: &[u8]) -> Option<About> {
    let (SEQUENCE, list, _) = element(list)? else { return None };
    let (SEQUENCE, said, rest) = element(list)? else { return None };
    let what = list.get(..list.len().checked_sub(rest.len())?)?.to_vec();
    let (SEQUENCE, algorithm, rest) = element(rest)? else { return None };
    let (BITS, signature, _) = element(rest)? else { return None };
    let signed = Signed { what, algorithm: algorithm.to_vec(), signature: bits(signature)?.to_vec() };
    // Version and algorithm, then who says it, since when, and until when.
    let (INTEGER, _, rest) = element(said)? else { return None };
    let (SEQUENCE, issuer, rest) = element(element(rest)?.2)? else { return None };
    let (tag, until, rest) = element(element(rest)?.2)?;
    Some(About { issuer: issuer.to_vec(), until: second(tag, until)?, signed, incomplete: incomplete(rest)? })
}

/// What the extensions of a list say of its being whole; `None`: they are cut.
fn incomplete(mut rest: &[u8]) -> Option<Option<&'static str>> {
    let mut found = None;
    while !rest.is_empty() {
        let (tag, said, after) = element(rest)?;
        rest = after;
        // Before them stands who was revoked.
        if tag != EXTENSIONS {
            continue;
        }
        let (SEQUENCE, mut extensions, _) = element(said)? else { return None };
        while !extensions.is_empty() {
            let (SEQUENCE, extension, after) = element(extensions)? else { return None };
            let (OBJECT, name, _) = element(extension)? else { return None };
            found = match name {
                DELTA => Some("holds changes alone (a delta)"),
                PART if !is_of_all_users(extension) => {
                    Some("is of a part of the certificates (an issuing distribution point)")
                }
                _ => found,
            };
            extensions = after;
        }
    }
    Some(found)
}

/// Whether an issuing distribution point (RFC 5280, section 5.2.5) says no more than that the list is of those who are no
/// authorities. The handshake goes by that.
fn is_of_all_users(extension: &[u8]) -> bool {
    const OCTETS: u8 = 0x04;
    const ONLY_USERS: u8 = 0x81;
    let value = |rest| match element(rest)? {
        (OCTETS, value, _) => Some(value),
        // Whether it is critical.
        (_, _, rest) => element(rest).filter(|(tag, ..)| *tag == OCTETS).map(|(_, value, _)| value),
    };
    let said = || {
        let (_, _, rest) = element(extension)?;
        let (SEQUENCE, said, _) = element(value(rest)?)? else { return None };
        let (tag, _, rest) = element(said)?;
        Some(tag == ONLY_USERS && rest.is_empty())
    };
    said().unwrap_or(false)
}

fn authority<'a>(certificate: &'a [u8]) -> Option<Authority<'a>> {
    let (SEQUENCE, certificate, _) = element(certificate)? else { return None };
    let (SEQUENCE, mut rest, _) = element(certificate)? else { return None };
    if *rest.first()? == VERSION {
        rest = element(rest)?.2;
    }
    // Serial number, algorithm, issuer, validity; then the name and the key.
    for _ in 0..4 {
        rest = element(rest)?.2;
    }
    let (SEQUENCE, subject, rest) = element(rest)? else { return None };
    let (SEQUENCE, key, _) = element(rest)? else { return None };
    let (SEQUENCE, algorithm, rest) = element(key)? else { return None };
    let (BITS, key, _) = element(rest)? else { return None };
    Some(Authority { subject, algorithm, key: bits(key)? })
}

/// Bits that are whole bytes.
fn bits(string: &[u8]) -> Option<&[u8]> {
    string.split_first().filter(|(unused, _)| **unused == 0).map(|(_, bytes)| bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::super::tls::certificates;
    use super::*;

    fn path(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/access/tls").join(name)
    }

    /// What is wrong with these lists of the authority.
    fn wrong(names: &[&str]) -> Option<String> {
        let files: Vec<_> = names.iter().map(|name| path(name)).collect();
        let authorities = path("authority.pem");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let checked = lists(&files)
            .and_then(|lists| check(&lists, (&authorities, &certificates(&authorities).unwrap()), &provider));
        checked.err().map(|fault| fault.to_string())
    }

    #[test]
    fn lists_that_tls_can_go_by_are_taken_and_others_refused_with_the_reason() {
        assert_eq!((wrong(&["none.crl"]), wrong(&["dialer.crl"])), (None, None), "in PEM and in DER");
        for (names, why) in [
            (&["absent.crl"][..], "absent.crl: cannot be read"),
            (&["authority.pem"], "authority.pem: holds no revocation list"),
            (&["expired.crl"], "expired.crl: a revocation list ran out 2026-11-08"),
            (&["forged.crl"], "forged.crl: a revocation list is not signed by the authority"),
            (&["sharded.crl"], "sharded.crl: a revocation list is of a part of the certificates"),
            (&["delta.crl"], "delta.crl: a revocation list holds changes alone"),
            (&["none.crl", "dialer.crl"], "dialer.crl: a second revocation list"),
            (&[], "authority.pem: of certificate 1 no list is in tls_client_crl"),
        ] {
            let told = wrong(names).unwrap();
            assert!(told.contains(why), "{why}: {told}");
        }
        let told = wrong(&["users.crl"]).unwrap();
        assert!(told.contains("no list is in tls_client_crl"), "of another authority, and whole: {told}");
    }

    #[test]
    fn the_end_of_lists_is_read_and_nonsense_is_none() {
        let files = ["expired.crl", "dialer.crl"].map(path);
        assert_eq!(first_to_run_out(&files).unwrap(), Some(1_794_096_000));
        assert_eq!(first_to_run_out(&[]).unwrap(), None);
        let whole = std::fs::read(path("dialer.crl")).unwrap();
        for cut in 0..whole.len() {
            assert!(about(&whole[..cut]).is_none(), "{cut}");
        }
    }
}
