//! The image: what its rules are, and that what is copied is all that the build needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{clean, good, is_taken, is_understood, not_run, read, root, tool_or_note};

/// One instruction of a Dockerfile.
struct Instruction {
    word: String,
    rest: String,
}

/// The instructions: comments left out, lines that go on joined.
fn instructions() -> Vec<Instruction> {
    let text = read("deploy/Dockerfile");
    let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let all = joined.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        Instruction { word: word.to_uppercase(), rest: rest.split_whitespace().collect::<Vec<_>>().join(" ") }
    });
    all.collect()
}

/// The instructions of the last stage: what the image is.
fn last_stage(all: &[Instruction]) -> &[Instruction] {
    &all[all.iter().rposition(|one| one.word == "FROM").unwrap()..]
}

fn one<'a>(stage: &'a [Instruction], word: &str) -> &'a str {
    let found: Vec<_> = stage.iter().filter(|one| one.word == word).collect();
    assert_eq!(found.len(), 1, "one {word}");
    &found[0].rest
}

/// What an instruction in its form of a list says: without a shell there is no other.
fn list(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("`{text}` is no list: {error}"))
}

/// The variables that the image sets.
pub fn variables() -> BTreeMap<String, String> {
    let all = instructions();
    let pairs = last_stage(&all).iter().filter(|one| one.word == "ENV").flat_map(|one| one.rest.split(' '));
    pairs.map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// The command line that a container runs with nothing said, and that of its health check.
pub fn commands() -> (Vec<String>, Vec<String>) {
    let all = instructions();
    let stage = last_stage(&all);
    let health = one(stage, "HEALTHCHECK").split_once("CMD ").expect("a health check with CMD").1.to_owned();
    ([list(one(stage, "ENTRYPOINT")), list(one(stage, "CMD"))].concat(), list(&health))
}

/// The folders that a container writes to.
pub fn volumes() -> Vec<String> {
    list(one(last_stage(&instructions()), "VOLUME"))
}

/// An image that is named by a version or a digest, whose version somebody chose.
#[track_caller]
pub fn is_pinned(image: &str) {
    let name = image.rsplit('/').next().unwrap();
    let tag = name.split_once('@').map(|(_, digest)| digest).or_else(|| name.split_once(':').map(|(_, tag)| tag));
    assert!(tag.is_some_and(|tag| !tag.is_empty() && tag != "latest"), "{image}: by version or digest, never `latest`");
}

#[test]
fn the_image_keeps_its_rules() {
    let all = instructions();
    let arguments: BTreeMap<_, _> =
        all.iter().filter(|one| one.word == "ARG").filter_map(|one| one.rest.split_once('=')).collect();
    for from in all.iter().filter(|one| one.word == "FROM") {
        let image = from.rest.split(' ').next().unwrap();
        let named = image.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        is_pinned(named.map_or(image, |name| arguments[name]));
    }
    let known = "ARG FROM WORKDIR COPY RUN USER ENV VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD";
    for instruction in &all {
        // ADD unpacks and downloads; the others are of no use here.
        assert!(known.split(' ').any(|word| word == instruction.word), "{}", instruction.word);
        let secret = ["PASSWORD", "SECRET", "TOKEN"].iter().any(|word| instruction.rest.to_uppercase().contains(word));
        assert!(!secret, "a secret in the image's history: {}", instruction.rest);
    }
    let stage = last_stage(&all);
    let (user, group) = one(stage, "USER").split_once(':').unwrap();
    // By number: an orchestrator that forbids root cannot look a name up.
    assert!(user.parse::<u32>().unwrap() > 0 && group.parse::<u32>().unwrap() > 0);
    assert!(stage.iter().all(|one| one.word != "RUN"), "the last image has no shell to run anything with");
    let (serve, health) = commands();
    assert_eq!([&serve[0], &health[0]], ["/usr/bin/ringfence"; 2]);
    for line in [&serve, &health] {
        is_understood("deploy/Dockerfile", &line[1..].iter().map(String::as_str).collect::<Vec<_>>());
    }
    is_taken("deploy/Dockerfile", &variables());
    let written = volumes();
    for name in ["RINGFENCE_DATA", "RINGFENCE_KEYS"] {
        let at = variables()[name].clone();
        assert!(written.iter().any(|folder| Path::new(&at).starts_with(folder)), "{name}={at} is on no volume");
    }
    assert_eq!(one(stage, "STOPSIGNAL"), "SIGTERM");
    if let Some(hadolint) = tool_or_note("hadolint", "deploy/Dockerfile, by hadolint") {
        good(clean(hadolint).arg(root().join("deploy/Dockerfile")));
    }
    not_run("docker build -f deploy/Dockerfile .", "it wants a daemon and a network; what it copies was checked");
}

/// What the first stage copies from the folder that is built.
fn copied() -> Vec<String> {
    let all = instructions();
    let copies = all.iter().filter(|one| one.word == "COPY" && !one.rest.contains("--from="));
    copies.flat_map(|one| one.rest.split(' ').rev().skip(1).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn what_is_copied_is_what_the_program_is_made_of() {
    let copied = copied();
    let let_through: BTreeSet<_> = read("deploy/Dockerfile.dockerignore")
        .lines()
        .filter_map(|line| line.strip_prefix('!').map(str::to_owned))
        .collect();
    assert_eq!(copied.iter().cloned().collect::<BTreeSet<_>>(), let_through, "what is copied, and what is let through");
    let folder = tempfile::tempdir().unwrap();
    for path in &copied {
        copy(&root().join(path), &folder.path().join(path));
    }
    // Cargo looks whether every target that the manifest names is there.
    let manifest = folder.path().join("Cargo.toml");
    let mut metadata = clean(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    metadata.envs(["HOME", "CARGO_HOME", "RUSTUP_HOME"].iter().filter_map(|k| Some((k, std::env::var_os(k)?))));
    good(metadata.args(["metadata", "--no-deps", "--offline", "--format-version=1", "--manifest-path"]).arg(manifest));
    let mut looked_at = 0;
    for source in sources(&folder.path().join("src")) {
        let text = fs::read_to_string(&source).unwrap();
        for included in included(text.split("#[cfg(test)]").next().unwrap()) {
            let path = plain(&source.parent().unwrap().join(&included));
            assert!(path.exists(), "{}: `{included}` is not copied into the image's build", source.display());
            looked_at += 1;
        }
    }
    assert!(looked_at > 10, "the sources include files");
}

/// The paths of `include_str!` and `include_bytes!`, as far as they are literal.
fn included(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("include_str!(").chain(text.match_indices("include_bytes!(")) {
        let rest = text[at..].split_once('(').unwrap().1.trim_start();
        let rest = rest.strip_prefix("concat!(").unwrap_or(rest).trim_start();
        if let Some((path, _)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            found.push(path.to_owned());
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") && !entry.ends_with("tests.rs") {
            found.push(entry);
        }
    }
    found
}

/// The path with its `..` taken away.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
        plain
    })
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}
