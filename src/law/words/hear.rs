//! How a text is understood: listed words first, then slips of the thumb, and always the stop before anything else.

use super::fold::fold;
use super::{Around, Heard, Meaning, Phrase, Spot, Words, has_unspaced};

/// The longest word in which slips are looked for.
const LONGEST: usize = 24;
/// From this many letters on two slips are forgiven, not one.
const VERY_LONG: usize = 10;
/// What a slip for STOP is taken for.
const STOP: &str = "STOP";
/// The words that `*` may stand for.
const GAP: usize = 3;
/// The characters that it may stand for where there are no spaces.
const GAP_UNSPACED: usize = 8;

/// A phrase found in a text.
struct Found<'a> {
    phrase: &'a Phrase,
    /// How much of the text it is, in words (in characters where there are no spaces).
    length: usize,
    /// Nothing but polite words stands beside it.
    alone: bool,
}

/// What a search needs beside the words of the text.
struct Search<'a> {
    around: &'a Around<'a>,
    is_law: &'a dyn Fn(u16) -> bool,
}

impl Search<'_> {
    /// Whether the phrase counts here. A word that also answers questions counts where its own pack is law, in answer to
    /// the purposes named; where the last text is unknown only when it stands alone.
    fn counts(&self, found: &Found<'_>) -> bool {
        let phrase = found.phrase;
        let here = !phrase.at_home || phrase.source.as_ref().is_some_and(|(pack, _)| (self.is_law)(*pack));
        let answers = phrase.answering.is_empty()
            || self.around.last.map_or(found.alone, |purpose| phrase.answering.contains(purpose));
        let again = !phrase.after_stop || found.alone && self.around.had_stopped;
        here && answers && again && phrase.from <= self.around.at && self.around.at < phrase.until
    }

    /// The law of the place before the languages, those before the law of other places.
    fn rank(&self, phrase: &Phrase) -> u8 {
        match &phrase.source {
            Some((pack, _)) if (self.is_law)(*pack) => 2,
            None => 1,
            Some(_) => 0,
        }
    }
}

impl Words {
    pub(super) fn hear(&self, text: &str, around: &Around<'_>, is_law: &dyn Fn(u16) -> bool) -> Heard {
        let search = Search { around, is_law };
        let mut words = if self.is_reaction(text) { Vec::new() } else { fold(text) };
        words.retain(|word| word.chars().any(char::is_alphanumeric) || self.by_word.contains_key(word));
        let plain = self.understand(&words, &search);
        if plain.meaning == Meaning::Stop {
            return plain;
        }
        let mended: Vec<String> = words.iter().map(|word| mend(word)).collect();
        let second = if mended == words { None } else { Some(self.understand(&mended, &search)) };
        match second {
            Some(second) if second.meaning == Meaning::Stop || plain.meaning == Meaning::Nothing => {
                if second.meaning == Meaning::Nothing { self.slipped(&mended).unwrap_or(second) } else { second }
            }
            None if plain.meaning == Meaning::Nothing => self.slipped(&words).unwrap_or(plain),
            _ => plain,
        }
    }

    fn understand(&self, words: &[String], search: &Search<'_>) -> Heard {
        let found = self.find(words);
        let of = |meaning: Meaning| {
            let those = found.iter().filter(|one| one.phrase.meaning == meaning && search.counts(one));
            those.max_by_key(|one| (search.rank(one.phrase), one.phrase.everything, one.length))
        };
        let first = [Meaning::Stop, Meaning::Start, Meaning::Help].into_iter().find_map(of);
        let Some(best) = first else { return nothing() };
        let meaning = best.phrase.meaning;
        let everything =
            found.iter().any(|one| one.phrase.meaning == meaning && one.phrase.everything && search.counts(one));
        Heard {
            meaning,
            matched: best.phrase.listed.clone(),
            rule: best.phrase.source.as_ref().map(|(_, rule)| rule.clone()),
            everything,
        }
    }

    /// Every phrase that stands where it counts.
    fn find(&self, words: &[String]) -> Vec<Found<'_>> {
        let starts = self.starts(words);
        let innocent = self.innocent_at(words);
        let mut found = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let first = starts.contains(&at);
            for index in self.by_word.get(word).into_iter().flatten() {
                let Some(phrase) = self.phrase(*index) else { continue };
                let counts = first || phrase.spot == Spot::Anywhere && innocent.get(at) != Some(&true);
                let rest = words.get(at..).unwrap_or_default();
                if let Some(length) = matches(&phrase.words, rest).filter(|_| counts) {
                    let after = rest.get(length..).unwrap_or_default();
                    let alone = first && self.starts(after).contains(&after.len());
                    found.push(Found { phrase, length, alone });
                }
            }
        }
        self.find_unspaced(words, &starts, &mut found);
        found
    }

    /// Where there are no spaces, a phrase may stand within what looks like one word.
    fn find_unspaced<'a>(&'a self, words: &[String], starts: &[usize], found: &mut Vec<Found<'a>>) {
        let whole = words.concat();
        if !has_unspaced(&whole) {
            return;
        }
        let rest = self.without_polite(&whole);
        for (text, index) in &self.unspaced {
            let Some(phrase) = self.phrase(*index) else { continue };
            let length = text.chars().count();
            let begins = || {
                let begun = starts.iter().filter_map(|at| words.get(*at));
                // A single character begins too many other words.
                if length == 1 {
                    rest == text.as_str() || begun.into_iter().any(|word| word == text)
                } else {
                    rest.starts_with(text.as_str()) || begun.into_iter().any(|word| word.starts_with(text.as_str()))
                }
            };
            let stands = match phrase.spot {
                Spot::First => begins(),
                // What a comma parts is not one request: 不要香菜，发顺丰 wants no coriander.
                Spot::Anywhere if text.contains('*') => words.iter().any(|word| has_gapped(word, text)),
                Spot::Anywhere => whole.contains(text.as_str()),
            };
            if stands {
                found.push(Found { phrase, length, alone: rest == text.as_str() });
            }
        }
    }

    fn phrase(&self, index: u32) -> Option<&Phrase> {
        self.phrases.get(usize::try_from(index).ok()?)
    }

    /// Where a text may be said to begin: at its first word, and after each polite word that leads up to the next.
    fn starts(&self, words: &[String]) -> Vec<usize> {
        let (mut starts, mut next) = (vec![0], 0);
        while let Some(rest) = words.get(next..).filter(|rest| !rest.is_empty()) {
            let polite = rest.first().and_then(|word| self.polite.get(word)).into_iter().flatten();
            let Some(length) = polite.filter_map(|phrase| matches(phrase, rest)).max() else { break };
            next += length;
            starts.push(next);
        }
        starts
    }

    fn without_polite<'a>(&self, text: &'a str) -> &'a str {
        let mut rest = text;
        let strip = |rest: &'a str| {
            let at_either_end = |polite: &String| rest.strip_prefix(&**polite).or_else(|| rest.strip_suffix(&**polite));
            self.polite_unspaced.iter().find_map(at_either_end)
        };
        while let Some(shorter) = strip(rest) {
            rest = shorter;
        }
        rest
    }

    /// Which words belong to another use of a stop word (`bus stop`).
    fn innocent_at(&self, words: &[String]) -> Vec<bool> {
        let mut innocent = vec![false; words.len()];
        for (at, word) in words.iter().enumerate() {
            for phrase in self.innocent.get(word).into_iter().flatten() {
                if let Some(length) = matches(phrase, words.get(at..).unwrap_or_default()) {
                    innocent.iter_mut().skip(at).take(length).for_each(|one| *one = true);
                }
            }
        }
        innocent
    }

    /// Whether a telephone wrote the text to mark a message: a reaction, then the message quoted, and no more.
    fn is_reaction(&self, text: &str) -> bool {
        const QUOTES: [char; 2] = ['“', '"'];
        let text = text.trim_end_matches(|c: char| c.is_whitespace() || c == '\u{200a}' || c == '\u{200b}');
        let Some((before, _)) = text.split_once(QUOTES) else { return false };
        let before = fold(before);
        text.ends_with(['”', '"']) && self.reactions.iter().any(|reaction| fold(reaction) == before)
    }

    /// A text of one word, a slip or two away from a word that means stop.
    fn slipped(&self, words: &[String]) -> Option<Heard> {
        let [word] = words else { return None };
        let length = word.chars().count();
        let forgiven = if length >= VERY_LONG { 2 } else { 1 };
        let close = || {
            let near = self.long.iter().filter(|long| long.chars().count().abs_diff(length) <= forgiven);
            let nearest = near.map(|long| (distance(word, long), long)).min_by_key(|(away, _)| *away)?;
            (nearest.0 <= forgiven).then(|| nearest.1.to_uppercase())
        };
        let meant = if self.slips.contains(word) {
            Some(STOP.to_owned())
        } else if (7..=LONGEST).contains(&length) {
            close()
        } else {
            None
        };
        meant.map(|meant| Heard { meaning: Meaning::Stop, matched: meant.into(), rule: None, everything: false })
    }
}

fn nothing() -> Heard {
    Heard { meaning: Meaning::Nothing, matched: "".into(), rule: None, everything: false }
}

/// How many words the phrase takes up at the beginning of these.
fn matches(phrase: &[String], words: &[String]) -> Option<usize> {
    let Some((first, rest)) = phrase.split_first() else { return Some(0) };
    if first == "*" {
        let skipped = |skip: usize| matches(rest, words.get(skip..)?).map(|length| length + skip);
        return (0..=GAP).find_map(skipped);
    }
    let (word, after) = words.split_first()?;
    if word == first { matches(rest, after).map(|length| length + 1) } else { None }
}

/// Whether a phrase without spaces stands within the text, at most a few characters in the place of each `*`.
fn has_gapped(text: &str, phrase: &str) -> bool {
    let Some((before, after)) = phrase.split_once('*') else { return text.contains(phrase) };
    let reach = GAP_UNSPACED + after.chars().count();
    text.match_indices(before).any(|(at, _)| {
        let rest = text.get(at + before.len()..).unwrap_or_default();
        let end = rest.char_indices().nth(reach).map_or(rest.len(), |(end, _)| end);
        has_gapped(rest.get(..end).unwrap_or_default(), after)
    })
}

/// A word as it may have been meant: digits for letters (`st0p`), letters of other scripts that look the same, letters
/// held down (`stooop`), a short code glued on (`stop36173`).
fn mend(word: &str) -> String {
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    if letters == 0 {
        return word.to_owned();
    }
    let bare = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let word = if bare.chars().count() >= 4 && bare.chars().all(char::is_alphabetic) { bare } else { word };
    let latin = word.chars().any(|c| c.is_ascii_alphabetic());
    // Three of a letter or more are one; two may be meant.
    let mut text = String::with_capacity(word.len());
    let mut chars = word.chars().map(|c| if latin { look_alike(c) } else { c }).peekable();
    while let Some(c) = chars.next() {
        let mut run = 1;
        while chars.peek() == Some(&c) {
            chars.next();
            run += 1;
        }
        text.extend(std::iter::repeat_n(c, if run == 2 { 2 } else { 1 }));
    }
    text
}

/// The Latin letter that a digit or a letter of another script is often typed for.
const fn look_alike(c: char) -> char {
    match c {
        '0' | 'о' | 'ο' => 'o',
        '1' | 'і' | 'ι' => 'i',
        '3' | 'е' | 'ε' => 'e',
        '4' | 'а' | 'α' => 'a',
        '5' | 'ѕ' => 's',
        '7' | 'т' | 'τ' => 't',
        'р' | 'ρ' => 'p',
        'с' => 'c',
        'у' | 'υ' => 'u',
        'х' => 'x',
        'к' | 'κ' => 'k',
        'м' => 'm',
        'н' => 'h',
        'в' => 'b',
        _ => c,
    }
}

/// The slips between two words: a letter missing, added, changed, or changed over with its neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let at = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let changed = at(&row, j) + usize::from(x != y);
            let mut least = changed.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let crossed = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if crossed {
                least = least.min(at(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    at(&row, b.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::fold::fold;
    use super::super::{Around, Meaning, Words};
    use super::{distance, mend};
    use crate::time::Instant;

    /// What a text means by the languages alone, from anywhere.
    fn meaning(words: &Words, text: &str) -> Meaning {
        let around = Around { places: &[], last: None, had_stopped: false, at: Instant::from_millis(0) };
        words.hear(text, &around, &|_| true).meaning
    }

    #[test]
    fn every_language_is_whole_and_its_words_mean_what_they_are_listed_for() {
        let words = Words::of(&[]).unwrap();
        assert!(words.languages.len() > 30);
        for language in &words.languages {
            let code = &language.code;
            assert!(!language.help.is_empty() && !language.start.is_empty(), "{code}");
            for text in language.stop.iter().chain(&language.phrases).chain(&language.all) {
                assert!(!fold(text).is_empty(), "{code}: {text}");
                if text != "SEIS" {
                    let between = if super::has_unspaced(text) { "再给我" } else { "one two" };
                    assert_eq!(meaning(&words, &text.replace('*', between)), Meaning::Stop, "{code}: {text}");
                }
            }
            for (list, meant) in [
                (&language.help, Meaning::Help),
                (&language.start, Meaning::Start),
                (&language.polite, Meaning::Nothing),
            ] {
                // `stp` is French for please, and a slip for STOP.
                for text in list.iter().filter(|text| !words.slips.contains(*text)) {
                    assert_eq!(meaning(&words, text), meant, "{code}: {text}");
                }
            }
            for wording in [&language.confirm, &language.explain] {
                assert!(wording.starts_with("{seller}") && wording.ends_with(['.', '。', '।']), "{code}: {wording}");
                assert!(wording.chars().count() <= 120, "{code}: {wording}");
            }
        }
    }

    #[test]
    fn slips_are_counted_and_mended() {
        assert_eq!(distance("unsubscribe", "unsubscribe"), 0);
        assert_eq!(distance("unsuscribe", "unsubscribe"), 1);
        assert_eq!(distance("unsubscirbe", "unsubscribe"), 1);
        assert_eq!(distance("unsusbcrib", "unsubscribe"), 2);
        assert_eq!(distance("", "stop"), 4);
        for (typed, meant) in [
            ("st0p", "stop"),
            ("5top", "stop"),
            ("stoooop", "stop"),
            ("stopp", "stopp"),
            ("stop36173", "stop"),
            ("stоp", "stop"),
            ("0000", "0000"),
            ("стоп", "стоп"),
        ] {
            assert_eq!(mend(typed), meant);
        }
    }
}
