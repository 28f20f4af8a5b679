use super::*;

fn table(text: &str) -> (StringRecord, Vec<StringRecord>) {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut records = reader.records().map(Result::unwrap);
    let first = records.next().unwrap_or_default();
    (first, records.collect())
}

fn found(text: &str) -> Columns {
    let (first, rows) = table(text);
    detect(&first, &rows, Wanted::default()).unwrap()
}

fn refused(text: &str, wanted: Wanted<'_>) -> String {
    let (first, rows) = table(text);
    detect(&first, &rows, wanted).unwrap_err().to_string()
}

#[test]
fn the_columns_of_the_sample_leads() {
    let columns = found(include_str!("../../../../deploy/sample/leads.csv"));
    let expected = Columns {
        has_header: true,
        number: 5,
        country: Some(6),
        state: Some(7),
        postal_code: Some(8),
        time_zone: Some(9),
        notes: vec![],
    };
    assert_eq!(columns, expected);
}

#[test]
#[rustfmt::skip]
fn names_in_many_languages() {
    for name in [
        "phone", "Mobile", "TEL", "Telephone", "Telefon", "téléphone", "Numéro de téléphone", "Handy", "MSISDN",
        "phone_number", "PhoneNumber", "Phone Number", "电话", "手机", "電話番号", "전화번호", "Телефон", "Τηλέφωνο",
        "Teléfono móvil", "Telefone", "Nr telefonu", "Telefonszám", "Puhelin", "\u{feff}Phone", "lead-phone", "number",
        "Numéro", "numero", "Primary phone (home)",
    ] {
        let columns = found(&format!("id,{name},note\n12345678,+442079460000,x\n12345679,07700 900123,y\n"));
        assert_eq!((columns.number, columns.has_header), (1, true), "{name}");
    }
}

#[test]
fn other_columns_in_many_languages() {
    let columns = found("Téléphone,Pays,Code postal,Fuseau horaire\n0199000001,FR,75001,Europe/Paris\n");
    assert_eq!((columns.country, columns.postal_code, columns.time_zone), (Some(1), Some(2), Some(3)));
    let columns = found("Rufnummer,Land,PLZ,Bundesland\n03023125001,DE,10115,BE\n");
    assert_eq!((columns.country, columns.postal_code, columns.state), (Some(1), Some(2), Some(3)));
    let columns = found("手机号,国家,邮编,时区\n13123456789,CN,100000,Asia/Shanghai\n");
    assert_eq!((columns.country, columns.postal_code, columns.time_zone), (Some(1), Some(2), Some(3)));
}

#[test]
fn cells_overrule_a_name() {
    let columns = found("phone,contact,country\nyes,+12025550143,US\nno,(202) 555-0144,US\nyes,202.555.0145,CA\n");
    assert_eq!(columns.number, 1);
    let columns = found("phone,country,state,zip,tz\n+12025550143,United States,active,n/a,EST5\n");
    assert_eq!((columns.country, columns.state, columns.postal_code, columns.time_zone), (None, None, None, None));
    assert_eq!(columns.notes.len(), 4);
    assert!(columns.notes.first().unwrap().contains("country is not used: it does not hold two-letter countries"));
    assert_eq!(found("phone,country_code,country\n+12025550143,+1,US\n").country, Some(2));
}

#[test]
fn an_empty_column_with_the_right_name_is_the_one() {
    assert_eq!(found("name,phone\na,\nb,\n").number, 1);
    assert_eq!(found("name,phone").number, 1);
    assert_eq!(found("name,phone,mobile\na,,+12025550143\n").number, 1, "the cells do not contradict");
}

#[test]
fn without_a_name_the_cells_decide() {
    let columns = found("a,b,c,d\n1001,2026-01-02,+442079460000,x\n1002,2026-01-03,+442079460001,y\n");
    assert_eq!((columns.number, columns.has_header), (2, true));
    let text = "created,account,x\n1700000001,90000001,2025550143\n1700000002,90000002,2025550144\n";
    assert_eq!(found(text).number, 2, "neither time stamps nor accounts");
    assert_eq!(found("when,ip,n\n2026-01-02 10:00:00,192.168.100.100,020 7946 0000\n").number, 2);
}

#[test]
fn what_people_type_beside_a_number_does_not_hide_the_column() {
    for cell in
        ["+1 202 555 0143 ext 12", "1.2025550143E+10", "０３-１２３４-５６７８", "020 7946 0000 (evenings)", "555-0143"]
    {
        assert_eq!(found(&format!("name,phone\na,{cell}\nb,unknown\n")).number, 1, "{cell}");
    }
    assert_eq!(found("phone,+12025550143\n+12025550144,x\n").number, 0, "a header with a number in it");
}

#[test]
fn without_a_header_the_first_record_is_a_row() {
    let columns = found("Ada,+442079460000,GB\nBen,+442079460001,GB\n");
    assert_eq!((columns.has_header, columns.number, columns.country), (false, 1, None));
    assert_eq!(found("2025550143\n").number, 0);
}

#[test]
fn a_second_number_column_is_told() {
    let columns = found("name,Phone,Mobile\na,+442079460000,+447700900123\n");
    assert_eq!(columns.number, 1);
    assert_eq!(columns.notes, ["numbers are taken from Phone; Mobile holds numbers too (--number-column)"]);
}

#[test]
fn a_named_column_is_taken_as_it_is() {
    let (first, rows) = table("id,Phone,Alt Phone,where\n1,+442079460000,x,Spain\n");
    let pick = |number| detect(&first, &rows, Wanted { number: Some(number), ..Wanted::default() });
    for (name, index) in [("Alt Phone", 2), ("alt_phone", 2), ("ALT PHONE", 2), ("3", 2), ("id", 0), ("1", 0)] {
        assert_eq!(pick(name).unwrap().number, index, "{name}");
    }
    let wanted = Wanted { country: Some("where"), state: Some("1"), ..Wanted::default() };
    let columns = detect(&first, &rows, wanted).unwrap();
    assert_eq!((columns.number, columns.country, columns.state), (1, Some(3), Some(0)));
    for absent in ["0", "5", "fax", "", "18446744073709551616"] {
        assert!(pick(absent).is_err(), "{absent}");
    }
}

#[test]
fn a_file_without_numbers_is_refused_with_its_columns() {
    let shown = refused("name,city,joined\nAda,London,2026-01-02\n", Wanted::default());
    let expected = "no column looks like phone numbers; the columns are: name, city, joined; \
                    name one with --number-column NAME (or its place, counted from 1)";
    assert_eq!(shown, expected);
    let shown = refused("name,phone\na,b\n", Wanted { number: Some("fone"), ..Wanted::default() });
    assert!(shown.starts_with("there is no column `fone`; the columns are: name, phone; "), "{shown}");
    assert_eq!(refused("", Wanted::default()), "the file is empty; the file has no columns");
    let many: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    assert!(refused(&many.join(","), Wanted::default()).contains("c29 and 70 more"));
}

#[test]
fn no_message_shows_a_number() {
    let shown = refused("Ada,+442079460000\n", Wanted { number: Some("fone"), ..Wanted::default() });
    assert!(shown.contains("(column 1), (column 2)") && !shown.contains("2079460"), "{shown}");
    let shown = refused("name\nx\n", Wanted { number: Some("+442079460000"), ..Wanted::default() });
    assert!(!shown.contains("2079460"), "{shown}");
}

#[test]
fn the_delimiter_is_the_most_frequent_one_outside_quotes() {
    let cases: [(&[u8], u8); 7] = [
        (b"a,b,c\n1;2;3;4\n", b','),
        (b"a;b;c\n1,5;2;3\n", b';'),
        (b"a\tb\n", b'\t'),
        (b"a|b|c", b'|'),
        (b"\"a,b,c\";d\n", b';'),
        (b"phone\n", b','),
        (b"", b','),
    ];
    for (start, expected) in cases {
        assert_eq!(delimiter(start), expected);
    }
}
