//! By which regions the records of a store were placed: said in the store itself, so that no server goes by others.
//!
//! A contact is looked for where the configuration says. Were that changed and the records left where they are, what is
//! recorded of them, opt-outs too, would not be found. So each store keeps the regions by which it was filled; a server
//! whose configuration says otherwise does not start, and one that runs answers nothing any more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as Monotonic};

use prost::Message as _;

use super::region::Kept;
use super::{DEFAULT_REGION, Engine, Failure, Region};
use crate::place::{Number, countries, numbering_version, shares_calling_code};
use crate::proto::store;
use crate::store::{MetaSwapped, Store, Version};

/// The named value.
const NAME: &str = "region/layout";
/// The newest form of it.
const FORMAT: u32 = 1;
/// Stands for the numbering tables while records are being moved: no server goes by it.
const UNDER_WAY: &str = "being placed";
/// For how long after it last saw that its regions hold a server answers. Longer than a Cluster takes to replace a primary: the
/// one that has the named value must not take the others with it.
pub const LAPSE: Duration = Duration::from_secs(15);

/// When it was last seen that the records of a store are placed by our regions.
pub(super) struct Seen {
    began: Monotonic,
    /// Milliseconds from then, and one; 0: nobody keeps looking.
    last: AtomicU64,
}

impl Seen {
    pub fn new() -> Self {
        Self { began: Monotonic::now(), last: AtomicU64::new(0) }
    }

    /// Looks, and remembers that it did. The first look counts though it fails, since the store was looked at when it was
    /// opened: it may be that none ever succeeds.
    pub async fn keep_looking<T, E>(&self, at: Monotonic, look: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let _ = self.last.compare_exchange(0, self.millis(at), Ordering::Relaxed, Ordering::Relaxed);
        let seen = look.await?;
        self.saw(at);
        Ok(seen)
    }

    fn saw(&self, at: Monotonic) {
        self.last.fetch_max(self.millis(at), Ordering::Relaxed);
    }

    /// Whether it is too long ago to go by.
    pub fn lapsed(&self, now: Monotonic) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        last != 0 && u128::from(self.millis(now).saturating_sub(last)) > LAPSE.as_millis()
    }

    fn millis(&self, at: Monotonic) -> u64 {
        let since = at.saturating_duration_since(self.began).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// The regions by which records are placed, and which of them a store is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The region of the store.
    pub name: Box<str>,
    /// Every region, by name.
    pub regions: Vec<Region>,
    /// The numbering tables, where they make a difference to these regions; else empty.
    numbering: String,
    /// While records are being moved: how they lay before.
    before: Option<Box<Self>>,
}

impl Layout {
    /// That of the store of the region of this name. Numbers of countries that share a calling code are told apart by the
    /// numbering tables alone, so then these are part of it.
    #[must_use]
    pub fn new(name: &str, mut regions: Vec<Region>) -> Self {
        regions.sort_by(|one, other| one.name.cmp(&other.name));
        let shared = regions.iter().flat_map(|region| &region.places).any(|place| shares_calling_code(*place));
        let numbering = if shared { numbering_version().to_owned() } else { String::new() };
        Self { name: name.into(), regions, numbering, before: None }
    }

    /// Whether records placed by either are where the other looks for them. A region that pins nothing has none.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        let pins = |layout: &Self| -> Vec<_> {
            let pinning = layout.regions.iter().filter(|region| !region.places.is_empty());
            let sorted = |region: &Region| {
                let mut places = region.places.clone();
                places.sort_unstable();
                places
            };
            pinning.map(|region| (region.name.clone(), sorted(region))).collect()
        };
        pins(self) == pins(other) && self.numbering == other.numbering
    }

    /// Whether it pins anything at all.
    #[must_use]
    pub fn pins_nothing(&self) -> bool {
        self.numbering.is_empty() && self.regions.iter().all(|region| region.places.is_empty())
    }

    /// What a store says; `None`: it was filled without regions.
    ///
    /// # Errors
    /// The store cannot be asked; a newer build wrote it.
    pub async fn of(store: &dyn Store) -> Result<Option<Self>, Failure> {
        let Some(value) = store.meta_get(NAME).await? else { return Ok(None) };
        let damaged = || Failure::Internal(format!("the value {NAME} of the store is none that a server wrote"));
        let layout = store::RegionLayout::decode(value.bytes.as_slice()).map_err(|_| damaged())?;
        Self::read(layout).map(Some)
    }

    fn read(layout: store::RegionLayout) -> Result<Self, Failure> {
        let damaged = || Failure::Internal(format!("the value {NAME} of the store is none that a server wrote"));
        if layout.format != FORMAT {
            let why = format!("the value {NAME} of the store has form {}: run the newer build", layout.format);
            return Err(Failure::Internal(why));
        }
        let before = layout.before.map(|before| Self::read(*before)).transpose()?;
        let region = |region: store::Region| {
            let places = region.places.iter().map(|code| code.parse()).collect::<Result<_, _>>();
            let at = Some(region.at).filter(|code| !code.is_empty()).map(|code| code.parse()).transpose();
            Ok(Region {
                name: region.name.into(),
                places: places.map_err(|_| damaged())?,
                at: at.map_err(|_| damaged())?,
            })
        };
        let regions = layout.regions.into_iter().map(region).collect::<Result<_, Failure>>()?;
        let before = before.map(Box::new);
        Ok(Self { name: layout.name.into(), regions, numbering: layout.numbering_version, before })
    }

    fn stored(&self) -> store::RegionLayout {
        let region = |region: &Region| store::Region {
            name: region.name.to_string(),
            places: region.places.iter().map(ToString::to_string).collect(),
            at: region.at.map(|place| place.to_string()).unwrap_or_default(),
        };
        store::RegionLayout {
            format: FORMAT,
            name: self.name.to_string(),
            regions: self.regions.iter().map(region).collect(),
            numbering_version: self.numbering.clone(),
            before: self.before.as_ref().map(|before| Box::new(before.stored())),
        }
    }

    /// Says so in the store.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn write(&self, store: &dyn Store) -> Result<(), Failure> {
        let bytes = self.stored().encode_to_vec();
        let mut expected = store.meta_get(NAME).await?.map_or(Version::ABSENT, |value| value.version);
        loop {
            match store.meta_swap(NAME, expected, bytes.clone()).await? {
                MetaSwapped::Won(_) => return Ok(()),
                MetaSwapped::Lost(Some(value)) if value.bytes == bytes => return Ok(()),
                MetaSwapped::Lost(value) => expected = value.map_or(Version::ABSENT, |value| value.version),
            }
        }
    }

    /// The same while records are being moved.
    #[must_use]
    pub fn under_way(mut self) -> Self {
        UNDER_WAY.clone_into(&mut self.numbering);
        self
    }

    /// The same, which says how the records lay before: where they are to lie so again, those that nothing can place lie
    /// right.
    #[must_use]
    pub fn after(mut self, before: Self) -> Self {
        self.before = Some(Box::new(before));
        self
    }

    /// The region of a number while nothing else is known of it.
    #[must_use]
    pub fn home(&self, number: Number) -> &str {
        let countries = countries(number);
        let pins = |region: &&Region| region.places.iter().any(|place| countries.contains(place));
        self.regions.iter().find(pins).map_or(DEFAULT_REGION, |region| &region.name)
    }

    /// How the records lay when all were in place; those of a store that says nothing, without regions.
    #[must_use]
    pub fn lay(said: Option<Self>, name: &str) -> Self {
        match said {
            None => Self::new(name, vec![default_region()]),
            Some(mut said) => said.before.take().map_or(said, |before| *before),
        }
    }
}

impl Engine {
    /// Looks whether the records are still placed by this engine's regions. If not, nothing is answered any more: what is
    /// recorded may be where it is not looked for.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn look_at_layout(&self) -> Result<bool, Failure> {
        self.look_at_layout_in(&self.main).await
    }

    /// The same of a pinned region that is open: what its store says costs its contacts alone.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn look_at_layout_of(&self, region: &str) -> Result<bool, Failure> {
        match self.opened_region(region) {
            Some(kept) => self.look_at_layout_in(kept).await,
            None => Ok(true),
        }
    }

    async fn look_at_layout_in(&self, kept: &Kept) -> Result<bool, Failure> {
        let said = Layout::of(&*kept.store).await?;
        let own = self.layout(&kept.name);
        let agrees = match said {
            None => own.pins_nothing(),
            Some(said) => said.agrees(&own) && said.name == own.name,
        };
        kept.displaced.store(!agrees, Ordering::Relaxed);
        Ok(agrees)
    }

    /// The same of the region of this name, whichever it is, by who looks every second and goes on looking: from the first
    /// time on, nothing is answered any more once it could not be looked for [`LAPSE`]. Who changes the regions waits longer
    /// than that before it moves a record. A store that this process has for itself cannot be changed under it.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn keep_looking_at_layout_of(&self, region: &str) -> Result<bool, Failure> {
        let Some(kept) = (if *self.main.name == *region { Some(&self.main) } else { self.opened_region(region) })
        else {
            return Ok(true);
        };
        let begun = Monotonic::now();
        let look = self.look_at_layout_in(kept);
        if kept.store.is_shared() { kept.seen.keep_looking(begun, look).await } else { look.await }
    }

    /// The regions by which the records of the engine's own store were placed.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn known_regions(&self) -> Result<Vec<Region>, Failure> {
        Ok(Layout::of(&*self.main.store).await?.map(|layout| layout.regions).unwrap_or_default())
    }

    /// The layout of the region of this name.
    #[must_use]
    pub fn layout(&self, name: &str) -> Layout {
        Layout::new(name, self.regions().cloned().collect())
    }
}

/// The region that has what is pinned to no other.
#[must_use]
pub fn default_region() -> Region {
    Region { name: DEFAULT_REGION.into(), places: Vec::new(), at: None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn region(name: &str, places: &[&str]) -> Region {
        Region { name: name.into(), places: places.iter().map(|code| code.parse().unwrap()).collect(), at: None }
    }

    #[test]
    fn what_was_not_seen_for_long_enough_lapses_where_somebody_keeps_looking() {
        let seen = Seen::new();
        let now = Monotonic::now();
        assert!(!seen.lapsed(now + 10 * LAPSE), "nobody keeps looking");
        seen.saw(now);
        assert!(!seen.lapsed(now + LAPSE) && seen.lapsed(now + LAPSE + Duration::from_millis(2)));
        seen.saw(now + LAPSE);
        seen.saw(now);
        assert!(!seen.lapsed(now + LAPSE + LAPSE));
    }

    #[tokio::test]
    async fn looks_that_never_succeed_lapse_as_those_do_that_succeed_no_more() {
        let (seen, now) = (Seen::new(), Monotonic::now());
        let after = LAPSE + Duration::from_millis(2);
        seen.keep_looking(now, async { Err::<bool, _>("away") }).await.unwrap_err();
        assert!(!seen.lapsed(now + LAPSE) && seen.lapsed(now + after));
        seen.keep_looking(now + LAPSE, async { Err::<bool, _>("away") }).await.unwrap_err();
        assert!(seen.lapsed(now + after), "only the first counts though it fails");
        seen.keep_looking(now + LAPSE, async { Ok::<_, &str>(true) }).await.unwrap();
        assert!(!seen.lapsed(now + after));
    }

    #[tokio::test]
    async fn a_store_says_by_which_regions_it_was_filled() {
        let store = MemoryStore::new();
        assert_eq!(Layout::of(&store).await.unwrap(), None);
        let one = Layout::new("cn", vec![default_region(), region("cn", &["CN", "MO"])]);
        one.write(&store).await.unwrap();
        one.write(&store).await.unwrap();
        assert_eq!(Layout::of(&store).await.unwrap(), Some(one.clone()));
        let other = Layout::new("default", vec![region("empty", &[]), region("cn", &["MO", "CN"])]);
        assert!(one.agrees(&other), "the order says nothing, nor does a region that pins nothing");
        assert!(!one.agrees(&Layout::new("cn", vec![region("cn", &["CN"])])));
        assert!(!one.agrees(&Layout::new("cn", vec![region("china", &["CN", "MO"])])));
        let moving = one.clone().under_way();
        assert!(!moving.agrees(&one) && !moving.pins_nothing() && !one.pins_nothing());
        assert!(Layout::new("default", vec![default_region()]).pins_nothing());
        let again = moving.after(one.clone());
        again.write(&store).await.unwrap();
        let said = Layout::of(&store).await.unwrap();
        assert_eq!(said, Some(again));
        assert_eq!(Layout::lay(said, "cn"), one, "how it was before is how it can be again");
        assert!(Layout::lay(None, "default").pins_nothing());
        let shared = Layout::new("ru", vec![region("ru", &["RU"])]);
        assert_eq!(shared.numbering, numbering_version(), "only the tables tell +7 apart");
    }
}
