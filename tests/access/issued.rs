//! An authority of clients, made for a test: its certificates begin and end when the test wants it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

const SEQUENCE: u8 = 0x30;
const OBJECT: u8 = 0x06;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const INTEGER: u8 = 0x02;
const TRUE: [u8; 3] = [0x01, 1, 0xff];
/// ecdsa-with-SHA256 (RFC 5758, section 3.2).
const SIGNED_BY: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// id-ecPublicKey and secp256r1 (RFC 5480, section 2.1.1).
const EC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// commonName, subjectAltName and basicConstraints (RFC 5280, appendix A).
const COMMON_NAME: [u8; 3] = [0x55, 4, 3];
const ALSO_NAMED: [u8; 3] = [0x55, 0x1d, 17];
const CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 19];

/// An element of DER, of these.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let held = parts.concat();
    let length = u16::try_from(held.len()).unwrap().to_be_bytes();
    // As short as can be: DER has one way to write a thing.
    let head = match held.len() {
        0..0x80 => vec![tag, length[1]],
        0x80..0x100 => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [head, held].concat()
}

fn name(text: &str) -> Vec<u8> {
    let common = der(SEQUENCE, &[&der(OBJECT, &[&COMMON_NAME]), &der(0x0c, &[text.as_bytes()])]);
    der(SEQUENCE, &[&der(0x31, &[&common])])
}

/// So many seconds from now.
fn at(seconds: i64) -> Vec<u8> {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    der(0x17, &[at.strftime("%y%m%d%H%M%SZ").to_string().as_bytes()])
}

fn key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()
}

/// See the module.
pub struct Authority {
    key: EcdsaKeyPair,
}

impl Authority {
    pub fn new() -> Self {
        Self { key: key() }
    }

    /// As `tls_client_ca` reads it.
    pub fn pem(&self) -> String {
        let is_one = der(SEQUENCE, &[&TRUE]);
        let constraints = der(SEQUENCE, &[&der(OBJECT, &[&CONSTRAINTS]), &TRUE, &der(OCTETS, &[&is_one])]);
        let text =
            base64::engine::general_purpose::STANDARD.encode(self.issue("authority", &self.key, 3_600, &constraints));
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    /// A certificate for this name, good for so long from now, or until so many seconds ago; and its key.
    pub fn client(&self, named: &str, seconds: i64) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = key();
        let names = der(SEQUENCE, &[&der(0x82, &[named.as_bytes()])]);
        let also = der(SEQUENCE, &[&der(OBJECT, &[&ALSO_NAMED]), &der(OCTETS, &[&names])]);
        let certificate = self.issue(named, &key, seconds, &also);
        let key = key.to_pkcs8v1().unwrap().as_ref().to_vec();
        (certificate.into(), PrivatePkcs8KeyDer::from(key).into())
    }

    fn issue(&self, to: &str, key: &EcdsaKeyPair, seconds: i64, extension: &[u8]) -> Vec<u8> {
        let signed_by = der(SEQUENCE, &[&der(OBJECT, &[&SIGNED_BY])]);
        let of_key = der(SEQUENCE, &[&der(OBJECT, &[&EC_KEY]), &der(OBJECT, &[&P256])]);
        let to_sign = der(
            SEQUENCE,
            &[
                &der(0xa0, &[&der(INTEGER, &[&[2]])]),
                &der(INTEGER, &[&[1]]),
                &signed_by,
                &name("authority"),
                &der(SEQUENCE, &[&at(-3_600), &at(seconds)]),
                &name(to),
                &der(SEQUENCE, &[&of_key, &der(BITS, &[&[0], key.public_key().as_ref()])]),
                &der(0xa3, &[&der(SEQUENCE, &[extension])]),
            ],
        );
        let signature = self.key.sign(&SystemRandom::new(), &to_sign).unwrap();
        der(SEQUENCE, &[&to_sign, &signed_by, &der(BITS, &[&[0], signature.as_ref()])])
    }
}
