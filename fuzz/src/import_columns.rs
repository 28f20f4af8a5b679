//! The importer of CSV files by the names of their columns, those of numbers and of dates.

use ringfence::registry::import::Columns;

use super::import_lines::{order, taken};

pub fn run(text: &[u8]) {
    let columns = Columns { number: "n".to_owned(), date: Some("d".to_owned()) };
    taken(order("it.rpo", false, true, Some(columns)), text);
}

pub fn seeds() -> Vec<Vec<u8>> {
    [
        "id;n;d\n1;\"+39 06 6981 2345\";15/10/2026\n2;0669812346;\n",
        "n,d,other\n+390669812345,2026-01-01,x\n\"0669812346\",,\n",
        "d\tn\n2026-01-01\t0669812345\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
