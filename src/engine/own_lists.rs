//! The tenant's own lists, kept by API: short ones that must hold at once on every instance.
//!
//! That there is such a list, and whether what was added is all there is, stands in the record of switches; that a number is
//! on it, in its contact record. A check reads both in its one trip, so what was answered here is seen by every check sent
//! later, on any instance. Nothing here makes a list that stands in a file look fresher, or smaller. Guarded by
//! `tests/service/registries.rs`.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use prost::Message as _;

use super::answer::stamp;
use super::consent::{Change, Described, Written, already, receipt_text, request_id};
use super::control::{fault, list_of_write, wire, write_id};
use super::{BATCH, Clock, Engine, Failure, Unmet, question};
use crate::access::{Caller, Permit, Role};
use crate::contact::WriteId;
use crate::contact::wire::Reader;
use crate::place::{Number, NumberError};
use crate::proto::store::{ControlRecord, StoredOwnList, audited_write};
use crate::proto::v1;
use crate::registry::Answer;
use crate::registry::ids::{self, Kind};
use crate::store::StoreError;
use crate::time::Instant;

/// The most lists of one tenant.
const MOST: usize = 200;
/// The writes of a list that are remembered.
const WRITES: usize = 64;
/// How many numbers are written at once: enough for their writes to share a commit.
const AT_ONCE: usize = 256;
/// How much is said back of what is no number.
const SHOWN: usize = 64;

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    On,
    Off,
}

/// A change of a list, but for its numbers.
struct Order<'a> {
    way: Way,
    request_id: &'a str,
    list: &'a str,
    why: &'a str,
}

impl Order<'_> {
    /// The request about one number, as it is kept and compared.
    fn of(&self, number: Number) -> audited_write::Request {
        let (request_id, list, why) = (self.request_id.to_owned(), self.list.to_owned(), self.why.to_owned());
        let (numbers, default_region) = (vec![number.reveal_e164().as_str().to_owned()], String::new());
        match self.way {
            Way::On => audited_write::Request::AddToList(v1::AddToListRequest {
                request_id,
                list,
                numbers,
                default_region,
                why,
            }),
            Way::Off => audited_write::Request::RemoveFromList(v1::RemoveFromListRequest {
                request_id,
                list,
                numbers,
                default_region,
                why,
            }),
        }
    }
}

/// What an instance finds of the tenant's own lists that stand in files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListFiles {
    /// Those of which it was recorded now.
    pub recorded: Vec<String>,
    /// Those of which a file was in force somewhere, and none is here: nobody is contacted.
    pub missing: Vec<String>,
}

/// A number of an order, as it was written, and as it was read.
type Named<'a> = (&'a str, Result<Number, NumberError>);

impl Engine {
    /// Begins a list of the tenant's own, or changes what is said of it. Once this has returned, every check sees it.
    ///
    /// # Errors
    /// A faulty request; a file of a list that is to be complete is loaded; a `request_id` used for something else; store or
    /// log unavailable; races outlasted.
    pub async fn put_list(
        &self,
        permit: &Permit,
        request: v1::PutListRequest,
        clock: Clock,
    ) -> Result<v1::PutListResponse, Failure> {
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        own_list(&mut reader, &request.list);
        reader.name("title", &request.title, |text| Some(text.len()));
        wire::who(&mut reader, &request.who);
        wire::sentence(&mut reader, "why", &request.why);
        wire::sound(reader)?;
        let asked = audited_write::Request::PutList(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let here = self.is_in_file(&request.list);
        if here && request.file() == v1::ListFile::Withdrawn {
            let why = "a file of this list is there: remove it first, on every instance";
            return Err(Failure::Precondition(Unmet::KeptInFile, why));
        }
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            let same = |kept: &&mut StoredOwnList| kept.list.as_ref().is_some_and(|one| one.list == request.list);
            let known = record.lists.iter_mut().find(same);
            let was_in_file = known.as_ref().is_some_and(|kept| kept.list.as_ref().is_some_and(|list| list.in_file));
            let in_file = match request.file() {
                v1::ListFile::Kept => true,
                v1::ListFile::Withdrawn => false,
                v1::ListFile::Unspecified => was_in_file,
            };
            // Were the file lost later, what it alone has would no longer be known to be on the list.
            if request.complete && (here || in_file) {
                return Err(Failure::Precondition(
                    Unmet::KeptInFile,
                    "a file of this list is there, or was and is not said to be withdrawn: it says what is not on the list, and \
                     how old that is",
                ));
            }
            let list = v1::OwnList {
                list: request.list.clone(),
                title: request.title.clone(),
                complete: request.complete,
                who: request.who.clone(),
                put_at: Some(stamp(now)),
                in_file,
            };
            let write = id.stored(receipt, now);
            if let Some(kept) = known {
                kept.list = Some(list);
                kept.writes.push(write);
                let surplus = kept.writes.len().saturating_sub(WRITES);
                kept.writes.drain(..surplus);
                return Ok(());
            }
            if record.lists.len() >= MOST {
                return Err(fault("list", "is one too many: 200 lists of the tenant's own are kept"));
            }
            record.lists.push(StoredOwnList { list: Some(list), writes: vec![write] });
            record.lists.sort_by(|a, b| list_name(a).cmp(list_name(b)));
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let list = list_of_write(&record, receipt).cloned();
        Ok(v1::PutListResponse { list, receipt_id: receipt_text(receipt) })
    }

    /// Records of each of the tenant's own lists that a file of it is in force here, so that wherever that file is missing, now
    /// or after a start without it, nobody is taken for not listed; and takes back that such a list is complete by what was
    /// added. An instance does it whenever it has looked at its files.
    ///
    /// # Errors
    /// Store or log unavailable; races outlasted; no room for one more list.
    pub async fn declare_files(&self, now: Instant) -> Result<ListFiles, Failure> {
        let snapshot = self.lists.snapshot();
        let standing = self.standing(&self.main).await?;
        if standing.off_boarded_at().is_some() {
            return Ok(ListFiles::default());
        }
        let lost = standing.in_files().iter().filter(|list| snapshot.get(list).is_none());
        let missing = lost.map(|list| list.to_string()).collect();
        let known = |id: &str| standing.own_lists().iter().find(|list| list.list == id);
        let loaded = snapshot.own().map(|list| list.id.as_str());
        let new = loaded.filter(|id| known(id).is_none_or(|list| !list.in_file)).map(|id| (id, v1::ListFile::Kept));
        // A file that was never in force holds nothing that is known to be lost with it.
        let doubted = standing.own_lists().iter().map(|list| (list.list.as_str(), list.complete));
        let doubted = doubted.filter(|(id, complete)| *complete && snapshot.is_refused(id));
        let doubted = doubted.map(|(id, _)| (id, v1::ListFile::Unspecified));
        let permit = Caller::local_of(self.tenant()).permit(Role::ManageLists)?;
        let mut recorded = Vec::new();
        for (id, file) in new.chain(doubted) {
            let before = known(id);
            let put_at = before.and_then(|list| list.put_at?.to_millis()).unwrap_or_default();
            let request = v1::PutListRequest {
                // Whichever instance comes first.
                request_id: format!("in-file/{id}/{put_at}"),
                list: id.to_owned(),
                title: before.map(|list| list.title.clone()).unwrap_or_default(),
                complete: false,
                who: "ringfence".to_owned(),
                why: "A file of it has come.".to_owned(),
                file: file.into(),
            };
            self.put_list(&permit, request, Clock::at(now)).await?;
            recorded.push(id.to_owned());
        }
        Ok(ListFiles { recorded, missing })
    }

    /// Puts numbers on a list. Once this has returned, every check sees those that were not refused.
    ///
    /// # Errors
    /// A faulty request; no such list is known; store or log unavailable; races outlasted. Then some numbers may have been
    /// put on: the same is asked again.
    pub async fn add_to_list(
        &self,
        permit: &Permit,
        request: &v1::AddToListRequest,
        clock: Clock,
    ) -> Result<v1::AddToListResponse, Failure> {
        let order = Order { way: Way::On, request_id: &request.request_id, list: &request.list, why: &request.why };
        let numbers = self.read_order(permit, &order, &request.numbers, &request.default_region)?;
        // A misspelt list would protect nobody, and nobody would notice.
        if !self.is_known(&request.list, clock.now).await? {
            return Err(Failure::NotFound(
                "no list of this id is known: begin it with PutList, or load a file or a rule that names it",
            ));
        }
        Ok(v1::AddToListResponse { changes: self.change_list(permit, &order, numbers, clock).await? })
    }

    /// Takes numbers off a list.
    ///
    /// # Errors
    /// As [`Engine::add_to_list`].
    pub async fn remove_from_list(
        &self,
        permit: &Permit,
        request: &v1::RemoveFromListRequest,
        clock: Clock,
    ) -> Result<v1::RemoveFromListResponse, Failure> {
        let order = Order { way: Way::Off, request_id: &request.request_id, list: &request.list, why: &request.why };
        let numbers = self.read_order(permit, &order, &request.numbers, &request.default_region)?;
        Ok(v1::RemoveFromListResponse { changes: self.change_list(permit, &order, numbers, clock).await? })
    }

    /// The numbers of an order, each read by itself.
    fn read_order<'a>(
        &self,
        permit: &Permit,
        order: &Order<'_>,
        numbers: &'a [String],
        default_region: &str,
    ) -> Result<Vec<Named<'a>>, Failure> {
        self.is_of(permit)?;
        let mut reader = Reader::new();
        request_id(&mut reader, order.request_id);
        own_list(&mut reader, order.list);
        reader.text("why", order.why);
        match numbers.len() {
            0 => reader.fault("numbers", "is required: from 1 to 1,000 numbers"),
            many if many > BATCH => {
                reader.fault("numbers", format!("has {many} entries; at most {BATCH} are accepted"));
            }
            _ => {}
        }
        let mut of_region = Reader::new();
        let read = numbers.iter().take(BATCH);
        let read = read.map(|text| (text.as_str(), question::number(&mut of_region, text, default_region))).collect();
        if !of_region.violations().is_empty() {
            reader.fault("default_region", "is not an ISO 3166 country such as FR");
        }
        wire::sound(reader)?;
        Ok(read)
    }

    fn is_in_file(&self, list: &str) -> bool {
        let snapshot = self.lists.snapshot();
        snapshot.get(list).is_some() || snapshot.is_refused(list)
    }

    /// Whether a list is one that somebody began, that is loaded, or that a rule in force asks for.
    async fn is_known(&self, list: &str, now: Instant) -> Result<bool, Failure> {
        if self.is_in_file(list) || super::registries::asking(&self.law(), list, now).next().is_some() {
            return Ok(true);
        }
        let standing = self.standing(&self.main).await?;
        Ok(standing.own_lists().iter().any(|one| one.list == list))
    }

    /// What became of each number, in their order; one that is there twice is changed once.
    async fn change_list(
        &self,
        permit: &Permit,
        order: &Order<'_>,
        numbers: Vec<(&str, Result<Number, NumberError>)>,
        clock: Clock,
    ) -> Result<Vec<v1::ListChange>, Failure> {
        let mut wanted: Vec<Number> = Vec::with_capacity(numbers.len());
        let mut places: HashMap<Number, usize> = HashMap::with_capacity(numbers.len());
        for number in numbers.iter().filter_map(|(_, number)| number.ok()) {
            places.entry(number).or_insert_with(|| {
                wanted.push(number);
                wanted.len() - 1
            });
        }
        let lines = wanted.iter().map(|number| self.change_one(permit, order, *number, clock));
        let done: Vec<_> = futures_util::stream::iter(lines.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
        // All are seen to their end before the first failure is told.
        let done = done.into_iter().collect::<Result<Vec<_>, Failure>>()?;
        let change = |(text, number): (&str, Result<Number, NumberError>)| match number {
            Err(error) => rejected(text.chars().take(SHOWN).collect(), error.to_string()),
            Ok(number) => places.get(&number).and_then(|place| done.get(*place)).cloned().unwrap_or_default(),
        };
        Ok(numbers.into_iter().map(change).collect())
    }

    async fn change_one(
        &self,
        permit: &Permit,
        order: &Order<'_>,
        number: Number,
        clock: Clock,
    ) -> Result<v1::ListChange, Failure> {
        let text = || number.reveal_e164().as_str().to_owned();
        let request = order.of(number);
        let content = crate::proto::store::AuditedWrite { request: Some(request.clone()), ..Default::default() };
        let id = WriteId::new(order.request_id, &content.encode_to_vec());
        let described = Described { request, event: None };
        let mut stood = false;
        let written = self
            .change(permit, number, clock, described, &mut |contact, receipt| {
                if let Some(change) = already(contact, id)? {
                    return Ok(change);
                }
                let entered = contact.entered_at(order.list);
                let changed = match (order.way, entered) {
                    (Way::On, None) => Some(contact.put_on_list(order.list, id, receipt, clock.now)),
                    (Way::Off, Some(_)) => contact.take_off_list(order.list, id, receipt, clock.now),
                    (Way::On, Some(_)) | (Way::Off, None) => None,
                };
                stood = changed.is_none();
                let stands = Change::Stands { receipt, recorded_at: entered.unwrap_or(clock.now) };
                Ok(changed.map_or(stands, Change::Changed))
            })
            .await;
        let snapshot = self.lists.snapshot();
        let file = snapshot.get(order.list).map(|file| file.look_up(number.reveal_digits()));
        let listed_by_file = matches!(file, Some(Answer::Listed { .. }));
        let (outcome, receipt_id) = match written {
            Ok(_) if stood => (v1::ListChangeOutcome::Unchanged, String::new()),
            Ok(Written { receipt, .. }) => (v1::ListChangeOutcome::Done, receipt_text(receipt)),
            Err(Failure::AlreadyExists(why)) => return Ok(rejected(text(), why.to_owned())),
            Err(Failure::Store(StoreError::TooLarge { .. })) => {
                let why = "the record of this number would be larger than a record may be";
                return Ok(rejected(text(), why.to_owned()));
            }
            Err(failure) => return Err(failure),
        };
        let message = match order.way {
            Way::Off if listed_by_file => "it stays listed: the file of this list has it".to_owned(),
            _ => String::new(),
        };
        Ok(v1::ListChange { number: text(), outcome: outcome.into(), message, receipt_id, listed_by_file })
    }
}

fn list_name(kept: &StoredOwnList) -> &str {
    kept.list.as_ref().map_or("", |list| list.list.as_str())
}

fn rejected(number: String, message: String) -> v1::ListChange {
    v1::ListChange { number, outcome: v1::ListChangeOutcome::Rejected.into(), message, ..Default::default() }
}

/// A list of the tenant's own, by the rules that hold for its files.
fn own_list(reader: &mut Reader, list: &str) {
    match ids::kind(list) {
        _ if list.is_empty() => reader.fault("list", "is required: tenant.NAME"),
        Ok(Kind::Tenant) => {}
        Ok(Kind::Official(_)) => {
            reader.fault("list", "is kept by others: import their copies; lists of your own are tenant.NAME");
        }
        Err(why) => reader.fault("list", why),
    }
}
