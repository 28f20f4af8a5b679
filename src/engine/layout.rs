//! By which regions the records of a store were placed: said in the store itself, so that no server goes by others.
//!
//! A contact is looked for where the configuration says. Were that changed and the records left where they are, what is
//! recorded of them, opt-outs too, would not be found. So each store keeps the regions by which it was filled; a server
//! whose configuration says otherwise does not start, and one that runs answers nothing any more.

use std::sync::atomic::Ordering;

use prost::Message as _;

use super::region::Kept;
use super::{DEFAULT_REGION, Engine, Failure, Region};
use crate::place::{numbering_version, shares_calling_code};
use crate::proto::store;
use crate::store::{MetaSwapped, Store, Version};

/// The named value.
const NAME: &str = "region/layout";
/// The newest form of it.
const FORMAT: u32 = 1;
/// Stands for the numbering tables while records are being moved: no server goes by it.
const UNDER_WAY: &str = "being placed";

/// The regions by which records are placed, and which of them a store is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The region of the store.
    pub name: Box<str>,
    /// Every region, by name.
    pub regions: Vec<Region>,
    /// The numbering tables, where they make a difference to these regions; else empty.
    numbering: String,
}

impl Layout {
    /// That of the store of the region of this name. Numbers of countries that share a calling code are told apart by the
    /// numbering tables alone, so then these are part of it.
    #[must_use]
    pub fn new(name: &str, mut regions: Vec<Region>) -> Self {
        regions.sort_by(|one, other| one.name.cmp(&other.name));
        let shared = regions.iter().flat_map(|region| &region.places).any(|place| shares_calling_code(*place));
        let numbering = if shared { numbering_version().to_owned() } else { String::new() };
        Self { name: name.into(), regions, numbering }
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
        if layout.format != FORMAT {
            let why = format!("the value {NAME} of the store has form {}: run the newer build", layout.format);
            return Err(Failure::Internal(why));
        }
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
        Ok(Some(Self { name: layout.name.into(), regions, numbering: layout.numbering_version }))
    }

    /// Says so in the store.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn write(&self, store: &dyn Store) -> Result<(), Failure> {
        let region = |region: &Region| store::Region {
            name: region.name.to_string(),
            places: region.places.iter().map(ToString::to_string).collect(),
            at: region.at.map(|place| place.to_string()).unwrap_or_default(),
        };
        let layout = store::RegionLayout {
            format: FORMAT,
            name: self.name.to_string(),
            regions: self.regions.iter().map(region).collect(),
            numbering_version: self.numbering.clone(),
        };
        let bytes = layout.encode_to_vec();
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
        let shared = Layout::new("ru", vec![region("ru", &["RU"])]);
        assert_eq!(shared.numbering, numbering_version(), "only the tables tell +7 apart");
    }
}
