use super::*;
use crate::registry::Answer;

const HEADER: &str = "# as_of=2026-11-20T04:00:00Z\n";

fn read(id: &str, text: impl AsRef<[u8]>) -> Result<List, Fault> {
    List::read(id, Path::new("lists/x.txt"), text.as_ref())
}

fn instant(text: &str) -> Instant {
    Instant::from_rfc3339(text).unwrap()
}

/// The fault of a file with this second line, which must be named as line 2.
fn refused(id: &str, line: impl AsRef<[u8]>) -> String {
    let text = [HEADER.as_bytes(), line.as_ref(), b"\n"].concat();
    let fault = read(id, text).unwrap_err();
    assert_eq!(fault.line, Some(2), "{fault}");
    let shown = fault.to_string();
    assert!(shown.starts_with("lists/x.txt:2: "), "{shown}");
    shown
}

#[test]
fn a_list_says_what_its_header_says() {
    let text = "# as_of=2026-11-20T04:00:00+02:00 source=export of 20 November sample=true\n# count=2\n# a remark, x=1\n\
                \n+12025550143\n12025550144\n# another=remark\n";
    let list = read("us.dnc.national", text).unwrap();
    assert_eq!(list.id, "us.dnc.national");
    assert_eq!(list.as_of, instant("2026-11-20T02:00:00Z"));
    assert_eq!(list.source.as_deref(), Some("export of 20 November"));
    assert_eq!((list.count, list.sample, list.version.len()), (2, true, 16));
    assert_eq!(list.look_up(12_025_550_143), Answer::Listed { since: None });
    assert_eq!(list.look_up(12_025_550_145), Answer::NotListed);
    assert!(!format!("{list:?}").contains("555"));
}

#[test]
fn the_version_is_the_content() {
    let version = |text: &str| read("uk.tps", text).unwrap().version;
    let one = version("# as_of=2026-11-20T04:00:00Z\n+442079460000\n");
    assert_eq!(one, version("# as_of=2026-11-20T04:00:00Z\n+442079460000\n"));
    assert_ne!(one, version("# as_of=2026-11-21T04:00:00Z\n+442079460000\n"));
    assert_ne!(one, version("# as_of=2026-11-20T04:00:00Z\n+442079460001\n"));
}

#[test]
fn files_of_other_systems_are_read() {
    let text =
        "\u{feff}# as_of=2026-11-20T04:00:00Z\r\n\r\n  +442079460000  \r\n+442079460001 , 2026-01-02\r\n442079460002";
    let list = read("uk.tps", text).unwrap();
    assert_eq!(list.count, 3);
    assert_eq!(list.look_up(442_079_460_000), Answer::Listed { since: None });
    assert_eq!(list.look_up(442_079_460_001), Answer::Listed { since: Some(instant("2026-01-02T00:00:00Z")) });
    assert_eq!(list.look_up(442_079_460_002), Answer::Listed { since: None });
}

#[test]
fn an_entry_of_a_day_to_come_is_one_without_a_day() {
    let text =
        "# as_of=2026-11-20T04:00:00Z\n+442079460000,2026-11-20\n+442079460001,2026-12-05\n+442079460002,2026-11-22\n";
    let list = read("uk.tps", text).unwrap();
    let of_today = Answer::Listed { since: Some(instant("2026-11-20T00:00:00Z")) };
    assert_eq!(list.look_up(442_079_460_000), of_today);
    for number in [442_079_460_001, 442_079_460_002] {
        assert_eq!(list.look_up(number), Answer::Listed { since: None }, "it is listed now, and from no later day on");
    }
}

#[test]
fn north_american_lists_may_leave_out_the_country() {
    let lines = "2025550140\n202,5550141\n202,5550142,2026-01-02\n2025550143,2026-01-02T03:04:05Z\n+12025550144\n";
    let list = read("us.dnc.fl", format!("{HEADER}{lines}")).unwrap();
    let day = instant("2026-01-02T00:00:00Z");
    let expected = [None, None, Some(day), Some(day), None].map(|since| Answer::Listed { since });
    let found = [0, 1, 2, 3, 4].map(|n| list.look_up(12_025_550_140 + n));
    assert_eq!(found, expected);
    assert!(refused("tenant.mine", "202,5550141").contains("3 digits"));
    let elsewhere = read("tenant.mine", format!("{HEADER}2025550140\n")).unwrap();
    assert_eq!(elsewhere.look_up(12_025_550_140), Answer::NotListed, "ten digits mean +1 in +1 lists only");
}

#[test]
fn a_number_given_twice_with_two_dates_has_none() {
    let lines = "+33199000001,2026-05-01\n+33199000001,2025-05-01\n+33199000002,2026-05-01\n+33199000002\n\
                 +33199000003,2026-05-01\n+33199000003,2026-05-01T09:30:00Z\n";
    let list = read("fr.bloctel", format!("{HEADER}{lines}")).unwrap();
    assert_eq!(list.count, 3);
    assert_eq!(list.look_up(33_199_000_001), Answer::Listed { since: None });
    assert_eq!(list.look_up(33_199_000_002), Answer::Listed { since: None });
    assert_eq!(list.look_up(33_199_000_003), Answer::Listed { since: Some(instant("2026-05-01T00:00:00Z")) });
}

#[test]
fn an_empty_list_is_a_list() {
    let list = read("uk.ctps", HEADER).unwrap();
    assert_eq!((list.count, list.look_up(442_079_460_000)), (0, Answer::NotListed));
}

#[test]
fn a_file_without_as_of_in_its_first_line_is_refused() {
    for text in [
        "+12025550143\n",
        "\n# as_of=2026-11-20T04:00:00Z\n",
        "# a list\n# as_of=2026-11-20T04:00:00Z\n",
        "not a number",
    ] {
        let fault = read("us.dnc.national", text).unwrap_err();
        assert_eq!(fault.line, Some(1));
        assert!(fault.to_string().contains("no `as_of`"), "{fault}");
        assert!(fault.to_string().contains("# as_of=2026-"), "{fault}");
    }
    assert!(read("us.dnc.national", "").unwrap_err().to_string().contains("empty"));
}

#[test]
fn a_header_that_says_something_else_is_refused() {
    let fault = |header: &str| read("uk.tps", format!("{header}\n")).unwrap_err().to_string();
    assert!(fault("# as_of=2026-11-20").contains("RFC 3339"));
    assert!(fault("# as_of=yesterday").contains("RFC 3339"));
    assert!(fault("# as_of=@NOW@ sample=true").contains("RFC 3339"));
    assert!(fault("# as_of=2026-11-20T04:00:00Z smaple=true").contains("`smaple=`"));
    assert!(fault("# as_of=2026-11-20T04:00:00Z sample=yes").contains("neither `true` nor `false`"));
    assert!(fault("# as_of=2026-11-20T04:00:00Z count=-1").contains("whole number"));
    assert!(fault("# as_of=2026-11-20T04:00:00Z\n# as_of=2026-11-20T04:00:00Z").contains("twice"));
}

#[test]
fn a_file_that_was_cut_off_is_refused_where_its_header_counts() {
    let whole = "# as_of=2026-11-20T04:00:00Z count=2\n+442079460000\n+442079460000\n";
    assert_eq!(read("uk.tps", whole).unwrap().count, 1, "lines are counted, and numbers given twice are one");
    let cut = read("uk.tps", whole.get(..whole.len() - 14).unwrap()).unwrap_err();
    assert!(cut.to_string().contains("promises 2 numbers, the file has 1"), "{cut}");
}

#[test]
fn each_bad_line_is_named_and_no_digit_of_it_shown() {
    let cases: &[(&str, &[u8], &str)] = &[
        ("uk.tps", b"hello", "character 1 of the number is 'h'"),
        ("uk.tps", b"+44 2079460000", "character 4 of the number is ' '"),
        ("uk.tps", b"+4420-79460000", "character 6 of the number is '-'"),
        ("uk.tps", b"++442079460000", "character 2 of the number is '+'"),
        ("uk.tps", "+442079460٠٠٠".as_bytes(), "not a digit"),
        ("uk.tps", b"02079460000", "begins with 0"),
        ("uk.tps", b"2079460000", "does not belong to uk.tps (+44)"),
        ("uk.tps", b"+44", "2 digits"),
        ("uk.tps", b"+", "0 digits"),
        ("uk.tps", b",2026-01-01", "0 digits"),
        ("uk.tps", b"+4420794600001234", "16 digits"),
        ("uk.tps", &[b'4'; 40], "40 digits"),
        ("uk.tps", &[b'4'; 999], "999 digits"),
        ("uk.tps", b"+442079460000,", "neither YYYY-MM-DD nor"),
        ("uk.tps", b"+442079460000,01/02/2026", "neither YYYY-MM-DD nor"),
        ("uk.tps", b"+442079460000,2026-02-30", "neither YYYY-MM-DD nor"),
        ("uk.tps", b"+442079460000,2026-02-03T10:00", "neither YYYY-MM-DD nor"),
        ("uk.tps", b"+442079460000,2026-02-03,x", "more fields"),
        ("uk.tps", b"+44207946\xff000", "not UTF-8"),
        ("uk.tps", b"+442079460\x00000", "'\\0'"),
        ("uk.tps", &[b'1'; 1_500], "longer than 1024 bytes"),
        ("us.dnc.national", b"+33199000001", "does not belong to us.dnc.national (+1)"),
        ("us.dnc.national", b"1025550143", "first of them 2 to 9"),
        ("us.dnc.national", b"+1202555014", "ten digits"),
        ("us.dnc.national", b"202,555014", "3 digits"),
        ("us.dnc.national", b"202,5550143,01012026,A", "more fields"),
        ("ca.dncl", b"416,5550143,A", "neither YYYY-MM-DD nor"),
    ];
    for (id, line, expected) in cases {
        let shown = refused(id, line);
        assert!(shown.contains(expected), "{shown}");
        let said = shown.split_once(": ").unwrap().1.replace("+442079460000", "");
        assert!(!said.contains("2079460") && !said.contains("5550143"), "{shown}");
    }
}

#[test]
fn a_line_of_ten_megabytes_is_refused_without_being_held() {
    let shown = refused("us.dnc.national", vec![b'2'; 10 << 20]);
    assert!(shown.contains("longer than 1024 bytes"), "{shown}");
    let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let fault = read("us.dnc.national", [&[0xFF, 0xFE], utf16.as_slice()].concat()).unwrap_err();
    assert!(fault.to_string().contains(":1: the line is not UTF-8"), "{fault}");
}

#[test]
fn a_failing_disk_is_named() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("input/output error"))
        }
    }
    let fault = List::read("uk.tps", Path::new("lists/uk.tps.txt"), Broken).unwrap_err();
    assert!(fault.to_string().contains("lists/uk.tps.txt: cannot be read: input/output error"), "{fault}");
}

#[test]
fn a_block_is_given_as_its_first_number() {
    let list = read("us.line.wireless_blocks", format!("{HEADER}+12025550000\n202,5551000\n")).unwrap();
    assert_eq!(
        (list.look_up(12_025_550_143), list.look_up(12_025_552_143)),
        (Answer::Listed { since: None }, Answer::NotListed)
    );
    for whole in [&b"+12025550143"[..], b"202,5550001", b"2025550999"] {
        let shown = refused("us.line.wireless_blocks", whole);
        assert!(shown.contains("no block") && shown.contains("ends in 000") && !shown.contains("5550"), "{shown}");
    }
}
