//! `ringfence access`: who may ask a server.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::replace::{self, beside};
use super::{Error, Exit, Global, now, output, settings};
use crate::access::{
    ApiKey, Callers, Certificate, Entry, Limits, NewCaller, Role, Roles, appended_caller, appended_revocation, is_name,
};
use crate::time::{Instant, Millis};

/// More than anybody's callers; a larger file is something else.
const MOST_BYTES: u64 = 16 << 20;

/// Who may ask a server.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Let somebody ask: makes a key, shown once, or takes a client certificate
    New(NewArgs),
    /// Everybody who may ask, and who no longer may
    List(ListArgs),
    /// Let somebody ask no longer, from the next request on
    Revoke(RevokeArgs),
}

/// Which file.
#[derive(Clone, Debug, clap::Args)]
pub struct AccessFile {
    /// The file of those who may ask; without it the one that the server's settings name, or ringfence-access.toml
    #[arg(long, value_name = "FILE", env = "RINGFENCE_ACCESS", hide_env_values = true)]
    access: Option<PathBuf>,
    /// The server's file of settings; ringfence.toml where there is one
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

impl AccessFile {
    fn path(&self) -> Result<PathBuf, Error> {
        settings::file_of_server("access", self.access.as_deref(), self.config.as_deref(), USUAL)
    }
}

/// The file where nothing names another.
const USUAL: &str = "ringfence-access.toml";

/// `access new`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Let somebody ask: makes a key, shown once, or takes a client certificate",
    after_help = "Roles: check, assert-emergencies, write-consent, read-contacts, manage-lists, audit, read-law, control, \
                  administer, privacy, export, operate; deploy/access.md says what each allows. A server that has the file takes the change \
                  within seconds. The key is sent as `authorization: Bearer KEY`."
)]
pub struct NewArgs {
    /// The name: in logs, and in the audit log for ever; never given twice
    name: String,
    /// For whom it asks: sees and changes what belongs to this tenant, and nothing else
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// What it may do, comma-separated
    #[arg(long, value_name = "ROLES", value_delimiter = ',', required = true)]
    role: Vec<String>,
    /// Until when it may: an instant, or days from now, such as 90d
    #[arg(long, value_name = "INSTANT")]
    expires: Option<String>,
    /// By which client certificate it is known: `sha256:…`, or a name that it is issued for
    #[arg(long, value_name = "WHICH")]
    certificate: Option<String>,
    /// With --certificate: make a key too, and ask for both
    #[arg(long, requires = "certificate")]
    with_key: bool,
    #[command(flatten)]
    file: AccessFile,
}

/// `access list`.
#[derive(Debug, clap::Args)]
#[command(about = "Everybody who may ask, and who no longer may")]
pub struct ListArgs {
    #[command(flatten)]
    file: AccessFile,
}

/// `access revoke`.
#[derive(Debug, clap::Args)]
#[command(about = "Let somebody ask no longer, from the next request on")]
pub struct RevokeArgs {
    /// Whom
    name: String,
    #[command(flatten)]
    file: AccessFile,
}

/// Runs it.
///
/// # Errors
/// The file cannot be read or written, or is at fault; a name that is taken or unknown.
pub fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::New(args) => new(&args, global),
        Command::List(args) => list(&args, global),
        Command::Revoke(args) => revoke(&args, global),
    }
}

fn new(args: &NewArgs, global: &Global) -> Result<Exit, Error> {
    for (option, name) in [("the name", &args.name), ("--tenant", &args.tenant)] {
        if !is_name(name) {
            return Err(Error::said(format!(
                "{option}: `{}` is not 1 to 64 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter or a digit",
                name.chars().take(64).flat_map(char::escape_debug).collect::<String>()
            )));
        }
    }
    let roles = args.role.iter().map(|word| role(word)).collect::<Result<Roles, _>>()?;
    let now = now();
    let expires = args.expires.as_deref().map(|text| end(text, now)).transpose()?;
    let known_by = args.certificate.as_deref().map(certificate).transpose()?;
    let key = match &known_by {
        Some(_) if !args.with_key => None,
        _ => Some(ApiKey::generate().ok_or_else(|| Error::said("the system gives no random bytes"))?),
    };
    let new = NewCaller {
        name: &args.name,
        tenant: &args.tenant,
        roles,
        key: key.as_ref().map(ApiKey::digest),
        certificate: known_by.as_ref(),
        created: now,
        expires,
    };
    let path = args.file.path()?;
    change(&path, true, |text, callers| {
        if callers.entries().iter().any(|entry| *entry.name == args.name) {
            return Err(Error::said(format!(
                "`{}` is taken, by somebody who was revoked too: give another name",
                args.name
            )));
        }
        Ok(appended_caller(text, &new))
    })?;
    let secret = key.as_ref().map(ApiKey::reveal);
    if global.json {
        let expires = expires.and_then(Instant::to_rfc3339);
        let file = path.display().to_string();
        output::say_json(
            &json!({ "name": args.name, "tenant": args.tenant, "key": secret, "expires": expires, "file": file }),
        )?;
        return Ok(Exit::Yes);
    }
    match secret {
        Some(secret) => {
            // The key alone on standard output, so that it can be put where it belongs without anybody reading it.
            output::say(&format!("{secret}\n"))?;
            output::note(&format!(
                "{}: `{}` may ask for {}. The key is shown this once and kept nowhere.",
                path.display(),
                args.name,
                args.tenant
            ));
        }
        None => output::say(&format!(
            "{}: `{}` may ask for {}, by its client certificate.\n",
            path.display(),
            args.name,
            args.tenant
        ))?,
    }
    Ok(Exit::Yes)
}

fn role(word: &str) -> Result<Role, Error> {
    Role::of_word(word.trim()).ok_or_else(|| {
        let known: Vec<_> = Role::ALL.iter().map(|role| role.word()).collect();
        let word: String = word.chars().take(32).flat_map(char::escape_debug).collect();
        Error::said(format!("--role: `{word}` is none; there are {}", known.join(", ")))
    })
}

fn end(text: &str, now: Instant) -> Result<Instant, Error> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u16>().ok());
    let end = days.map(|days| now.plus(Millis::days(days.into()))).or_else(|| Instant::from_rfc3339(text));
    let bad = || Error::said("--expires: not an instant such as 2027-01-31T00:00:00Z, nor days such as 90d".to_owned());
    let end = end.ok_or_else(bad)?;
    if end <= now { Err(Error::said("--expires: is not later than now")) } else { Ok(end) }
}

fn certificate(text: &str) -> Result<Certificate, Error> {
    Certificate::parse(text).ok_or_else(|| {
        Error::said("--certificate: neither `sha256:` and 64 hexadecimal digits nor a DNS name or address".to_owned())
    })
}

fn revoke(args: &RevokeArgs, global: &Global) -> Result<Exit, Error> {
    let at = now();
    let path = args.file.path()?;
    change(&path, false, |text, callers| match callers.entries().iter().find(|entry| *entry.name == args.name) {
        None => Err(Error::said(format!("{}: nobody is called `{}`", path.display(), args.name))),
        Some(Entry { revoked: Some(at), .. }) => {
            Err(Error::said(format!("{}: `{}` was revoked at {at} already", path.display(), args.name)))
        }
        Some(_) => Ok(appended_revocation(text, &args.name, at)),
    })?;
    match global.json {
        true => output::say_json(
            &json!({ "name": args.name, "revoked": at.to_rfc3339(), "file": path.display().to_string() }),
        )?,
        false => output::say(&format!(
            "{}: `{}` may ask no longer; servers that have this file know within seconds.\n",
            path.display(),
            args.name
        ))?,
    }
    Ok(Exit::Yes)
}

fn list(args: &ListArgs, global: &Global) -> Result<Exit, Error> {
    let callers = read(&args.file.path()?, Limits::NONE)?;
    let now = now();
    let text = |at: Option<Instant>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let roles = |entry: &Entry| entry.roles.iter().map(Role::word).collect::<Vec<_>>();
    if global.json {
        let all = callers.entries().iter().map(|entry| {
            json!({
                "name": &*entry.name, "tenant": &*entry.tenant, "roles": roles(entry), "state": entry.state(now).word(),
                "key": entry.key.is_some(), "certificate": entry.certificate.as_ref().map(Certificate::text),
                "created": entry.created.and_then(Instant::to_rfc3339),
                "expires": entry.expires.and_then(Instant::to_rfc3339),
                "revoked": entry.revoked.and_then(Instant::to_rfc3339),
            })
        });
        output::say_json(&json!({ "callers": all.collect::<Vec<_>>() }))?;
        return Ok(Exit::Yes);
    }
    let mut rows = vec![["name", "tenant", "state", "by", "expires", "roles"].map(str::to_owned).to_vec()];
    rows.extend(callers.entries().iter().map(|entry| {
        let by = match (&entry.key, &entry.certificate) {
            (Some(_), Some(_)) => "key and certificate",
            (Some(_), None) => "key",
            _ => "certificate",
        };
        let (name, tenant) = (entry.name.to_string(), entry.tenant.to_string());
        let state = entry.state(now).word().to_owned();
        vec![name, tenant, state, by.to_owned(), text(entry.expires), roles(entry).join(", ")]
    }));
    output::say(&output::table(&rows))?;
    Ok(Exit::Yes)
}

/// Reads the file of those who may ask.
///
/// # Errors
/// It cannot be read; others may change it; every fault in it.
pub(super) fn read(path: &Path, usual: Limits) -> Result<Callers, Error> {
    parsed(path, &text(path)?, usual)
}

/// The text of the file.
///
/// # Errors
/// It cannot be read; others may change it.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Error::said(format!("{}: no such file: make one with `ringfence access new`", path.display()))
        }
        _ => Error::at(path, "opening", &error),
    })?;
    text_of(path, file)
}

fn text_of(path: &Path, file: File) -> Result<String, Error> {
    let about = file.metadata().map_err(|error| Error::at(path, "reading", &error))?;
    // Whoever can change the file can do anything, as anybody.
    let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
    if mode & 0o022 != 0 {
        let path = path.display();
        return Err(Error::said(format!(
            "{path}: others may change this file (mode {mode:03o}): run `chmod 600` on it"
        )));
    }
    let mut text = String::new();
    let read = file.take(MOST_BYTES).read_to_string(&mut text);
    read.map_err(|error| Error::at(path, "reading", &error))?;
    Ok(text)
}

/// What a text of the file says.
///
/// # Errors
/// Every fault in it.
pub(super) fn parsed(path: &Path, text: &str, usual: Limits) -> Result<Callers, Error> {
    Callers::read(text, usual).map_err(|faults| {
        let lines: Vec<_> = faults.iter().map(|fault| format!("{}: {fault}", path.display())).collect();
        Error::said(lines.join("\n"))
    })
}

/// Puts another text in the place of the file, whole at every instant, one process at a time.
fn change(
    path: &Path,
    may_make: bool,
    make: impl FnOnce(&str, &Callers) -> Result<String, Error>,
) -> Result<(), Error> {
    // A link to the file stays one.
    let path = &replace::place(path)?;
    let lock_path = beside(path, ".lock");
    let lock = options().create(true).truncate(false).open(&lock_path);
    let lock = lock.map_err(|error| Error::at(&lock_path, "opening", &error))?;
    // Held until it is closed.
    lock.lock().map_err(|error| Error::at(&lock_path, "locking", &error))?;
    let (before, about) = match File::open(path) {
        Ok(file) => {
            let about = file.metadata().map_err(|error| Error::at(path, "reading", &error))?;
            (text_of(path, file)?, Some(about))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && may_make => (String::new(), None),
        Err(error) => return Err(Error::at(path, "opening", &error)),
    };
    let after = make(&before, &parsed(path, &before, Limits::NONE)?)?;
    // What a server would refuse is not written.
    parsed(path, &after, Limits::NONE)?;
    let new = beside(path, ".new");
    let written = (|| {
        let mut file = options().create(true).truncate(true).open(&new)?;
        if let Some(about) = &about {
            // Whoever could read it must still be able to: a server of another user.
            if about.uid() != file.metadata()?.uid() || about.gid() != file.metadata()?.gid() {
                std::os::unix::fs::fchown(&file, Some(about.uid()), Some(about.gid()))?;
            }
            file.set_permissions(about.permissions())?;
        }
        file.write_all(after.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        // The new name is as safe as what it names.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    })();
    written.map_err(|error| Error::at(path, "writing", &error))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.write(true), 0o600);
    options
}
