//! Generates the message types, gRPC services and proto3 JSON of `proto/`. Needs no `protoc`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

/// The files of the public contract; served by reflection, with all that they import.
const API: [&str; 16] = [
    "google/rpc/status.proto",
    "ringfence/v1/audit.proto",
    "ringfence/v1/check.proto",
    "ringfence/v1/consent.proto",
    "ringfence/v1/contact.proto",
    "ringfence/v1/control.proto",
    "ringfence/v1/decision.proto",
    "ringfence/v1/evidence.proto",
    "ringfence/v1/incident.proto",
    "ringfence/v1/law.proto",
    "ringfence/v1/policy.proto",
    "ringfence/v1/privacy.proto",
    "ringfence/v1/processor.proto",
    "ringfence/v1/registry.proto",
    "ringfence/v1/retention.proto",
    "ringfence/v1/vocabulary.proto",
];
/// The file of what is stored; never served.
const STORED: [&str; 1] = ["ringfence/store/v1/record.proto"];

/// Text fields that may hold a phone number. The generated `Debug` masks them, so that no log line can carry one whole.
const MASKED: [&str; 8] = ["number", "numbers", "caller_id", "sent_to", "text", "wording", "details", "secret"];

/// Where `google.protobuf` lives: our own types, since their JSON must be the canonical one.
const WELL_KNOWN: (&str, &str) = (".google.protobuf", "crate::proto::well_known");

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("api.bin"), compiler(&API)?.encode_file_descriptor_set())?;
    let all = compiler(&[API.as_slice(), STORED.as_slice()].concat())?;
    let bytes = all.encode_file_descriptor_set();
    fs::write(out.join("all.bin"), &bytes)?;

    let masked = masked_messages(&all)?;
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .extern_path(WELL_KNOWN.0, WELL_KNOWN.1)
        .emit_rerun_if_changed(false)
        .skip_debug(masked.keys().map(|name| format!(".{name}")).collect::<Vec<_>>())
        .compile_fds(all.file_descriptor_set())?;
    pbjson_build::Builder::new()
        .register_descriptors(&bytes)?
        .extern_path(WELL_KNOWN.0, WELL_KNOWN.1)
        .build(&[".ringfence.v1", ".google.rpc"])?;
    for package in ["ringfence.v1", "ringfence.store.v1"] {
        fs::write(out.join(format!("{package}.debug.rs")), debug_impls(package, &masked)?)?;
    }
    Ok(())
}

/// The files, parsed with all that they import, comments kept.
fn compiler(files: &[&str]) -> Result<protox::Compiler, protox::Error> {
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;
    Ok(compiler)
}

/// A message's full name to its fields: name, and whether to mask it.
type Masked = BTreeMap<String, Vec<(String, bool)>>;

/// The messages of ours that hold a field to mask. A oneof has no field of its own to write out, so the two exclude
/// each other.
fn masked_messages(all: &protox::Compiler) -> Result<Masked, Box<dyn Error>> {
    let mut found = Masked::new();
    for message in all.descriptor_pool().all_messages().filter(|m| m.package_name().starts_with("ringfence.")) {
        let fields = message.fields().map(|f| (f.name().to_owned(), MASKED.contains(&f.name()))).collect::<Vec<_>>();
        if !fields.iter().any(|(_, mask)| *mask) {
            continue;
        }
        if message.oneofs().any(|oneof| oneof.fields().len() > 1) {
            return Err(format!("{}: a field to mask beside a oneof", message.full_name()).into());
        }
        found.insert(message.full_name().to_owned(), fields);
    }
    Ok(found)
}

/// `Debug` for each message of the package that needs it written.
fn debug_impls(package: &str, masked: &Masked) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    for (name, fields) in masked {
        let Some(name) = name.strip_prefix(package).and_then(|rest| rest.strip_prefix('.')) else {
            continue;
        };
        write!(
            text,
            "impl ::core::fmt::Debug for {name} {{\n    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> "
        )?;
        write!(text, "::core::fmt::Result {{\n        f.debug_struct({name:?})")?;
        for (field, mask) in fields {
            let value = if *mask { format!("crate::proto::Masked(&self.{field})") } else { format!("self.{field}") };
            write!(text, "\n            .field({field:?}, &{value})")?;
        }
        text.push_str("\n            .finish()\n    }\n}\n");
    }
    Ok(text)
}
