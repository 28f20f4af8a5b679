//! What the fuzz targets do, in every test run: the same bodies (`fuzz/src`) over their seeds, and over seeds mangled by
//! chance that is the same on every run. No bytes, however mangled, make a reader fail otherwise than in words, or answer
//! what was never asked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "fuzzed/mangle.rs"]
mod mangle;
#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use mangle::Random;
use prost::Message as _;
use ringfence::proto::FILE_DESCRIPTOR_SET;
use targets::{TARGETS, Target, calls};

/// Runs a target; what it panics with is told together with the bytes, as a regression test wants them.
fn run(target: &Target, bytes: &[u8]) {
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    assert!(ended.is_ok(), "{}: b\"{}\"", target.name, bytes.escape_ascii());
}

/// Its seeds, and so many mangled ones.
fn seeded(name: &str, runs: u32) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{name}");
    for seed in &seeds {
        run(target, seed);
    }
    let mut random = Random::new(name);
    for _ in 0..runs {
        let bytes = random.mangled(&seeds);
        run(target, &bytes);
    }
    run(target, &[]);
}

/// A target that is not among them fails [`every_target_is_run_here`].
macro_rules! seeded {
    ($($target:ident $runs:literal,)*) => {
        $(#[test]
        fn $target() {
            seeded(stringify!($target), $runs);
        })*

        const RUN: &[&str] = &[$(stringify!($target)),*];
    };
}

seeded! {
    check_message 150,
    check_stream 100,
    contact_rows 300,
    grpc_call 300,
    http_call 300,
    import_asked 300,
    import_columns 400,
    import_lines 1_000,
    import_packed 300,
    inbound_text 100,
    list_text 400,
    reassigned_answers 300,
    rule_pack 200,
    scrub_parquet 250,
    scrub_rows 200,
    set_body 1_000,
    set_file 300,
}

#[test]
fn every_target_is_run_here() {
    let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(RUN.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), names);
    let files = fs::read_dir("fuzz/fuzz_targets").unwrap().map(|entry| entry.unwrap().path());
    let mut found = BTreeSet::new();
    for path in files {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let body =
            format!("#![no_main]\n\nlibfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringfence_fuzz::{name}::run(bytes));\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), body, "{}: its body belongs into fuzz/src", path.display());
        found.insert(name);
    }
    assert_eq!(found, names, "a file in fuzz/fuzz_targets for each, and no other");
    let manifest = fs::read_to_string("fuzz/Cargo.toml").unwrap();
    let readme = fs::read_to_string("fuzz/README.md").unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")), "{name}");
        assert!(readme.contains(&format!("`{name}`")), "fuzz/README.md says nothing of {name}");
    }
}

#[test]
fn every_call_of_the_contract_is_among_the_calls() {
    let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let files = set.file.iter().filter(|file| file.package() == "ringfence.v1");
    let methods = files
        .flat_map(|file| &file.service)
        .flat_map(|service| service.method.iter().map(|method| format!("{}/{}", service.name(), method.name())));
    let known: BTreeSet<_> = calls::CALLS.iter().map(|call| call.method.to_owned()).collect();
    assert_eq!(methods.collect::<BTreeSet<_>>(), known);
    let routes = fs::read_to_string("src/http/mod.rs").unwrap();
    let posts = routes.split(".route(\"").skip(1).filter(|rest| rest.contains("\", post(") && rest.starts_with("/v1"));
    let posts: BTreeSet<_> =
        posts.filter_map(|rest| rest.split_once("\", post(")).map(|(path, _)| path.to_owned()).collect();
    let paths = calls::CALLS.iter().map(|call| call.path.to_owned()).filter(|path| !path.is_empty());
    assert_eq!(paths.collect::<BTreeSet<_>>(), posts);
}

/// Writes the seeds to `fuzz/corpus`, where `cargo fuzz` begins from.
#[test]
#[ignore = "writes files: see fuzz/README.md"]
fn write_seeds() {
    for target in TARGETS {
        let folder = Path::new("fuzz/corpus").join(target.name);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed).unwrap();
        }
    }
}
