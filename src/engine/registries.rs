//! Which lists there are, how old they are, and what they say of a number.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::stamp;
use super::check::Turned;
use super::consent::{finish, number};
use super::listed::WithOwn;
use super::{Engine, Failure};
use crate::access::Permit;
use crate::contact::Contact;
use crate::contact::wire::Reader;
use crate::decision::{self, Lists, stale_from};
use crate::law::{Body, Freshness, Law, OWN_LIST, Rule};
use crate::place::Zones;
use crate::proto::store::audited_write;
use crate::proto::v1;
use crate::registry::{List, Snapshot, ids};
use crate::telemetry::ListState;
use crate::time::Instant;

/// The most registries of one look-up.
const MOST: usize = 100;

/// A rule that asks for a list, how old it lets a copy be, and by whose clock: that of the rule's own pack.
pub type Asking<'a> = (&'a Rule, &'a Freshness, Zones);

/// The rules in force at `now` that ask for a list.
pub fn asking<'a>(law: &'a Law, list: &str, now: Instant) -> impl Iterator<Item = Asking<'a>> {
    all_asking(law, now).filter(move |(asked, ..)| *asked == list).map(|(_, asking)| asking)
}

/// The rules in force at `now` that ask for any list, each with the list.
fn all_asking(law: &Law, now: Instant) -> impl Iterator<Item = (&str, Asking<'_>)> {
    let rules = law.packs().iter().flat_map(|pack| pack.rules.iter().map(move |rule| (pack, rule)));
    rules.filter_map(move |(pack, rule)| match &rule.body {
        Body::Registry { list, fresh, .. } if rule.from <= now && now < rule.until => {
            Some((&**list, (&**rule, fresh, Zones::from_slice(&[pack.zone()]))))
        }
        _ => None,
    })
}

/// How old the lists are that a tenant sees, and when the first rule stops believing each.
pub(super) fn states(law: &Law, (tenant, lists): (&str, &Snapshot), now: Instant) -> Vec<ListState> {
    #[allow(clippy::cast_precision_loss, reason = "seconds need no 53 bits")]
    let seconds = |millis: i64| millis as f64 / 1_000.0;
    let mut first: BTreeMap<&str, Instant> = BTreeMap::new();
    for (id, (_, fresh, zones)) in all_asking(law, now) {
        let Some(list) = lists.get(id) else { continue };
        // A rule that finds no instant never believes it.
        let from = stale_from(fresh, &zones, list.as_of).unwrap_or(list.as_of);
        first.entry(id).and_modify(|known| *known = from.min(*known)).or_insert(from);
    }
    let state = |list: &List| ListState {
        id: list.id.clone(),
        tenant: list.is_own().then(|| tenant.to_owned()),
        age: seconds(now.millis().saturating_sub(list.as_of.millis())),
        stale_from: first.get(list.id.as_str()).map(|at| seconds(at.millis())),
    };
    lists.iter().map(state).collect()
}

impl Engine {
    /// The lists that are loaded, that a rule in force asks for, or that the tenant keeps by API.
    ///
    /// # Errors
    /// Store unavailable.
    pub async fn list_registries(&self, permit: &Permit, now: Instant) -> Result<v1::ListRegistriesResponse, Failure> {
        self.is_of(permit)?;
        let standing = self.standing(&self.main).await?;
        let (law, snapshot) = (self.law(), self.lists.snapshot());
        let mut asking: BTreeMap<&str, Vec<Asking<'_>>> = BTreeMap::new();
        for (list, rule) in all_asking(&law, now) {
            asking.entry(list).or_default().push(rule);
        }
        let own: BTreeMap<&str, &v1::OwnList> =
            standing.own_lists().iter().map(|list| (list.list.as_str(), list)).collect();
        let loaded = snapshot.iter().map(|list| list.id.as_str());
        let ids: BTreeSet<&str> = loaded.chain(asking.keys().copied()).chain(own.keys().copied()).collect();
        let registry = |id: &str| {
            let (rules, list) = (asking.get(id).map_or(&[][..], Vec::as_slice), snapshot.get(id));
            let stale = |as_of| rules.iter().filter_map(move |(_, fresh, zones)| stale_from(fresh, zones, as_of)).min();
            let mut rule_ids: Vec<String> = rules.iter().map(|(rule, ..)| rule.id.to_string()).collect();
            rule_ids.sort();
            rule_ids.dedup();
            if rule_ids.is_empty() && id.starts_with(OWN_LIST) && !law.asks_for_own_list(id) {
                rule_ids.push(decision::OWN_LIST.to_owned());
            }
            let title = match (ids::official(id), own.get(id)) {
                (Some(official), _) => official.title.to_owned(),
                (None, Some(own)) => own.title.clone(),
                (None, None) => String::new(),
            };
            v1::Registry {
                registry: id.to_owned(),
                title,
                loaded: list.is_some(),
                version: list.map(|list| list.version.clone()).unwrap_or_default(),
                as_of: list.map(|list| stamp(list.as_of)),
                imported_at: list.and_then(|list| list.written_at).map(stamp),
                stale_at: list.and_then(|list| stale(list.as_of)).map(stamp),
                numbers: list.map_or(0, |list| list.count),
                source: list.and_then(|list| list.source.clone()).unwrap_or_default(),
                sample: list.is_some_and(|list| list.sample),
                rule_ids,
                complete: standing.is_complete(id) && !snapshot.is_obscure(id),
                areas: list.map(|list| list.areas.to_string()).unwrap_or_default(),
                full_as_of: list.and_then(List::full_as_of).map(stamp),
            }
        };
        Ok(v1::ListRegistriesResponse { registries: ids.into_iter().map(registry).collect() })
    }

    /// What the lists say of a number. Leaves an entry in the log: it tells of a person.
    ///
    /// # Errors
    /// A faulty request, store unavailable.
    pub async fn look_up_number(
        &self,
        permit: &Permit,
        request: &v1::LookUpRequest,
        now: Instant,
    ) -> Result<v1::LookUpResponse, Failure> {
        let mut reader = Reader::new();
        let number = number(&mut reader, &request.number, &request.default_region);
        if request.registries.len() > MOST {
            let many = request.registries.len();
            reader.fault("registries", format!("has {many} entries; at most {MOST} are accepted"));
        }
        for (index, id) in request.registries.iter().enumerate().take(MOST) {
            let field = format!("registries[{index}]");
            reader.name(&field, id, |id| Some(id.len()));
            if id.is_empty() {
                reader.fault(&field, "is empty");
            }
        }
        let number = finish(reader, number)?;
        let snapshot = self.lists.snapshot();
        let (found, standing) = self.find_with_switches(permit, number, None).await?;
        let asked = v1::LookUpRequest { registries: request.registries.clone(), ..v1::LookUpRequest::default() };
        let asked = audited_write::Request::LookUp(asked);
        self.note_reading(permit, found.kept, Some(*found.key.tag()), asked, now).await?;
        let contact = found.loaded.map(|loaded| loaded.contact);
        let files = Turned::new(&snapshot, number);
        let lists = WithOwn { files: &files, standing: &standing, now };
        let ids: Vec<&str> = match request.registries.as_slice() {
            [] => {
                let complete = standing.own_lists().iter().filter(|list| list.complete).map(|list| list.list.as_str());
                let all = snapshot.iter().map(|list| list.id.as_str()).chain(complete);
                let all: BTreeSet<&str> = all.chain(contact.iter().flat_map(Contact::lists)).collect();
                all.into_iter().collect()
            }
            named => named.iter().map(String::as_str).collect(),
        };
        let answers = ids.into_iter().map(|id| answer(&lists, contact.as_ref(), id)).collect();
        Ok(v1::LookUpResponse { number: number.reveal_e164().as_str().to_owned(), answers })
    }
}

/// What one list says: a hit counts from either side.
fn answer(lists: &dyn Lists, contact: Option<&Contact>, id: &str) -> v1::RegistryAnswer {
    let (look, entered) = (lists.look_up(id), contact.and_then(|contact| contact.entered_at(id)));
    let by_file = look.as_ref().and_then(|look| look.listed);
    let listing = match (entered.is_some(), by_file) {
        (true, _) | (_, Some(true)) => v1::Listing::Listed,
        (false, Some(false)) => v1::Listing::NotListed,
        (false, None) => v1::Listing::Unknown,
    };
    let listed_at = look.as_ref().and_then(|look| look.listed_at).into_iter().chain(entered).min();
    v1::RegistryAnswer {
        registry: id.to_owned(),
        listing: listing.into(),
        version: look.as_ref().map(|look| look.version.to_string()).unwrap_or_default(),
        as_of: look.map(|look| stamp(look.as_of)),
        listed_at: listed_at.map(stamp),
        added_here: entered.is_some(),
    }
}
