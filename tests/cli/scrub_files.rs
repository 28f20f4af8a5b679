//! `scrub` at scale: compressed files and Parquet, killed and begun again, counted, forecast, and reported on.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::RowAccessor as _;
use parquet::schema::parser::parse_message_type;
use serde_json::Value;

use super::scrub::QUESTION;
use super::server::serve_with;
use super::{ALLOWED, Home, with, with_data};

/// A question without its instant, for what is counted or asked of a server.
fn live() -> Vec<&'static str> {
    QUESTION.iter().copied().filter(|option| !option.starts_with("--at")).collect()
}

/// Rows of every kind: allowed, no number, faulty, foreign.
pub fn leads(rows: usize) -> String {
    let mut text = "id,phone,tz\n".to_owned();
    for id in 0..rows {
        text.push_str(&match id % 10 {
            3 => format!("{id},abc,\n"),
            7 => format!("{id},+1305555{:04},America/New_York\n", id % 10_000),
            9 => format!("{id},+4930231250,Mars/Base\n"),
            _ => format!("{id},+49302312{:02},\n", id % 100),
        });
    }
    text
}

#[test]
fn compressed_files_are_read_and_written_as_their_names_say() {
    let home = Home::new();
    let text = leads(4_500);
    home.write("in.csv", &text);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    home.write("in.csv.gz", gzip.finish().unwrap());
    home.write("in.csv.zst", zstd::bulk::compress(text.as_bytes(), 1).unwrap());
    let scrub = |input: &str, output: &str| {
        let output = format!("--output={output}");
        home.run(&with(&["scrub", input, &output, "--time-zone-column=tz"], &QUESTION)).code(0).json()
    };
    let plain = scrub("in.csv", "out.csv");
    let expected = home.read("out.csv");
    assert_eq!(expected.lines().count(), 4_501);
    for (input, output) in [("in.csv.gz", "a.csv.gz"), ("in.csv.zst", "b.csv.zst"), ("in.csv.gz", "c.csv")] {
        let summary = scrub(input, output);
        assert_eq!(summary["callable"], plain["callable"]);
        let file = File::open(home.path(output)).unwrap();
        let mut text = String::new();
        match output.rsplit('.').next().unwrap() {
            "gz" => flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap(),
            "zst" => zstd::stream::read::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap(),
            _ => std::io::BufReader::new(file).read_to_string(&mut text).unwrap(),
        };
        assert!(text == expected, "{output}");
    }
    home.write("cut.csv.gz", &fs::read(home.path("in.csv.gz")).unwrap()[..900]);
    home.run(&with(&["scrub", "cut.csv.gz", "--output=x.csv"], &QUESTION)).refused(&["cut.csv.gz"]);
    home.run(&with(&["scrub", "in.csv", "--output=x.parquet"], &QUESTION)).refused(&["x.parquet", "CSV"]);
    assert!(home.names().iter().all(|name| !name.starts_with('.')), "{:?}", home.names());
}

/// A table with a list, a number that is a fraction, gaps, and several row groups.
fn table(home: &Home, name: &str, rows: usize) {
    let schema = "message leads {
        REQUIRED INT32 id;
        OPTIONAL BYTE_ARRAY phone (STRING);
        OPTIONAL DOUBLE score;
        OPTIONAL GROUP tags (LIST) { REPEATED GROUP list { REQUIRED BYTE_ARRAY element (STRING); } }
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(
        File::create(home.path(name)).unwrap(),
        schema,
        Arc::new(WriterProperties::default()),
    )
    .unwrap();
    for ids in (0..rows).collect::<Vec<_>>().chunks(1_500) {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<i32> = ids.iter().map(|id| i32::try_from(*id).unwrap()).collect();
        column.typed::<Int32Type>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let phones = ids.iter().filter(|id| *id % 5 != 4);
        let phones: Vec<_> =
            phones.map(|id| ByteArray::from(if id % 5 == 3 { "abc" } else { "+4930231250" })).collect();
        let there: Vec<i16> = ids.iter().map(|id| i16::from(id % 5 != 4)).collect();
        column.typed::<ByteArrayType>().write_batch(&phones, Some(&there), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let scores: Vec<f64> = ids.iter().map(|id| *id as f64 / 2.0).collect();
        column.typed::<DoubleType>().write_batch(&scores, Some(&vec![1; ids.len()]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let tags: Vec<_> = ids.iter().flat_map(|_| [ByteArray::from("a"), ByteArray::from("b")]).collect();
        let repeated: Vec<i16> = ids.iter().flat_map(|_| [0, 1]).collect();
        column.typed::<ByteArrayType>().write_batch(&tags, Some(&vec![2; tags.len()]), Some(&repeated)).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn parquet_stays_parquet_and_its_own_columns_as_they_were() {
    let home = Home::new();
    table(&home, "leads.parquet", 4_000);
    let scrub = ["scrub", "leads.parquet", "--output=out.parquet"];
    let summary = home.run(&with(&scrub, &QUESTION)).code(0).json();
    assert_eq!(
        (&summary["rows"], &summary["allowed"], &summary["reasons"]["NUMBER"]),
        (&4_000.into(), &2_400.into(), &1_600.into())
    );
    let reader = SerializedFileReader::new(File::open(home.path("out.parquet")).unwrap()).unwrap();
    let names: Vec<_> =
        reader.metadata().file_metadata().schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
    assert_eq!(names[..4], ["id", "phone", "score", "tags"]);
    assert_eq!(names[4..], ["ringfence_verdict", "ringfence_reasons", "ringfence_retry_at", "ringfence_message"]);
    let before = SerializedFileReader::new(File::open(home.path("leads.parquet")).unwrap()).unwrap();
    let mut rows = 0;
    for (new, old) in reader.get_row_iter(None).unwrap().zip(before.get_row_iter(None).unwrap()) {
        let (new, old) = (new.unwrap(), old.unwrap());
        let own = |row: &parquet::record::Row| {
            row.get_column_iter().take(4).map(|(_, field)| field.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(own(&new), own(&old));
        let allowed = rows % 5 < 3;
        assert_eq!(new.get_string(4).unwrap() == "ALLOW", allowed, "row {rows}");
        assert_eq!(new.get_string(5).is_ok(), !allowed);
        rows += 1;
    }
    assert_eq!(rows, 4_000);
    assert_eq!(home.names(), ["leads.parquet", "out.parquet"]);
    home.run(&with(&["scrub", "leads.parquet", "--output=x.csv"], &QUESTION)).refused(&["x.csv", "Parquet"]);
    home.write("cut.parquet", &fs::read(home.path("leads.parquet")).unwrap()[..500]);
    home.run(&with(&["scrub", "cut.parquet", "--output=x.parquet"], &QUESTION)).refused(&["cut.parquet"]);
    // A number may be a number.
    let schema = Arc::new(parse_message_type("message leads { OPTIONAL INT64 phone; }").unwrap());
    let file = File::create(home.path("ints.parquet")).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[30_231_250], Some(&[1, 0]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let ints = ["scrub", "ints.parquet", "--output=ints.out.parquet", "--default-region=DE"];
    assert_eq!(home.run(&with(&ints, &QUESTION)).code(0).json()["allowed"], 1);
}

/// Lengths before the texts, and what each shares with the one before: written by many tools for columns of text.
#[test]
fn parquet_of_every_encoding_of_texts_is_read_whole() {
    use parquet::basic::Encoding;
    use parquet::file::properties::WriterVersion;
    const ROWS: usize = 1_000;
    let home = Home::new();
    for (encoding, version) in [
        (Encoding::PLAIN, WriterVersion::PARQUET_1_0),
        (Encoding::DELTA_LENGTH_BYTE_ARRAY, WriterVersion::PARQUET_1_0),
        (Encoding::DELTA_BYTE_ARRAY, WriterVersion::PARQUET_1_0),
        (Encoding::DELTA_BYTE_ARRAY, WriterVersion::PARQUET_2_0),
    ] {
        let schema = Arc::new(parse_message_type("message leads { OPTIONAL BYTE_ARRAY phone (UTF8); }").unwrap());
        let properties = WriterProperties::builder().set_dictionary_enabled(false);
        let properties = properties.set_encoding(encoding).set_writer_version(version).build();
        let file = File::create(home.path("texts.parquet")).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let phones: Vec<_> = (0..ROWS).map(|row| format!("+49302312{}", 10 + row % 90)).collect();
        let phones: Vec<ByteArray> = phones.iter().map(|phone| phone.as_str().into()).collect();
        let there: Vec<i16> = (0..ROWS + 20).map(|row| i16::from(row % 51 != 7)).collect();
        assert_eq!(there.iter().filter(|there| **there > 0).count(), ROWS);
        column.typed::<ByteArrayType>().write_batch(&phones, Some(&there), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        let scrub = ["scrub", "texts.parquet", "--output=texts.out.parquet", "--force"];
        let summary = home.run(&with(&scrub, &QUESTION)).code(0).json();
        assert_eq!((&summary["rows"], &summary["allowed"]), (&(ROWS + 20).into(), &ROWS.into()), "{encoding:?}");
    }
}

/// Runs it until it has said how far it came, and kills it. On a busy machine it may end before that is seen: then again.
pub fn killed(home: &Home, arguments: &[&str], variables: &[(&str, &str)], resume: &str) {
    let output = resume.strip_prefix('.').and_then(|name| name.strip_suffix(".resume")).unwrap();
    for _ in 0..10 {
        let mut command = home.command();
        command.args(arguments).envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !home.path(resume).exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        if !child.wait().unwrap().success() {
            assert!(home.path(resume).exists(), "it failed, or had not said how far it came");
            return;
        }
        fs::remove_file(home.path(output)).unwrap();
    }
    panic!("it ended each time before it could be killed");
}

#[test]
fn a_scrub_that_is_killed_goes_on_and_makes_the_same_file() {
    let home = Home::new();
    // More than are answered in the second after which it first says how far it came.
    const ROWS: usize = 120_000;
    home.write("in.csv", leads(ROWS));
    table(&home, "in.parquet", ROWS);
    for (input, output) in [("in.csv", "out.csv"), ("in.csv", "out.csv.zst"), ("in.parquet", "out.parquet")] {
        let named = format!("--output={output}");
        let scrub = with(&["scrub", input, &named], &QUESTION);
        killed(&home, &scrub, &[], &format!(".{output}.resume"));
        assert!(!home.path(output).exists(), "what is there is complete");
        let resumed = home.run(&scrub).code(0).json();
        assert_eq!(resumed["resumed"], true, "{resumed}");
        let made = fs::read(home.path(output)).unwrap();
        fs::remove_file(home.path(output)).unwrap();
        let whole = home.run(&scrub).code(0).json();
        assert_eq!(whole["resumed"], false);
        assert!(
            fs::read(home.path(output)).unwrap() == made,
            "{output} differs from that of a run that was not killed"
        );
        let counts = |summary: &Value| {
            Value::Object(
                summary
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter(|(key, _)| *key != "resumed")
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect(),
            )
        };
        assert_eq!(counts(&resumed), counts(&whole));
    }
    // Another question is other work: begun anew.
    let scrub = with(&["scrub", "in.csv", "--output=b.csv"], &QUESTION);
    killed(&home, &scrub, &[], ".b.csv.resume");
    let other = home.run(&with(&scrub, &["--subject=another"])).code(0).json();
    assert_eq!(other["resumed"], false);
    assert!(home.names().iter().all(|name| !name.starts_with('.')), "{:?}", home.names());
}

#[test]
fn what_was_counted_before_a_kill_is_not_counted_again_in_silence() {
    let home = with_data();
    home.write("in.csv", leads(120_000));
    let reserve = with(&["scrub", "in.csv", "--output=out.csv", "--reserve"], &live());
    killed(&home, &reserve, &[], ".out.csv.resume");
    // Half of the file from before a freeze is no answer, and the other half counted twice is none either.
    let freeze = ["control", "freeze", "--campaign=spring", "--who=ann", "--why=Counsel asks."];
    home.run(&freeze).code(0);
    home.run(&reserve).refused(&["out.csv", "attempts", "--force"]);
    assert!(!home.path("out.csv").exists());
    let dry = with(&["scrub", "in.csv", "--output=dry.csv"], &live());
    killed(&home, &dry, &[], ".dry.csv.resume");
    home.run(&["control", "freeze", "--campaign=autumn", "--who=ann", "--why=Counsel asks."]).code(0);
    let anew = home.run(&dry).code(0).json();
    assert_eq!(anew["resumed"], false, "nothing was counted, so that it is simply begun anew");
}

/// Also where it is killed before its first rows are written, and where there are not enough of them to say how far it came.
#[test]
fn a_count_that_is_cut_short_at_its_beginning_goes_on_under_the_same_ids() {
    for (header, rows) in [("phone\n", 40), ("", 40)] {
        let home = with_data();
        let numbers: String = (0..rows).map(|row| format!("+49302312{row:02}\n")).collect();
        home.write("in.csv", format!("{header}{numbers}"));
        let reserve = with(&["scrub", "in.csv", "--output=out.csv", "--reserve"], &live());
        killed(&home, &reserve, &[], ".out.csv.resume");
        let state: Value = serde_json::from_str(&home.read(".out.csv.resume")).unwrap();
        assert_eq!(state["place"]["offset"], header.len(), "it says where it begins before it asks for anybody");
        let summary = home.run(&reserve).code(0).json();
        assert_eq!((&summary["resumed"], &summary["rows"]), (&true.into(), &rows.into()));
        assert_eq!(summary["attempts"], state["attempts"]);
        assert_eq!(home.read("out.csv").lines().count(), rows + header.lines().count());
        for number in ["+4930231200", "+4930231239"] {
            let shown = home.run(&["contact", "show", number, "--json"]).quietly(0).json();
            let attempts = shown["attempts"].as_array().map_or(0, Vec::len);
            assert_eq!(attempts, 1, "{header:?} {number}: counted once, however often it was asked");
        }
    }
}

#[test]
fn what_is_interrupted_at_its_last_rows_has_each_row_once() {
    let home = with_data();
    for rows in [600, 2_600] {
        let numbers: String = (0..rows).map(|row| format!("+4930{row:06}\n")).collect();
        home.write("in.csv", format!("phone\n{numbers}"));
        let reserve = with(&["scrub", "in.csv", "--output=out.csv", "--reserve", "--force"], &live());
        let mut child = home.command().args(&reserve).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !home.path(".out.csv.resume").exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(interrupted.is_ok());
        // On a busy machine it may have ended before.
        let ended = child.wait().unwrap().success();
        let summary = home.run(&reserve).code(0).json();
        assert_eq!((&summary["rows"], &summary["resumed"]), (&rows.into(), &(!ended).into()));
        let out = home.read("out.csv");
        let found: std::collections::BTreeSet<_> = out.lines().skip(1).map(|line| line.split(',').next()).collect();
        assert_eq!((out.lines().count(), found.len()), (rows + 1, rows), "each row once");
        std::fs::remove_file(home.path("out.csv")).unwrap();
    }
}

#[test]
fn a_file_names_the_copies_of_lists_that_it_was_judged_by() {
    let home = with_data();
    std::fs::create_dir(home.path("lists")).unwrap();
    home.write("lists/us.dnc.national.txt", "# as_of=2026-11-18T06:00:00Z source=FTC sample=true\n+12025550143\n");
    home.write("in.csv", "phone\n+12025550143\n+12025550144\n");
    let scrub = with(&["scrub", "in.csv", "--output=out.csv", "--registries=lists"], &QUESTION);
    let lists = &home.run(&scrub).code(0).json()["lists"];
    assert_eq!(lists.as_array().map(Vec::len), Some(1), "{lists}");
    assert_eq!((&lists[0]["registry"], &lists[0]["asOf"]), (&"us.dnc.national".into(), &"2026-11-18T06:00:00Z".into()));
    assert_eq!(lists[0]["version"].as_str().map(str::len), Some(16), "{lists}");
    let page = with(&scrub, &["--force", "--report=page.html"]);
    home.run(&page).code(0);
    assert!(home.read("page.html").contains(lists[0]["version"].as_str().unwrap()));
}

#[test]
fn what_is_counted_is_counted_once_for_each_row() {
    let home = with_data();
    home.write("in.csv", "phone\n+4930231250\nabc\n+4930231251\n+4930231250\n");
    let reserve = with(&["scrub", "in.csv", "--output=out.csv", "--reserve"], &live());
    let summary = home.run(&reserve).code(0).json();
    assert_eq!((&summary["allowed"], &summary["rows"]), (&3.into(), &4.into()));
    let attempts = |number: &str| {
        let shown = home.run(&["contact", "show", number, "--json"]).quietly(0).json();
        shown["attempts"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((attempts("+4930231250"), attempts("+4930231251")), (2, 1), "one for each row");
    home.run(&["audit", "verify"]).quietly(0).says(&["SOUND"]);
    home.run(&with(&reserve, &["--at=2026-11-18T17:00:00Z", "--force"])).refused(&["--reserve", "--at"]);
    home.run(&with(&reserve, &["--forecast=1", "--force"])).refused(&["--reserve", "--forecast"]);
    let empty = Home::new();
    empty.write("in.csv", "phone\n+4930231250\n");
    empty.run(&reserve).refused(&["ringfence-data"]);
}

#[test]
fn the_summary_says_when_rows_may_be_contacted_and_forecasts_the_hours() {
    let home = Home::new();
    let text = "phone\n+13055550143\n+13055550144\n+4930231250\nabc\n";
    home.write("in.csv", text);
    // A sales call to Florida on a Wednesday at 6 in the morning there: closed, and open by itself at 8, were consent and
    // lists in order; they are not.
    let question = [
        "--channel=call",
        "--purpose=informational",
        "--technology=manual",
        "--recipient=consumer",
        "--line-type=landline",
        "--seller=acme",
    ];
    let scrub = with(&["scrub", "in.csv", "--output=out.csv", "--force", "--json", "--forecast=2"], &question);
    let summary = home.run(&with(&scrub, &["--at=2026-11-18T17:00:00Z"])).code(0).json();
    let callable = summary["callable"].as_object().unwrap();
    assert_eq!(callable.values().map(|rows| rows.as_u64().unwrap()).sum::<u64>(), 4);
    assert_eq!((&callable["now"], &callable["never"]), (&summary["allowed"], &1.into()));
    let forecast = summary["forecast"].as_array().unwrap();
    assert_eq!((forecast.len(), &forecast[0]["hour"]), (48, &"2026-11-18T17:00:00Z".into()));
    assert_eq!(forecast[0]["rows"], summary["allowed"], "what may be contacted now may be in this hour");
    // Texts without consent: never, unless they consent, whatever the lists would say.
    let marketing = ["--channel=text", "--purpose=marketing", "--seller=acme", "--at=2026-11-18T17:00:00Z"];
    let scrub = with(&["scrub", "in.csv", "--output=out.csv", "--force", "--json"], &marketing);
    let summary = home.run(&scrub).code(0).json();
    assert_eq!(summary["callable"]["now"], 0);
    assert_eq!(summary["callable"]["needsConsent"], 3, "{summary}");
    assert!(summary["forecast"].is_null());
    let ran = home.run(&with(&["scrub", "in.csv", "--output=out.csv", "--force"], &marketing)).code(0);
    assert!(ran.err.contains("never without consent") && ran.err.contains("may be contacted"), "{}", ran.err);
}

/// What a planner must not read as an invitation to ask for consents.
#[test]
fn missing_lists_and_those_who_said_no_are_classes_of_their_own() {
    let home = with_data();
    home.run(&["contact", "opt-out", "+13055550145", "--everything"]).quietly(0);
    home.write("in.csv", "phone\n+13055550143\n+13055550145\n+4930231250\nabc\n");
    let question =
        ["--channel=call", "--purpose=marketing", "--technology=manual", "--recipient=consumer", "--seller=acme"];
    let scrub = with(&["scrub", "in.csv", "--output=out.csv", "--force", "--report=page.html"], &question);
    let summary = home.run(&with(&scrub, &["--json"])).code(0).json();
    for (class, rows) in [("notKnown", 1), ("stopped", 1), ("needsConsent", 1), ("never", 1), ("now", 0)] {
        assert_eq!(summary["callable"][class], rows, "{class}: {summary}");
    }
    assert_eq!(
        (&summary["countries"]["US"]["notKnown"], &summary["countries"]["US"]["stopped"]),
        (&1.into(), &1.into())
    );
    let words =
        ["not known: a list is missing or stale", "stopped: asked not to be contacted", "never without consent"];
    let told = home.run(&scrub).code(0).err;
    let page = home.read("page.html");
    for words in words {
        assert!(told.contains(words) && page.contains(words), "{words}: {told}");
    }
    // With a list of the nation that has the number, it is known; a server says the same.
    let server = serve_with(&home, &[]);
    let of_server = home.run(&with(&with(&scrub, &["--json"]), &["--server", server.url.as_str()])).code(0).json();
    assert_eq!(of_server["callable"], summary["callable"]);
}

/// Each hour of a forecast is what `check` answers in it.
#[test]
fn a_forecast_is_what_check_says_hour_by_hour() {
    let home = Home::new();
    home.write("in.csv", "phone\n+33123456789\n");
    let question = [
        "--channel=call",
        "--purpose=survey",
        "--technology=manual",
        "--recipient=consumer",
        "--line-type=landline",
        "--seller=acme",
    ];
    let scrub = with(
        &["scrub", "in.csv", "--output=out.csv", "--json", "--forecast=1", "--at=2026-11-18T17:10:00Z"],
        &question,
    );
    let summary = home.run(&scrub).code(0).json();
    for hour in summary["forecast"].as_array().unwrap() {
        let start = hour["hour"].as_str().unwrap();
        // Rules change at whole and half hours: an hour is open where one of its halves is.
        let open = ["00", "30"].iter().any(|half| {
            let at = format!("--at={}:{half}:00Z", &start[..13]);
            if at.as_str() < "--at=2026-11-18T17:10:00Z" {
                return false;
            }
            home.run(&with(&with(&["check", "+33123456789"], &question), &[&at])).code == Some(0)
        });
        assert_eq!(hour["rows"], u64::from(open), "{start}");
    }
}

#[test]
fn a_report_is_one_page_that_asks_nobody_for_anything() {
    let home = Home::new();
    home.write("<b>.csv", leads(300));
    let scrub = with(&["scrub", "<b>.csv", "--output=out.csv", "--report=page.html"], &QUESTION);
    home.run(&scrub).code(0);
    let page = home.read("page.html");
    assert!(page.contains("<svg") && page.contains("&lt;b&gt;.csv") && page.contains("by the hour"));
    for outside in ["http:", "https:", "src=", "<script", "url(", "@import", "<link", "<b>"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for digits in super::DIGITS {
        assert!(!page.contains(digits));
    }
    home.run(&scrub).refused(&["out.csv", "--force"]);
    std::fs::remove_file(home.path("out.csv")).unwrap();
    home.run(&scrub).refused(&["page.html", "--force"]);
}

#[test]
fn a_server_answers_by_streams_and_a_scrub_goes_on_when_it_is_back() {
    let home = Home::new();
    let server = serve_with(&home, &[]);
    const ROWS: usize = 24_000;
    home.write("in.csv", leads(ROWS));
    let question = with(&["scrub", "in.csv", "--output=out.csv", "--json"], &ALLOWED[2..]);
    let at = ["--server", server.url.as_str()];
    let summary = home.run(&with(&question, &at)).code(0).json();
    assert_eq!(summary["rows"], ROWS as u64);
    let rows = home.read("out.csv");
    for (id, line) in rows.lines().skip(1).enumerate() {
        assert!(line.starts_with(&format!("{id},")), "{line}");
        assert_eq!(line.contains(",DENY,NUMBER,"), id % 10 == 3, "{line}");
    }
    home.run(&with(&with(&question, &at), &["--force", "--forecast=1"])).refused(&["--forecast", "--server"]);
    // Killed at either end, it goes on.
    let again = with(&with(&question, &at), &["--force"]);
    killed(&home, &again, &[], ".out.csv.resume");
    assert_eq!(home.run(&again).code(0).json()["resumed"], true);
    assert!(home.read("out.csv").lines().count() == ROWS + 1);
    let reserve = with(&with(&["scrub", "few.csv", "--output=few.out.csv", "--json", "--reserve"], &ALLOWED[2..]), &at);
    home.write("few.csv", "phone\n+4930231250\n+4930231250\n");
    assert_eq!(home.run(&reserve).code(0).json()["allowed"], 2);
    let shown = home.run(&with(&["contact", "show", "+4930231250", "--json"], &at)).quietly(0).json();
    assert_eq!(shown["attempts"].as_array().unwrap().len(), 2);
}
