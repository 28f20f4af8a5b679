//! The field's closed vocabularies, each with the word used in packs, and sets of them.
//!
//! The number of a term is its number in `proto/ringfence/v1`; a test in `service::convert` holds the two together.

use std::fmt;
use std::marker::PhantomData;

use crate::place::LineType;

/// A word of a closed vocabulary: a small number and the word used in packs.
pub trait Term: Copy + Eq + fmt::Debug + 'static {
    /// Every value, in the order of the contract.
    const ALL: &'static [Self];
    /// What a value of this vocabulary is called in an error.
    const WHAT: &'static str;
    /// The number in the public contract, 1 to 63.
    fn number(self) -> u8;
    /// The word in packs: lower case, underscores.
    fn word(self) -> &'static str;

    /// The value of a word.
    #[must_use]
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|term| term.word() == word)
    }

    /// The value of a number in the contract; zero and unknown numbers have none.
    #[must_use]
    fn from_number(number: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|term| i32::from(term.number()) == number)
    }
}

macro_rules! terms {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $number:literal $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl Term for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];
            const WHAT: &'static str = $what;
            fn number(self) -> u8 {
                self as u8
            }
            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

pub(super) use terms;

terms! {
    /// How the person is reached.
    Channel, "channel" {
        /// A voice call, ringless voicemail included.
        Call = 1 "call",
        /// A text message (SMS, MMS, RCS).
        Text = 2 "text",
    }
}

terms! {
    /// Who or what dials and speaks.
    Technology, "technology" {
        /// A person dials, or writes.
        Manual = 1 "manual",
        /// A machine dials and a person speaks; a text sent by an application.
        Autodialer = 2 "autodialer",
        /// A recorded, synthetic or AI voice; ringless voicemail.
        Prerecorded = 3 "prerecorded",
    }
}

terms! {
    /// Why the contact is made.
    Purpose, "purpose" {
        /// To sell or promote, in whole or in part.
        Marketing = 1 "marketing",
        /// Orders, deliveries, codes, service notices: nothing promotional.
        Informational = 2 "informational",
        /// To collect a debt.
        DebtCollection = 3 "debt_collection",
        /// Genuine research.
        Survey = 4 "survey",
        /// For a party, candidate or cause.
        Political = 5 "political",
        /// For a charity.
        Charity = 6 "charity",
        /// Health care messages.
        Healthcare = 7 "healthcare",
        /// Danger to life, health or property.
        Emergency = 8 "emergency",
    }
}

terms! {
    /// In what capacity the person is contacted.
    Recipient, "recipient" {
        /// A natural person outside any trade.
        Consumer = 1 "consumer",
        /// A natural person (or unincorporated partnership) acting in trade.
        SoleTrader = 2 "sole_trader",
        /// A company or other legal person.
        Business = 3 "business",
    }
}

terms! {
    /// Strength of a consent, weakest first: the order of the variants is the order of strength.
    Grade, "consent grade" {
        /// Inferred from conduct.
        Implied = 1 "implied",
        /// A customer's details taken at a sale, with a chance to refuse then and each time.
        SoftOptIn = 2 "soft_opt_in",
        /// Said or ticked, for this.
        Express = 3 "express",
        /// Signed (electronically counts), naming seller and number.
        ExpressWritten = 4 "express_written",
    }
}

terms! {
    /// What a consent says beyond its grade.
    Flag, "consent flag" {
        /// Its own tick for one thing.
        Separate = 1 "separate",
        /// Given by a parent or guardian.
        Guardian = 2 "guardian",
        /// Covers sending the person's data abroad.
        CrossBorder = 3 "cross_border",
        /// Covers passing the number to this seller by somebody else.
        ThirdParty = 4 "third_party",
        /// Covers contact at hours otherwise closed.
        Night = 5 "night",
    }
}

impl Term for LineType {
    const ALL: &'static [Self] = &[Self::Mobile, Self::Landline, Self::Voip];
    const WHAT: &'static str = "line type";
    fn number(self) -> u8 {
        match self {
            Self::Mobile => 1,
            Self::Landline => 2,
            Self::Voip => 3,
        }
    }
    fn word(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Landline => "landline",
            Self::Voip => "voip",
        }
    }
}

/// A set of terms. What an empty set means (any, or none) stands where it is used.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Set<T>(u64, PhantomData<T>);

impl<T: Term> Set<T> {
    /// No term.
    pub const EMPTY: Self = Self(0, PhantomData);

    /// Every term of the vocabulary.
    #[must_use]
    pub fn all() -> Self {
        T::ALL.iter().copied().collect()
    }

    /// One term.
    #[must_use]
    pub fn one(term: T) -> Self {
        Self(1 << term.number(), PhantomData)
    }

    /// This set with one term more.
    #[must_use]
    pub fn with(self, term: T) -> Self {
        Self(self.0 | 1 << term.number(), PhantomData)
    }

    /// Whether the term is in the set.
    #[must_use]
    pub fn contains(self, term: T) -> bool {
        self.0 & (1 << term.number()) != 0
    }

    /// Terms in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0, PhantomData)
    }

    /// Terms in either set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0, PhantomData)
    }

    /// Whether every term of this set is in the other.
    #[must_use]
    pub fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is no term in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The terms, in the order of the contract.
    pub fn iter(self) -> impl Iterator<Item = T> {
        T::ALL.iter().copied().filter(move |term| self.contains(*term))
    }
}

impl<T: Term> Default for Set<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T: Term> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(terms: I) -> Self {
        terms.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl<T: Term> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
