//! Which of some names a mistyped one was meant to be.

/// The name nearest to a mistyped one, if any is near enough to be meant: at most a third of its letters wrong. Upper and
/// lower case are the same.
#[must_use]
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed: Vec<char> = typed.to_lowercase().chars().collect();
    let most = (typed.len() / 3).max(1);
    names
        .into_iter()
        .map(|name| (distance(&typed, &name.to_lowercase().chars().collect::<Vec<_>>()), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or replaced to turn one into the other (Levenshtein).
fn distance(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for ((b, diagonal), above) in other.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(i + 1);
            next.push((diagonal + usize::from(a != b)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let names = ["us.fl.cap", "us.ok.cap", "us.fl.quiet_hours"];
        assert_eq!(nearest("us.fl.cpa", names), Some("us.fl.cap"));
        assert_eq!(nearest("US.FL.QUIET_HOUR", names), Some("us.fl.quiet_hours"));
        assert_eq!(nearest("de.voice.opt_in", names), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn a_letter_more_less_or_other_is_one_step() {
        let of =
            |one: &str, other: &str| distance(&one.chars().collect::<Vec<_>>(), &other.chars().collect::<Vec<_>>());
        assert_eq!(
            (of("", "abc"), of("abc", "abc"), of("abc", "abd"), of("abc", "ab"), of("kitten", "sitting")),
            (3, 0, 1, 1, 3)
        );
    }
}
