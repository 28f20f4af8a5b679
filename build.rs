//! Generates the message types, gRPC services and proto3 JSON of `proto/`. Needs no `protoc`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use protox::prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

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
        // What a message would take in memory is told before it is decoded.
        .codec_path("crate::proto::codec::Weighing")
        .skip_debug(masked.keys().map(|name| format!(".{name}")).collect::<Vec<_>>())
        .compile_fds(all.file_descriptor_set())?;
    pbjson_build::Builder::new()
        .register_descriptors(&bytes)?
        .extern_path(WELL_KNOWN.0, WELL_KNOWN.1)
        .build(&[".ringfence.v1", ".google.rpc"])?;
    fs::write(out.join("layouts.rs"), layouts(&all.descriptor_pool())?)?;
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

/// What each message that a service takes is in memory, for `proto::weigh`: its size, and those of what it may hold many of.
/// What a service answers has none, since it is not weighed.
fn layouts(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let (mut asked, mut answered) = (BTreeMap::new(), BTreeMap::new());
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        asked.insert(method.input().full_name().to_owned(), method.input());
        answered.insert(method.output().full_name().to_owned(), method.output());
    }
    let (mut text, mut written) = (String::new(), BTreeMap::new());
    for (name, message) in &asked {
        layout(message, &mut Vec::new(), &mut written)?;
        let (rust, layout) = (rust_type(message)?, layout_name(name));
        writeln!(text, "impl Weighed for {rust} {{ const LAYOUT: Option<&'static Layout> = Some(&{layout}); }}")?;
    }
    for (_, message) in answered.iter().filter(|(name, _)| !asked.contains_key(*name)) {
        writeln!(text, "impl Weighed for {} {{}}", rust_type(message)?)?;
    }
    text.extend(written.into_values());
    Ok(text)
}

/// Writes the layout of a message, after those of what it holds.
fn layout(
    message: &MessageDescriptor,
    within: &mut Vec<String>,
    written: &mut BTreeMap<String, String>,
) -> Result<(), Box<dyn Error>> {
    let name = message.full_name().to_owned();
    // One that holds itself would be boxed, and as deep as its sender likes.
    if within.contains(&name) {
        return Err(format!("{name} holds itself: its size cannot be told").into());
    }
    within.push(name.clone());
    let mut fields = String::new();
    for field in message.fields() {
        let of = match field.kind() {
            Kind::Message(inner) => {
                layout(&inner, within, written)?;
                format!("Of::Message(&{})", layout_name(inner.full_name()))
            }
            Kind::String | Kind::Bytes => "Of::Text".to_owned(),
            Kind::Double | Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => {
                "Of::Scalar(8)".to_owned()
            }
            _ => "Of::Scalar(4)".to_owned(),
        };
        fields.push_str(&layout_field(&field, &of)?);
    }
    within.pop();
    let (short, rust) = (message.name(), rust_type(message)?);
    let text = format!(
        "static {}: Layout = Layout {{ name: {short:?}, bytes: size_of::<{rust}>(), fields: &[{fields}] }};\n",
        layout_name(&name)
    );
    written.insert(name, text);
    Ok(())
}

fn layout_field(field: &FieldDescriptor, of: &str) -> Result<String, Box<dyn Error>> {
    if field.is_map() {
        return Err(format!("{} is a map: its size cannot be told", field.full_name()).into());
    }
    let (number, name, json, many) = (field.number(), field.name(), field.json_name(), field.is_list());
    Ok(format!("Field {{ number: {number}, name: {name:?}, json: {json:?}, many: {many}, of: {of} }},"))
}

fn layout_name(message: &str) -> String {
    message.replace('.', "_").to_uppercase()
}

fn rust_type(message: &MessageDescriptor) -> Result<String, Box<dyn Error>> {
    let module = match message.package_name() {
        _ if message.parent_message().is_some() => None,
        "ringfence.v1" => Some("v1"),
        "google.protobuf" => Some("well_known"),
        "google.rpc" => Some("rpc"),
        _ => None,
    };
    let module = module.ok_or_else(|| format!("{}: where its type is is not known", message.full_name()))?;
    Ok(format!("crate::proto::{module}::{}", message.name()))
}
