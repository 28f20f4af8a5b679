//! Where an archive is, and how to get in.

use std::path::{Path, PathBuf};

/// Where an archive is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ArchiveAt {
    /// In a folder: of another disk, if it is to be of use.
    Folder(PathBuf),
    /// In an object store that speaks S3.
    Bucket {
        /// The bucket, which must be there.
        bucket: String,
        /// What the names of objects begin with. May be empty.
        prefix: String,
    },
}

impl ArchiveAt {
    /// Reads `s3://bucket/prefix`, or a path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.split_once("://") {
            None if text.is_empty() => Err("is empty"),
            None => Ok(Self::Folder(text.into())),
            Some(("s3", rest)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() || bucket.contains(['@', ':', '?', '#']) {
                    return Err("names no bucket: s3://bucket/prefix; keys are given apart from it");
                }
                Ok(Self::Bucket { bucket: bucket.into(), prefix: prefix.trim_matches('/').into() })
            }
            Some(_) => Err("is neither a folder nor s3://bucket/prefix"),
        }
    }
}

/// `s3://bucket/prefix`, or the path.
impl std::fmt::Display for ArchiveAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// An archive and how to reach it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchiveSettings {
    /// Where it is.
    pub at: ArchiveAt,
    /// The address of the object store, where it is not that of AWS: `http://127.0.0.1:9000`. Without TLS only as `http:`.
    pub endpoint: Option<String>,
    /// Its region. `None`: that of the environment, or `us-east-1`.
    pub region: Option<String>,
    /// A file with the keys, as `~/.aws/credentials` has them; its section `default`. `None`: those of the environment
    /// (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`), or of the machine's role.
    pub credentials: Option<PathBuf>,
    /// The bucket is part of the host's name, not of the path: some stores ask for it.
    pub virtual_hosts: bool,
}

impl ArchiveSettings {
    /// An archive in this place, with what the environment says.
    #[must_use]
    pub const fn new(at: ArchiveAt) -> Self {
        Self { at, endpoint: None, region: None, credentials: None, virtual_hosts: false }
    }

    pub(super) fn credentials(&self) -> Result<Option<Credentials>, String> {
        let Some(path) = &self.credentials else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: the credentials cannot be read: {error}", path.display()))?;
        Credentials::read(&text, path).map(Some)
    }
}

/// Keys of an object store.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The key's name.
    pub id: String,
    /// The key.
    pub secret: String,
    /// What belongs to a key that expires.
    pub token: Option<String>,
}

/// Shows no key.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// Reads the section `default` of such a file, or the lines before any section.
    ///
    /// # Errors
    /// A key is missing; says which and where.
    pub fn read(text: &str, path: &Path) -> Result<Self, String> {
        let mut wanted = true;
        let (mut id, mut secret, mut token) = (None, None, None);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
            if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                wanted = section.trim() == "default";
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| wanted) else { continue };
            match key.trim() {
                "aws_access_key_id" => id = Some(value.trim().to_owned()),
                "aws_secret_access_key" => secret = Some(value.trim().to_owned()),
                "aws_session_token" => token = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let missing = |what| format!("{}: {what} is missing from its section [default]", path.display());
        Ok(Self {
            id: id.ok_or_else(|| missing("aws_access_key_id"))?,
            secret: secret.ok_or_else(|| missing("aws_secret_access_key"))?,
            token,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_or_a_bucket() {
        assert_eq!(ArchiveAt::parse("/mnt/log"), Ok(ArchiveAt::Folder("/mnt/log".into())));
        let bucket = ArchiveAt::parse("s3://logs/ringfence/").unwrap();
        assert_eq!(bucket.to_string(), "s3://logs/ringfence");
        assert_eq!(ArchiveAt::parse("s3://logs").unwrap().to_string(), "s3://logs");
        for bad in ["", "s3://", "s3:///prefix", "s3://key:secret@logs/x", "gs://logs"] {
            assert!(ArchiveAt::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_are_read_as_every_tool_writes_them() {
        let path = Path::new("keys");
        let text =
            "# mine\n[other]\naws_access_key_id = no\n[default]\naws_access_key_id=me\naws_secret_access_key = hush\n";
        let read = Credentials::read(text, path).unwrap();
        assert_eq!((read.id.as_str(), read.secret.as_str(), &read.token), ("me", "hush", &None));
        assert!(!format!("{read:?}").contains("hush"));
        let missing = Credentials::read("[default]\naws_access_key_id=me\n", path).unwrap_err();
        assert!(missing.contains("keys") && missing.contains("aws_secret_access_key"), "{missing}");
    }
}
