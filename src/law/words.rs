//! Words in a text that mean stop, help or start: those of the packs, each with its rule and place, and those of the
//! languages, which hold everywhere.
//!
//! Promises: a pure function of text, law and what is known around the text; in doubt it is a stop. A word that also
//! answers questions (NO, END, R) counts only where the tables say so: see [`Words::hear`]. Must never keep or show the
//! text. Guarded by `tests/inbound.rs`.

mod fold;
mod hear;

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use serde::Deserialize;

use super::{Body, Chain, Law, Pack, PackFault, Rule};
use crate::contact::{Purpose, Set};
use crate::place::Jurisdiction;
use crate::time::{Instant, Millis};

/// The languages, as their file spells them.
pub(super) const LANGUAGES: (&str, &str) = ("languages.toml", include_str!("words/languages.toml"));
/// What a reply is written in where nothing says otherwise.
const FALLBACK: &str = "en";
/// Where the name of the seller goes in a wording.
const SELLER: &str = "{seller}";

/// What a text means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Meaning {
    /// Nothing that the service acts on.
    Nothing,
    /// No more.
    Stop,
    /// Again, please.
    Start,
    /// What is this?
    Help,
}

/// What is known around a text.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// Where its sender may be; empty: could be anywhere.
    pub places: &'a [Jurisdiction],
    /// What the last text sent to them was about; `None` is unknown.
    pub last: Option<Purpose>,
    /// Whether they had asked to stop before.
    pub had_stopped: bool,
    /// When it is judged.
    pub at: Instant,
}

/// A text, understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// What it means.
    pub meaning: Meaning,
    /// The words that decided, as the packs or languages list them. Empty: none did.
    pub matched: Box<str>,
    /// The rule that lists them.
    pub rule: Option<Box<str>>,
    /// It closes everything, whatever the last text was about.
    pub everything: bool,
}

/// What the law of the places says of a stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StopTerms {
    /// A confirmation must go out within this long of the stop, or not at all; `None`: no term.
    pub confirm_within: Option<Millis>,
    /// A stop in answer to a text of one of these purposes closes everything.
    pub everything_after: Set<Purpose>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    any: Any,
    language: Vec<Language>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Any {
    stop: Vec<String>,
    answering: Vec<String>,
    all: Vec<String>,
    help: Vec<String>,
    start: Vec<String>,
    at_home: Vec<String>,
    after_stop: Vec<String>,
    slips: Vec<String>,
    reactions: Vec<String>,
    innocent: Vec<String>,
    #[serde(rename = "confidence")]
    _confidence: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Language {
    code: String,
    places: Vec<String>,
    #[serde(rename = "confidence")]
    _confidence: String,
    stop: Vec<String>,
    #[serde(default)]
    answering: Vec<String>,
    phrases: Vec<String>,
    #[serde(default)]
    all: Vec<String>,
    help: Vec<String>,
    start: Vec<String>,
    polite: Vec<String>,
    confirm: String,
    explain: String,
}

/// Where in a text a phrase counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Spot {
    /// As the whole of it, or its beginning.
    First,
    /// Wherever it stands.
    Anywhere,
}

/// One listed word or phrase.
#[derive(Clone, Debug)]
struct Phrase {
    listed: Box<str>,
    /// Folded; `*` is up to three words.
    words: Vec<String>,
    meaning: Meaning,
    spot: Spot,
    everything: bool,
    /// The pack that lists it, and its rule; none where a language does.
    source: Option<(u16, Box<str>)>,
    /// Counts only where that pack is law.
    at_home: bool,
    /// Counts only in answer to a text of these purposes, or of unknown purpose. Empty: any.
    answering: Set<Purpose>,
    /// Counts only of who had stopped.
    after_stop: bool,
    from: Instant,
    until: Instant,
}

/// Everything listed, ready to be looked up.
#[derive(Debug, Default)]
pub(super) struct Words {
    phrases: Vec<Phrase>,
    /// Phrases by their first word; those of scripts without spaces stand in `unspaced` instead.
    by_word: HashMap<String, Vec<u32>>,
    unspaced: Vec<(String, u32)>,
    polite: HashMap<String, Vec<Vec<String>>>,
    polite_unspaced: Vec<String>,
    innocent: HashMap<String, Vec<Vec<String>>>,
    reactions: Vec<String>,
    /// Words long enough that a slip is told from another word.
    long: BTreeSet<String>,
    slips: BTreeSet<String>,
    languages: Vec<Language>,
    /// The languages a listed word is of, by its folded form; none for what holds everywhere.
    spoken: HashMap<String, Vec<u16>>,
}

fn key(words: &[String]) -> String {
    words.join(" ")
}

fn grouped(phrases: impl Iterator<Item = Vec<String>>) -> HashMap<String, Vec<Vec<String>>> {
    let mut groups: HashMap<String, Vec<Vec<String>>> = HashMap::new();
    for phrase in phrases {
        if let Some(first) = phrase.first() {
            groups.entry(first.clone()).or_default().push(phrase);
        }
    }
    groups
}

fn fold_phrase(text: &str) -> Vec<String> {
    let parts = text.split('*').map(fold::fold);
    parts.collect::<Vec<_>>().join(&"*".to_owned())
}

/// The file of the languages, read once.
///
/// # Errors
/// It does not read. It is compiled in, so no built program meets this.
pub(super) fn file() -> Result<&'static File, &'static PackFault> {
    static FILE: OnceLock<Result<File, PackFault>> = OnceLock::new();
    let read = || {
        toml::from_str(LANGUAGES.1).map_err(|error: toml::de::Error| {
            let line =
                error.span().map_or(1, |span| LANGUAGES.1.get(..span.start).unwrap_or("").lines().count().max(1));
            PackFault { file: LANGUAGES.0.to_owned(), line, message: error.message().to_owned() }
        })
    };
    FILE.get_or_init(read).as_ref()
}

impl Words {
    /// Everything that the packs and the languages list.
    pub(super) fn of(packs: &[Pack]) -> Result<Self, Vec<PackFault>> {
        let file = file().map_err(|fault| vec![fault.clone()])?.clone();
        let mut words = Self::default();
        let set = |list: &[String]| list.iter().map(|text| key(&fold::fold(text))).collect::<BTreeSet<_>>();
        let (at_home, after_stop, all) = (set(&file.any.at_home), set(&file.any.after_stop), set(&file.any.all));
        // What answers questions everywhere is an unconditional stop only where a pack makes it one.
        let in_packs = at_home.union(&set(&file.any.answering)).cloned().collect();
        for (index, pack) in packs.iter().enumerate() {
            for rule in &pack.rules {
                words.add_rule(u16::try_from(index).unwrap_or(u16::MAX), rule, &in_packs, &after_stop, &all);
            }
        }
        words.add_languages(file, &at_home, &after_stop);
        words.index();
        Ok(words)
    }

    fn add_rule(
        &mut self,
        pack: u16,
        rule: &Rule,
        at_home: &BTreeSet<String>,
        after_stop: &BTreeSet<String>,
        all: &BTreeSet<String>,
    ) {
        let Body::Keywords { stop, help, start, .. } = &rule.body else { return };
        let lists = [(stop, Meaning::Stop), (help, Meaning::Help), (start, Meaning::Start)];
        for (listed, meaning) in lists.into_iter().flat_map(|(list, meaning)| list.iter().map(move |w| (w, meaning))) {
            let folded = fold::fold(listed);
            let text = key(&folded);
            let short = text.chars().count() <= if text.chars().all(fold::is_unspaced) { 1 } else { 2 };
            let digits = text.chars().all(|c| c.is_ascii_digit());
            let answers = !rule.applies.purposes.is_empty();
            self.phrases.push(Phrase {
                listed: listed.clone(),
                meaning,
                spot: Spot::First,
                everything: all.contains(&text),
                source: Some((pack, rule.id.clone())),
                at_home: short || digits || answers || at_home.contains(&text),
                answering: rule.applies.purposes,
                after_stop: after_stop.contains(&text),
                words: folded,
                from: rule.from,
                until: rule.until,
            });
        }
    }

    fn add_languages(&mut self, file: File, at_home: &BTreeSet<String>, after_stop: &BTreeSet<String>) {
        let any = file.any;
        self.slips = any.slips.iter().map(|text| fold::fold(text).concat()).collect();
        self.innocent = grouped(any.innocent.iter().map(|text| fold::fold(text)));
        self.reactions = any.reactions;
        self.list(&any.stop, Meaning::Stop, Spot::First, false);
        self.list(&any.all, Meaning::Stop, Spot::First, true);
        let before = self.phrases.len();
        self.list(&any.answering, Meaning::Stop, Spot::First, false);
        for phrase in self.phrases.iter_mut().skip(before) {
            phrase.answering = Set::one(Purpose::Marketing);
        }
        self.list(&any.help, Meaning::Help, Spot::First, false);
        self.list(&any.start, Meaning::Start, Spot::First, false);
        let everywhere: BTreeSet<String> =
            self.phrases.iter().filter(|p| p.source.is_none()).map(|p| key(&p.words)).collect();
        let mut polite = Vec::new();
        for (index, language) in file.language.iter().enumerate() {
            let before = self.phrases.len();
            self.list(&language.stop, Meaning::Stop, Spot::First, false);
            self.list(&language.phrases, Meaning::Stop, Spot::Anywhere, false);
            self.list(&language.all, Meaning::Stop, Spot::Anywhere, true);
            self.list(&language.help, Meaning::Help, Spot::First, false);
            self.list(&language.start, Meaning::Start, Spot::First, false);
            polite.extend(language.polite.iter().map(|text| fold::fold(text)));
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            let own = self.phrases.iter().skip(before).map(|phrase| key(&phrase.words));
            let own = own.chain(language.answering.iter().map(|text| key(&fold::fold(text))));
            for text in own.filter(|text| !everywhere.contains(text)) {
                let spoken = self.spoken.entry(text).or_default();
                if !spoken.contains(&index) {
                    spoken.push(index);
                }
            }
        }
        self.polite_unspaced = polite.iter().map(|words| words.concat()).filter(|text| has_unspaced(text)).collect();
        self.polite = grouped(polite.into_iter());
        self.languages = file.language;
        // What only a pack may list counts from nowhere else.
        self.phrases.retain(|phrase| phrase.source.is_some() || !at_home.contains(&key(&phrase.words)));
        for phrase in &mut self.phrases {
            phrase.after_stop |= after_stop.contains(&key(&phrase.words));
        }
    }

    fn list(&mut self, texts: &[String], meaning: Meaning, spot: Spot, everything: bool) {
        self.phrases.extend(texts.iter().map(|text| Phrase {
            listed: text.as_str().into(),
            words: fold_phrase(text),
            meaning,
            spot,
            everything,
            source: None,
            at_home: false,
            answering: Set::EMPTY,
            after_stop: false,
            from: Instant::NEVER,
            until: Instant::FAR,
        }));
    }

    fn index(&mut self) {
        /// From this many letters on, one slip leaves a word that is still told from others.
        const LONG: usize = 7;
        for (index, phrase) in self.phrases.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let text = phrase.words.concat();
            if has_unspaced(&text) {
                self.unspaced.push((text, index));
            } else if let Some(first) = phrase.words.first() {
                self.by_word.entry(first.clone()).or_default().push(index);
            }
            if phrase.meaning == Meaning::Stop && phrase.words.len() == 1 {
                self.long.extend(phrase.words.first().filter(|word| word.chars().count() >= LONG).cloned());
            }
        }
    }

    /// The language of a reply: that of the words that decided, where they are of one language only; else that of the
    /// places; else English.
    fn language(&self, matched: &str, places: &[Jurisdiction]) -> Option<&Language> {
        let by_code = |code: &str| self.languages.iter().find(|language| language.code == code);
        let of_words = match self.spoken.get(&key(&fold_phrase(matched))).map(Vec::as_slice) {
            Some([only]) => self.languages.get(usize::from(*only)),
            _ => None,
        };
        let of_place = |place: &Jurisdiction| {
            let country = place.country().unwrap_or(*place).to_string();
            self.languages.iter().find(|language| language.places.contains(&country))
        };
        let of_places = || {
            let mut found = places.iter().map(of_place);
            let first = found.next().flatten()?;
            found.all(|other| other.is_some_and(|other| other.code == first.code)).then_some(first)
        };
        of_words.or_else(of_places).or_else(|| by_code(FALLBACK))
    }
}

/// Whether anything of a listed word is left to be recognised.
pub(super) fn is_recognisable(listed: &str) -> bool {
    !fold::fold(listed).is_empty()
}

fn has_unspaced(text: &str) -> bool {
    text.chars().any(fold::is_unspaced)
}

impl Law {
    /// What the packs and the languages list; the file of the languages was read with the packs.
    fn words(&self) -> &Words {
        self.words.get_or_init(|| Words::of(&self.packs).unwrap_or_default())
    }

    /// Understands a text.
    #[must_use]
    pub fn hear(&self, text: &str, around: &Around<'_>) -> Heard {
        let chains: Vec<&Chain> = around.places.iter().map(|place| self.chain(*place)).collect();
        let is_law = |pack: u16| around.places.is_empty() || chains.iter().any(|chain| chain.packs.contains(&pack));
        self.words().hear(text, around, &is_law)
    }

    /// What the law of the places says of a stop.
    #[must_use]
    pub fn stop_terms(&self, around: &Around<'_>) -> StopTerms {
        let mut terms = StopTerms { confirm_within: None, everything_after: Set::EMPTY };
        let packs: BTreeSet<u16> = if around.places.is_empty() {
            (0..u16::try_from(self.packs.len()).unwrap_or(u16::MAX)).collect()
        } else {
            around.places.iter().flat_map(|place| self.chain(*place).packs.iter().copied()).collect()
        };
        for rule in packs.into_iter().filter_map(|index| self.pack(index)).flat_map(|pack| &pack.rules) {
            if let Body::Keywords { confirm_within, stops_everything, .. } = &rule.body
                && rule.from <= around.at
                && around.at < rule.until
            {
                terms.confirm_within = [terms.confirm_within, *confirm_within].into_iter().flatten().min();
                terms.everything_after = stops_everything.iter().fold(terms.everything_after, Set::with);
            }
        }
        terms
    }

    /// What may be answered to a stop or a request for help, naming the seller; `None` to anything else.
    #[must_use]
    pub fn wording(&self, heard: &Heard, seller: Option<&str>, places: &[Jurisdiction]) -> Option<String> {
        let language = self.words().language(&heard.matched, places)?;
        let wording = match heard.meaning {
            Meaning::Stop => &language.confirm,
            Meaning::Help => &language.explain,
            Meaning::Nothing | Meaning::Start => return None,
        };
        Some(match seller {
            Some(seller) => wording.replace(SELLER, seller),
            None => {
                let rest = wording.trim_start_matches(SELLER).trim_start_matches([' ', ':', '：']);
                let mut chars = rest.chars();
                chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
            }
        })
    }
}
