//! A text as typed, folded so that one spelling stands for all: case, accents, full-width and styled letters, invisible
//! characters and punctuation say nothing. Words of the packs go through the same fold, so that the two always meet.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The folded words of a text, in order. Signs (emoji) stand as words of their own.
pub(super) fn fold(text: &str) -> Vec<String> {
    let plain = text.chars().map(apostrophe).nfkd().filter(|c| !is_dropped(*c)).flat_map(same_case).nfc();
    let mut folded = Folded::default();
    let mut chars = plain.peekable();
    while let Some(c) = chars.next() {
        let before_letter = chars.peek().is_some_and(|next| next.is_alphabetic());
        let before_digit = chars.peek().is_some_and(|next| next.is_numeric());
        match c {
            '$' if before_letter => folded.take('s'),
            // `wrong #` is a wrong number; `#stop` and `flat #3` are not.
            '#' if folded.is_between_words() && !before_letter && !before_digit => {
                folded.words.push("number".to_owned())
            }
            _ => folded.take(c),
        }
    }
    folded.close();
    join_spelled(folded.words)
}

/// Whether a character is of a script that puts no spaces between words.
pub(super) const fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' | '\u{ac00}'..='\u{d7a3}' | '\u{1100}'..='\u{11ff}')
}

#[derive(Default)]
struct Folded {
    words: Vec<String>,
    open: String,
}

impl Folded {
    fn take(&mut self, c: char) {
        match c {
            '\'' => {}
            _ if c.is_alphanumeric() || is_combining_mark(c) => {
                // `r退订` is the word R and the word 退订.
                let changes = self.open.chars().next_back().is_some_and(|last| is_unspaced(last) != is_unspaced(c));
                if changes && !is_combining_mark(c) {
                    self.close();
                }
                match letters(c) {
                    Some(letters) => self.open.push_str(letters),
                    None => self.open.push(c),
                }
            }
            _ => {
                self.close();
                if is_sign(c) {
                    self.words.push(c.into());
                }
            }
        }
    }

    fn is_between_words(&self) -> bool {
        self.open.is_empty() && !self.words.is_empty()
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.words.push(std::mem::take(&mut self.open));
        }
    }
}

/// Every mark that stands for an apostrophe; the accents among them would otherwise decompose to a space.
const fn apostrophe(c: char) -> char {
    match c {
        '`' | '´' | '‘' | '’' | '‛' | 'ʼ' | 'ʹ' | '′' | '＇' => '\'',
        _ => c,
    }
}

/// Full case folding, a character at a time: by way of the capital, so that ß, ς and the Turkish ı come out as ss, σ, i.
fn same_case(c: char) -> impl Iterator<Item = char> {
    // Letters in black squares and circles have no decomposition.
    let c = match u32::from(c) {
        n @ 0x1f150..=0x1f169 => letter(n - 0x1f150),
        n @ 0x1f170..=0x1f189 => letter(n - 0x1f170),
        _ => c,
    };
    c.to_uppercase().flat_map(char::to_lowercase)
}

fn letter(index: u32) -> char {
    char::from_u32(u32::from('a') + index).unwrap_or('a')
}

/// Letters that Unicode does not decompose, and that people write without their stroke.
const fn letters(c: char) -> Option<&'static str> {
    Some(match c {
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

/// Accents, vowel points, and what cannot be seen. The signs that Indic scripts and kana cannot do without stay.
const fn is_dropped(c: char) -> bool {
    matches!(c,
        // Accents, Hebrew points, Arabic vowels, enclosing marks.
        '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}'
        | '\u{670}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}'
        // Soft hyphen, fillers, joiners, direction marks, byte order mark, variants, skin tones, tags.
        | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}')
}

const fn is_sign(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27bf}' | '\u{1f300}'..='\u{1faff}')
}

/// `s t o p` is one word: so are three letters or more that stand alone, and Chinese or Japanese characters.
fn join_spelled(words: Vec<String>) -> Vec<String> {
    let single = |word: &str| {
        let mut chars = word.chars();
        chars.next().filter(|c| chars.next().is_none() && c.is_alphabetic())
    };
    let mut joined: Vec<String> = Vec::with_capacity(words.len());
    let mut run: Vec<String> = Vec::new();
    let flush = |run: &mut Vec<String>, joined: &mut Vec<String>| {
        let least = if run.iter().all(|word| word.chars().all(is_unspaced)) { 2 } else { 3 };
        if run.len() >= least {
            joined.push(run.concat())
        } else {
            joined.append(run)
        }
        run.clear();
    };
    for word in words {
        if single(&word).is_some() {
            run.push(word);
        } else {
            flush(&mut run, &mut joined);
            joined.push(word);
        }
    }
    flush(&mut run, &mut joined);
    joined
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::fold;

    #[test]
    fn one_spelling_stands_for_all() {
        for text in [
            "STOP",
            "stop",
            " Stop. ",
            "ＳＴＯＰ",
            "𝐒𝐓𝐎𝐏",
            "🆂🆃🅾🅿",
            "S\u{200b}TO\u{ad}P",
            "s.t.o.p",
            "\u{202e}STOP",
            "$top",
            "'STOP'",
            "ⓢⓣⓞⓟ",
            "s t o p",
        ] {
            assert_eq!(fold(text), ["stop"], "{text:?}");
        }
        for (text, folded) in [
            ("ARRÊT", "arret"),
            ("ΣΤΟΠ", "στοπ"),
            ("ΤΕΛΟΣ", "τελοσ"),
            ("τέλος", "τελοσ"),
            ("ıptal", "iptal"),
            ("İPTAL", "iptal"),
            ("Schluß", "schluss"),
            ("HÆTTA", "haetta"),
            ("wypisz się", "wypisz sie"),
            ("don’t  stop!", "dont stop"),
            ("opt-out", "opt out"),
            ("R退订", "r 退订"),
            ("退 订", "退订"),
            ("수신거부", "수신거부"),
            ("ｽﾄｯﾌﾟ", "ストップ"),
            ("बन्द करें", "बन्द करें"),
            ("הָסֵר", "הסר"),
            ("Stop 🙏", "stop 🙏"),
            ("wrong #", "wrong number"),
            ("lose this # now", "lose this number now"),
            ("## #stop flat #3", "stop flat 3"),
        ] {
            assert_eq!(fold(text).join(" "), folded);
        }
        assert!(fold(" \u{200f}…\u{feff}").is_empty());
    }
}
