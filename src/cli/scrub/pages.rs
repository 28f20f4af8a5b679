//! Parquet that a stranger wrote. What a page claims to hold is held against its bytes before room is made for it, and a
//! file over which the crate `parquet` falls is refused.
//!
//! That crate makes room for as many values as a dictionary, or the lengths of texts, are said to have, before it reads the
//! first: a few bytes then ask for more memory than there is, and that ends the process. And it panics where a file
//! contradicts itself: a page by a dictionary that is not there, a length below nothing. Found by `fuzz/`.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

use crate::cli::Error;

/// The most texts of one page whose lengths are written before them: other pages are read value by value.
const MOST_LENGTHS: u64 = 1 << 24;

thread_local! {
    static TRYING: Cell<bool> = const { Cell::new(false) };
}

/// Does something with the file at this path, and refuses it where that panics: nothing of the reader is used then.
pub(super) fn caught<T>(
    path: &Path,
    work: impl FnOnce() -> std::result::Result<T, Error>,
) -> std::result::Result<T, Error> {
    static QUIET: Once = Once::new();
    // Said on standard error, it would look as if this program were broken.
    QUIET.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            if !TRYING.try_with(Cell::get).unwrap_or(false) {
                told(panicked);
            }
        }));
    });
    let before = TRYING.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    TRYING.set(before);
    done.unwrap_or_else(|_| {
        let why = "not a Parquet file that can be read: what it says of itself does not fit together";
        Err(Error::said(format!("{}: {why}: write it anew with the tool it is from", path.display())))
    })
}

/// The pages of a column, each looked over before it is decoded.
pub(super) struct Pages {
    inner: Box<dyn PageReader>,
    /// Whether levels stand before the values of a page.
    levels: bool,
}

impl Pages {
    /// Of a column whose values are there at this definition level, one a row at most.
    pub(super) fn new(inner: Box<dyn PageReader>, defined: i16) -> Self {
        Self { inner, levels: defined > 0 }
    }

    fn sound(&self, page: Option<Page>) -> Result<Option<Page>> {
        let fits = match &page {
            // No value takes less than a byte.
            Some(Page::DictionaryPage { buf, num_values, .. }) => u64::from(*num_values) <= buf.len() as u64,
            Some(Page::DataPage { buf, num_values, encoding, def_level_encoding, .. }) => {
                lengths(*encoding) == 0
                    || (!self.levels || *def_level_encoding == Encoding::RLE)
                        && after_levels(buf, self.levels).is_some_and(|data| claims_fit(data, *encoding, *num_values))
            }
            Some(Page::DataPageV2 { buf, num_values, encoding, def_levels_byte_len, rep_levels_byte_len, .. }) => {
                let levels = usize::try_from(u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len)).ok();
                lengths(*encoding) == 0
                    || levels
                        .and_then(|levels| buf.get(levels..))
                        .is_some_and(|data| claims_fit(data, *encoding, *num_values))
            }
            None => true,
        };
        if fits { Ok(page) } else { Err(ParquetError::General("a page claims more values than it can hold".into())) }
    }
}

/// How many runs of lengths an encoding writes before the values.
fn lengths(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
        // What a text shares with the one before, and the rest of it.
        Encoding::DELTA_BYTE_ARRAY => 2,
        _ => 0,
    }
}

/// The values of a page of the first version, which begin after their levels.
fn after_levels(page: &[u8], levels: bool) -> Option<&[u8]> {
    if !levels {
        return Some(page);
    }
    let (length, rest) = page.split_first_chunk::<4>()?;
    rest.get(usize::try_from(u32::from_le_bytes(*length)).ok()?..)
}

fn claims_fit(data: &[u8], encoding: Encoding, values: u32) -> bool {
    let most = u64::from(values).min(MOST_LENGTHS);
    let mut rest = Some(data);
    for run in 0..lengths(encoding) {
        let Some(mut data) = rest else { return false };
        let Some(head) = Head::read(&mut data).filter(|head| head.count <= most) else { return false };
        rest = if run + 1 < lengths(encoding) { head.skip(data) } else { None };
    }
    true
}

/// How a run of whole numbers by their differences begins (DELTA_BINARY_PACKED).
struct Head {
    /// Numbers of a block.
    block: u64,
    /// Parts of a block, each of numbers of one width.
    parts: u64,
    count: u64,
}

impl Head {
    fn read(data: &mut &[u8]) -> Option<Self> {
        let (block, parts, count) = (varint(data)?, varint(data)?, varint(data)?);
        // The first number.
        varint(data)?;
        Some(Self { block, parts, count })
    }

    /// What stands after the run.
    fn skip(self, mut data: &[u8]) -> Option<&[u8]> {
        let each = self.block.checked_div(self.parts).filter(|each| *each > 0)?;
        let mut left = self.count.saturating_sub(1);
        while left > 0 {
            // The least difference.
            varint(&mut data)?;
            let (widths, rest) = data.split_at_checked(usize::try_from(self.parts).ok()?)?;
            data = rest;
            // Of parts behind the last number nothing stands but their width.
            let parts = usize::try_from(left.div_ceil(each)).unwrap_or(usize::MAX);
            for width in widths.iter().take(parts) {
                let bytes = each.checked_mul(u64::from(*width))? / 8;
                data = data.get(usize::try_from(bytes).ok()?..)?;
                left = left.saturating_sub(each);
            }
        }
        Some(data)
    }
}

fn varint(data: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = data.split_first()?;
        *data = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        self.sound(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.inner.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let page = self.inner.take_deferred_dictionary()?;
        self.sound(page)
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_panics_is_refused_by_name() {
        let ended = caught::<()>(Path::new("leads.parquet"), || panic!("deep within"));
        let why = ended.unwrap_err().to_string();
        assert!(why.contains("leads.parquet") && why.contains("does not fit") && !why.contains("deep"), "{why}");
        assert_eq!(caught(Path::new("x"), || Ok(7)).unwrap(), 7);
    }

    /// A page that hands itself out.
    struct One(Option<Page>);

    impl Iterator for One {
        type Item = Result<Page>;

        fn next(&mut self) -> Option<Self::Item> {
            self.0.take().map(Ok)
        }
    }

    impl PageReader for One {
        fn get_next_page(&mut self) -> Result<Option<Page>> {
            Ok(self.0.take())
        }

        fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
            Ok(None)
        }

        fn skip_next_page(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn is_taken(page: Page, defined: i16) -> bool {
        Pages::new(Box::new(One(Some(page))), defined).get_next_page().is_ok()
    }

    /// What the crate does with a page by a dictionary that is not there; should it learn to refuse it, look for another.
    #[test]
    fn a_file_over_which_the_crate_falls_is_refused() {
        use parquet::column::reader::{ColumnReader, get_column_reader};
        use parquet::schema::parser::parse_message_type;
        use parquet::schema::types::SchemaDescriptor;

        let schema = parse_message_type("message leads { REQUIRED BYTE_ARRAY phone; }").unwrap();
        let about = SchemaDescriptor::new(std::sync::Arc::new(schema)).column(0);
        let page = Page::DataPage {
            buf: vec![1, 2, 3].into(),
            num_values: 1,
            encoding: Encoding::RLE_DICTIONARY,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let path = Path::new("leads.parquet");
        let read = caught(path, || {
            let reader = get_column_reader(about, Box::new(Pages::new(Box::new(One(Some(page))), 0)));
            let ColumnReader::ByteArrayColumnReader(mut reader) = reader else { return Ok(0) };
            let read = reader.read_records(1, None, None, &mut Vec::new());
            read.map(|(rows, ..)| rows).map_err(|error| Error::said(error.to_string()))
        });
        assert!(read.unwrap_err().to_string().starts_with("leads.parquet: not a Parquet file"));
    }

    #[test]
    fn no_page_is_taken_that_claims_more_than_it_has() {
        let dictionary = |num_values| Page::DictionaryPage {
            buf: vec![0; 12].into(),
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        assert!(is_taken(dictionary(3), 1) && !is_taken(dictionary(u32::MAX), 1));
        let texts = |encoding, data: &[u8]| Page::DataPage {
            buf: data.to_vec().into(),
            num_values: 300,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let (length, both) = (Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY);
        // 128 numbers a block in four parts; 2, and 2 ^ 40.
        let (few, many) = ([128, 1, 4, 2, 0], [128, 1, 4, 128, 128, 128, 128, 128, 64, 0]);
        assert!(is_taken(texts(length, &few), 0) && !is_taken(texts(length, &many), 0));
        let levels = |data: &[u8]| [&[2, 0, 0, 0, 9, 9], data].concat();
        assert!(is_taken(texts(length, &levels(&few)), 1) && !is_taken(texts(length, &levels(&many)), 1));
        // The differences of the first run: the least, four widths, and as many bits as the first says.
        let run = [&few[..], &[0, 8, 0, 0, 0], &[7; 32]].concat();
        for (second, taken) in [(&few[..], true), (&many, false), (&[], false)] {
            assert_eq!(is_taken(texts(both, &[&run, second].concat()), 0), taken, "{second:?}");
        }
        assert!(is_taken(texts(Encoding::PLAIN, &many), 0), "read value by value");
    }
}
