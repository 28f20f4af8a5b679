//! The style of the contract: the rules that `buf lint` calls STANDARD, and that everything is documented.

use std::collections::{HashMap, HashSet};

use prost_types::{DescriptorProto, FileDescriptorProto};
use ringfence::proto::ALL_DESCRIPTOR_SET;

use super::api::decode;

fn files() -> Vec<FileDescriptorProto> {
    let mut files = decode(ALL_DESCRIPTOR_SET).file;
    files.retain(|file| file.package().starts_with("ringfence."));
    assert_eq!(files.len(), 16);
    files
}

#[test]
fn files_lie_where_their_package_says() {
    for file in files() {
        let folder = file.package().replace('.', "/");
        let name = file.name().strip_prefix(&format!("{folder}/")).unwrap_or_default();
        assert!(is_lower_snake(name.trim_end_matches(".proto")), "{}", file.name());
        assert!(file.package().ends_with(".v1"), "{}", file.package());
        assert_eq!(file.syntax(), "proto3");
    }
}

#[test]
fn an_enumeration_begins_unspecified_and_prefixes_its_values() {
    for enumeration in files().iter().flat_map(|file| &file.enum_type) {
        let prefix = upper_snake(enumeration.name());
        let zero = &enumeration.value[0];
        assert_eq!((zero.number(), zero.name()), (0, format!("{prefix}_UNSPECIFIED").as_str()));
        for value in &enumeration.value {
            assert!(value.name().starts_with(&format!("{prefix}_")), "{}", value.name());
            assert_eq!(value.name(), value.name().to_uppercase());
        }
    }
}

#[test]
fn each_method_has_a_request_and_a_response_of_its_own() {
    let mut seen = HashSet::new();
    for file in files() {
        for service in &file.service {
            assert!(service.name().ends_with("Service"), "{}", service.name());
            for method in &service.method {
                assert!(is_pascal(method.name()), "{}", method.name());
                assert_eq!(method.input_type(), format!(".{}.{}Request", file.package(), method.name()));
                assert_eq!(method.output_type(), format!(".{}.{}Response", file.package(), method.name()));
                assert!(seen.insert(method.name().to_owned()), "two methods {}", method.name());
            }
        }
    }
}

#[test]
fn names_are_spelled_as_the_style_asks() {
    for message in files().iter().flat_map(|file| &file.message_type) {
        assert!(is_pascal(message.name()), "{}", message.name());
        for name in message.field.iter().map(|f| f.name()).chain(message.oneof_decl.iter().map(|o| o.name())) {
            assert!(is_lower_snake(name.trim_start_matches('_')), "{}.{name}", message.name());
        }
    }
}

#[test]
fn every_import_is_used() {
    for file in files() {
        let types: Vec<&str> = file.message_type.iter().flat_map(|m| m.field.iter().map(|f| f.type_name())).collect();
        let all = decode(ALL_DESCRIPTOR_SET).file;
        for import in &file.dependency {
            let target = all.iter().find(|f| f.name() == import).unwrap();
            let mut names =
                target.message_type.iter().map(|m| m.name()).chain(target.enum_type.iter().map(|e| e.name()));
            let used = names.any(|name| types.contains(&format!(".{}.{name}", target.package()).as_str()));
            assert!(used, "{} imports {import} in vain", file.name());
        }
    }
}

/// A write is repeated safely: its request names itself.
#[test]
fn every_write_carries_its_idempotency_key() {
    let files = files();
    let message = |name: &str| {
        let all = files.iter().flat_map(|file| &file.message_type);
        all.into_iter().find(|m| m.name() == name).unwrap().clone()
    };
    for (request, key) in [
        ("RecordConsentRequest", "request_id"),
        ("RecordOptOutRequest", "request_id"),
        ("UpdateContactRequest", "request_id"),
        ("ProcessInboundRequest", "request_id"),
        ("OpenRequestRequest", "request_id"),
        ("ExportContactRequest", "request_id"),
        ("EraseContactRequest", "request_id"),
        ("ResolveRequestRequest", "request_id"),
        ("PlaceHoldRequest", "request_id"),
        ("LiftHoldRequest", "request_id"),
        ("FreezeRequest", "request_id"),
        ("UnfreezeRequest", "request_id"),
        ("DeclareEmergencyRequest", "request_id"),
        ("EndEmergencyRequest", "request_id"),
        ("PutProcessorRequest", "request_id"),
        ("RemoveProcessorRequest", "request_id"),
        ("ResumeProcessorRequest", "request_id"),
        ("ImportContactsRequest", "import_id"),
        ("CheckRequest", "attempt_id"),
        ("ReportOutcomeRequest", "attempt_id"),
        ("PublishPolicyRequest", "request_id"),
        ("TransferSellerRequest", "request_id"),
        ("PlaceRetentionHoldRequest", "request_id"),
        ("ReleaseRetentionHoldRequest", "request_id"),
        ("OffBoardRequest", "request_id"),
        ("OpenIncidentRequest", "request_id"),
        ("UpdateIncidentRequest", "request_id"),
        ("AddAffectedContactsRequest", "request_id"),
        ("MarkContactsToldRequest", "request_id"),
    ] {
        assert!(message(request).field.iter().any(|f| f.name() == key), "{request} lacks {key}");
    }
}

/// The tenant is the caller's, from the credentials: no request can name another.
#[test]
fn no_request_names_a_tenant() {
    for message in files().iter().filter(|f| f.package() == "ringfence.v1").flat_map(|file| &file.message_type) {
        assert!(message.field.iter().all(|f| !f.name().contains("tenant")), "{}", message.name());
    }
}

#[test]
fn everything_is_documented() {
    let mut bare = Vec::new();
    for file in files() {
        let docs = docs(&file);
        let mut check = |path: &[i32], name: String| {
            if docs.get(path).is_none_or(|text| text.trim().is_empty()) {
                bare.push(name);
            }
        };
        for (i, message) in (0..).zip(&file.message_type) {
            check(&[4, i], message.name().to_owned());
            for (j, field) in (0..).zip(&message.field) {
                check(&[4, i, 2, j], format!("{}.{}", message.name(), field.name()));
            }
            for (j, oneof) in (0..).zip(&message.oneof_decl).filter(|(_, oneof)| !oneof.name().starts_with('_')) {
                check(&[4, i, 8, j], format!("{}.{}", message.name(), oneof.name()));
            }
        }
        for (i, enumeration) in (0..).zip(&file.enum_type) {
            check(&[5, i], enumeration.name().to_owned());
            for (j, value) in (0..).zip(&enumeration.value) {
                check(&[5, i, 2, j], value.name().to_owned());
            }
        }
        for (i, service) in (0..).zip(&file.service) {
            check(&[6, i], service.name().to_owned());
            for (j, method) in (0..).zip(&service.method) {
                check(&[6, i, 2, j], method.name().to_owned());
            }
        }
    }
    assert!(bare.is_empty(), "not documented: {}", bare.join(", "));
}

/// Each field that a caller may leave out says what that means.
#[test]
fn every_field_of_a_request_says_what_its_absence_means() {
    let words = ["Required", "Absent", "Empty", "Unspecified", "Zero", "False", "None is"];
    let files = files();
    let asked = asked(&files);
    let mut silent = Vec::new();
    for file in &files {
        let docs = docs(file);
        for (i, message) in (0..).zip(&file.message_type).filter(|(_, m)| asked.contains(m.name())) {
            for (j, field) in (0..).zip(&message.field) {
                let text = docs.get([4, i, 2, j].as_slice()).map(String::as_str).unwrap_or_default();
                let in_oneof = field.oneof_index.is_some() && !field.proto3_optional();
                if !in_oneof && !words.iter().any(|word| text.contains(word)) {
                    silent.push(format!("{}.{}", message.name(), field.name()));
                }
            }
        }
    }
    assert!(asked.contains("RegistryCheck") && asked.contains("WeeklyWindow"));
    assert!(silent.is_empty(), "{} fields: {}", silent.len(), silent.join(", "));
}

/// The names of all messages that a request may hold.
fn asked(files: &[FileDescriptorProto]) -> HashSet<String> {
    let messages: HashMap<String, &DescriptorProto> = files
        .iter()
        .filter(|file| file.package() == "ringfence.v1")
        .flat_map(|file| file.message_type.iter().map(|m| (format!(".ringfence.v1.{}", m.name()), m)))
        .collect();
    let mut names = HashSet::new();
    let mut open: Vec<&DescriptorProto> =
        messages.values().copied().filter(|m| m.name().ends_with("Request")).collect();
    while let Some(message) = open.pop() {
        // RightsRequest is an answer, whatever its name.
        if message.name() != "RightsRequest" && names.insert(message.name().to_owned()) {
            open.extend(message.field.iter().filter_map(|field| messages.get(field.type_name()).copied()));
        }
    }
    names
}

/// Comments by the path of what they stand above.
fn docs(file: &FileDescriptorProto) -> HashMap<Vec<i32>, String> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    locations.map(|l| (l.path.clone(), l.leading_comments().to_owned())).collect()
}

fn is_pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_lower_snake(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.contains("__")
}

fn upper_snake(pascal: &str) -> String {
    let mut text = String::new();
    for c in pascal.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
    }
    text
}
