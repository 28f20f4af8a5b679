//! What a schema cannot say of a set of packs.
//!
//! Promises: a set without remarks is cited, dated (by the day of its review, and by a first day wherever one version
//! follows another; a rule without one holds at every earlier instant) and shown by cases; every rule of it can be
//! reached; everything it declares is read by something; and the versions of one provision meet on the time axis without
//! a gap or an overlap that nobody gave a reason for. Guarded by `tests/law/lint.rs`, which feeds it a bad pack for each
//! clause.

mod cited;
mod near;
mod reach;
mod series;
mod unread;

use super::{Body, Law, Pack};

pub use near::nearest;

/// Something a reviewer should mend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remark {
    /// The pack's file.
    pub file: String,
    /// The line.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

/// Every remark about a set, in the order of the packs and of their lines.
#[must_use]
pub fn lint(law: &Law) -> Vec<Remark> {
    law.packs().iter().flat_map(|pack| lint_pack(law, pack)).collect()
}

fn lint_pack(law: &Law, pack: &Pack) -> Vec<Remark> {
    let mut found = Found { file: &pack.file, remarks: Vec::new() };
    head(law, pack, &mut found);
    cited::look(pack, &mut found);
    reach::look(pack, &mut found);
    series::look(pack, &mut found);
    unread::look(law, pack, &mut found);
    found.remarks.sort_by_key(|remark| remark.line);
    found.remarks
}

/// The remarks about one pack, as they are found.
struct Found<'a> {
    file: &'a str,
    remarks: Vec<Remark>,
}

impl Found<'_> {
    fn at(&mut self, line: usize, message: String) {
        self.remarks.push(Remark { file: self.file.to_owned(), line, message });
    }

    fn of(&mut self, rule: &super::Rule, message: &str) {
        self.at(rule.line, format!("rule `{}`: {message}", rule.id));
    }
}

fn head(law: &Law, pack: &Pack, found: &mut Found<'_>) {
    if pack.is_policy() {
        return;
    }
    if pack.reviewed().is_none() {
        found.at(1, "[pack] has no `reviewed` date: no marketing contact will be allowed here".to_owned());
    }
    let chain = law.chain(pack.jurisdiction());
    let opt_out = chain
        .packs
        .iter()
        .filter_map(|i| law.pack(*i))
        .any(|pack| pack.rules.iter().any(|rule| matches!(rule.body, Body::OptOut { .. })));
    if !opt_out {
        found.at(1, "neither this pack nor a wider one has an `opt_out` rule".to_owned());
    }
}
