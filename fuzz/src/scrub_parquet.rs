//! `scrub`: a Parquet file of leads. As `scrub_rows`; and over a file that contradicts itself the crate `parquet` may fall, but
//! this program does not: it is refused by its name.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use ringfence::cli::Command;

use super::{house, scrub_rows};

/// A longer one adds nothing but time.
const LONGEST: usize = 64 << 10;

pub fn run(bytes: &[u8]) {
    thread_local! {
        static COMMAND: Command = house::command(
            "leads.parquet",
            &["scrub", "FILE", "--output=-", "--channel=text", "--purpose=informational", "--seller=acme", "--default-region=US"],
        );
    }
    if !bytes.starts_with(b"PAR1") || bytes.len() > LONGEST {
        return;
    }
    COMMAND.with(|command| scrub_rows::held(command, &house::file("leads.parquet", bytes)));
}

fn written(schema: &str, properties: WriterPropertiesBuilder, write: impl Fn(usize, &mut Columns<'_, '_>)) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties.build())).expect("memory");
    for group in 0..2 {
        let mut columns = writer.next_row_group().expect("memory");
        write(group, &mut columns);
        columns.close().expect("memory");
    }
    writer.close().expect("memory");
    bytes
}

type Columns<'a, 'b> = parquet::file::writer::SerializedRowGroupWriter<'a, &'b mut Vec<u8>>;

/// Writes the next column; `there`: which rows have a value.
fn put<T: parquet::data_type::DataType>(columns: &mut Columns<'_, '_>, values: &[T::T], there: Option<&[i16]>) {
    let mut column = columns.next_column().expect("memory").expect("one more column");
    column.typed::<T>().write_batch(values, there, None).expect("memory");
    column.close().expect("memory");
}

/// Numbers that are there, not there, or none.
fn phones(columns: &mut Columns<'_, '_>, rows: usize) {
    let phones = (0..rows).filter(|row| row % 5 != 4);
    let phones: Vec<_> =
        phones.map(|row| if row % 5 == 3 { "abc".into() } else { format!("+1202555{row:04}") }).collect();
    let phones: Vec<ByteArray> = phones.iter().map(|phone| phone.as_str().into()).collect();
    let there: Vec<i16> = (0..rows).map(|row| i16::from(row % 5 != 4)).collect();
    put::<ByteArrayType>(columns, &phones, Some(&there));
}

pub fn seeds() -> Vec<Vec<u8>> {
    let plain = || WriterProperties::builder().set_dictionary_enabled(false);
    let leads =
        "message leads { REQUIRED INT32 id; OPTIONAL BYTE_ARRAY phone (UTF8); OPTIONAL BYTE_ARRAY country (UTF8); }";
    let of_leads = |rows: usize| {
        move |_: usize, columns: &mut Columns<'_, '_>| {
            let ids: Vec<i32> = (0..rows).map(|row| i32::try_from(row).expect("few")).collect();
            put::<Int32Type>(columns, &ids, None);
            phones(columns, rows);
            let countries: Vec<ByteArray> = (0..rows).map(|row| if row % 2 > 0 { "US" } else { "DE" }.into()).collect();
            put::<ByteArrayType>(columns, &countries, Some(&vec![1; rows]));
        }
    };
    let texts = |encoding, version| {
        let properties = plain().set_encoding(encoding).set_writer_version(version);
        let schema = "message leads { OPTIONAL BYTE_ARRAY phone (UTF8); }";
        written(schema, properties, |_, columns| phones(columns, 300))
    };
    let every_type = "message leads { OPTIONAL INT64 phone; REQUIRED BOOLEAN old; OPTIONAL DOUBLE score; \
                      REQUIRED FIXED_LEN_BYTE_ARRAY (5) zip; REPEATED BYTE_ARRAY tags (UTF8); }";
    vec![
        written(leads, WriterProperties::builder(), of_leads(12)),
        written(leads, WriterProperties::builder().set_compression(Compression::SNAPPY), of_leads(30)),
        written(leads, plain().set_compression(Compression::ZSTD(ZstdLevel::default())), of_leads(120)),
        written(leads, plain().set_data_page_row_count_limit(8).set_write_batch_size(8), of_leads(40)),
        texts(Encoding::DELTA_LENGTH_BYTE_ARRAY, WriterVersion::PARQUET_1_0),
        texts(Encoding::DELTA_BYTE_ARRAY, WriterVersion::PARQUET_2_0),
        written(every_type, plain(), |group, columns| {
            put::<Int64Type>(columns, &[12_025_550_143], Some(&[1, 0, 0]));
            put::<BoolType>(columns, &[true, false, group == 0], None);
            put::<DoubleType>(columns, &[0.5], Some(&[0, 1, 0]));
            let zip = |zip: &str| FixedLenByteArray::from(ByteArray::from(zip));
            put::<FixedLenByteArrayType>(columns, &[zip("33101"), zip("10001"), zip("     ")], None);
            let mut column = columns.next_column().expect("memory").expect("one more column");
            let tags = ["a".into(), "b".into()];
            column
                .typed::<ByteArrayType>()
                .write_batch(&tags, Some(&[1, 1, 0, 0]), Some(&[0, 1, 0, 0]))
                .expect("memory");
            column.close().expect("memory");
        }),
    ]
}
