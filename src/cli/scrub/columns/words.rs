//! What columns are called, in the languages of those who make lists.
//!
//! Names are compared folded: lower case, without accents, letters and digits only. (Formatting is switched off for the
//! lists: one word a line would hide them.)

/// The score from which on a name alone is believed.
pub(super) const SURE: u32 = 50;

/// Names of a number column, best first.
#[rustfmt::skip]
const NUMBER: &[&str] = &[
    "e164", "phonee164", "msisdn", "phonenumber", "phone", "phoneno", "phonenr", "phone1", "primaryphone",
    "mobilephone", "mobilenumber", "mobile", "mobileno", "mobilephonenumber", "cellphone", "cell", "cellnumber",
    "cellphonenumber", "telephonenumber", "telephone", "telno", "telnumber", "telnr", "tel", "contactnumber",
    "contactphone", "callednumber", "dialednumber", "destinationnumber", "recipient", "msisdnnumber", "leadphone",
    // German, French, Spanish, Portuguese, Italian, Dutch
    "telefonnummer", "telefon", "telefonnr", "rufnummer", "mobilnummer", "mobiltelefon", "mobil", "handynummer",
    "handynr", "handy", "numerodetelephone", "numerotelephone", "numtel", "notel", "notelephone", "portable",
    "numeroportable", "telephoneportable", "telephonemobile", "telephonefixe", "telefono", "numerodetelefono",
    "numerotelefono", "telefonomovil", "movil", "celular", "telefone", "telemovel", "numerodetelefone", "cellulare",
    "numeroditelefono", "numerocellulare", "telefoonnummer", "telefoon", "mobielnummer", "mobiel", "gsm", "gsmnummer",
    // Nordic, Baltic, Central and Eastern European, Turkish
    "mobilnr", "tlf", "tlfnr", "puhelinnumero", "puhelin", "matkapuhelin", "telefoninumber", "mobiiltelefon",
    "talrunis", "telefonas", "telefononumeris", "numertelefonu", "nrtelefonu", "komorka", "telefonnicislo",
    "telefonnecislo", "telefonszam", "mobilszam", "numardetelefon", "nrtelefon", "brojtelefona", "telefonskastevilka",
    "telefonnumarasi", "ceptelefonu", "τηλεφωνο", "κινητο", "αριθμοςτηλεφωνου", "телефон", "номертелефона",
    "мобильныи", "мобильныителефон", "номер", "мобилен",
    // Asian and Middle Eastern
    "手机", "手机号", "手机号码", "电话", "电话号码", "联系电话", "移动电话", "手機", "電話", "電話號碼", "電話番号",
    "携帯", "携帯電話", "携帯番号", "전화", "전화번호", "휴대폰", "휴대전화", "핸드폰", "फोन", "मोबाइल", "هاتف", "رقمالهاتف",
    "جوال", "رقمالجوال", "טלפון", "נייד", "מספרטלפון",
];

/// Names that may mean any number: the cells must confirm them.
#[rustfmt::skip]
const MAYBE: &[&str] =
    &["number", "numero", "nummer", "numer", "num", "no", "nr", "contact", "to", "destination", "ani", "号码", "番号", "번호"];

/// Parts of a longer name (`Customer Phone (home)`) that mean a number.
#[rustfmt::skip]
const PARTS: &[&str] = &[
    "phone", "telefon", "telephon", "telefoon", "mobil", "msisdn", "rufnummer", "handynummer", "celular", "cellular",
    "puhelin", "телефон", "τηλεφων", "电话", "手机", "電話", "手機", "携帯", "전화", "휴대", "هاتف", "טלפון",
];

/// The same, where only the whole word counts.
#[rustfmt::skip]
const PART_WORDS: &[&str] = &["tel", "cell", "gsm", "handy", "tlf", "movil", "mobiel"];

/// Words that make a name mean something about a number and not the number.
#[rustfmt::skip]
const ABOUT: &[&str] = &[
    "fax", "type", "kind", "typ", "country", "ext", "extension", "consent", "opt", "optin", "optout", "valid", "validity",
    "verified", "status", "hash", "owner", "carrier", "operator", "model", "date", "time", "at", "count", "flag", "calls",
    "code", "vorwahl", "prefix", "area", "zone", "allowed", "ok", "dnc", "score", "line",
];

/// Names of a country column, best first.
#[rustfmt::skip]
pub(super) const COUNTRY: &[&str] = &[
    "countryiso", "countryiso2", "iso2", "countrycode", "country", "isocountry", "land", "landercode", "landcode",
    "landerkennung", "pays", "codepays", "pais", "codigopais", "codigodepais", "paese", "nazione", "kraj", "zeme", "orszag",
    "tara", "maa", "χωρα", "страна", "ulke", "国家", "国家代码", "国", "国コード", "국가", "nation", "phonecountry", "defaultregion",
];

/// Names of a state column, best first.
#[rustfmt::skip]
pub(super) const STATE: &[&str] = &[
    "statecode", "state", "stateprovince", "province", "provincecode", "residencestate", "stateabbr", "usstate",
    "bundesland", "etat", "estado", "provincia", "uf", "stato", "region", "regioncode", "subdivision", "residence", "省",
    "省份", "州",
];

/// Names of a postal code column, best first.
#[rustfmt::skip]
pub(super) const POSTAL_CODE: &[&str] = &[
    "postalcode", "postcode", "zipcode", "zip", "zip5", "zippostalcode", "postal", "plz", "postleitzahl", "codepostal",
    "cp", "codigopostal", "cep", "cap", "kodpocztowy", "psc", "iranyitoszam", "codpostal", "postnummer", "postnr",
    "postinumero", "postikood", "postkode", "tk", "индекс", "postakodu", "邮编", "邮政编码", "郵便番号", "우편번호", "pincode",
];

/// Names of a time zone column, best first.
#[rustfmt::skip]
pub(super) const TIME_ZONE: &[&str] = &[
    "timezone", "timezoneid", "ianatimezone", "tz", "tzid", "tzname", "localtimezone", "zeitzone", "fuseauhoraire",
    "zonahoraria", "fusohorario", "fusoorario", "tijdzone", "strefaczasowa", "tidszon", "aikavyohyke", "часовоипояс",
    "时区", "タイムゾーン", "시간대",
];

/// How much a name speaks for phone numbers; `None` where it says nothing of them, or something about them.
pub(super) fn number_score(title: &str) -> Option<u32> {
    let whole = folded(title);
    if whole.is_empty() {
        return None;
    }
    if NUMBER.contains(&whole.as_str()) {
        return Some(100);
    }
    let words = words(title);
    if words.iter().any(|word| ABOUT.contains(&word.as_str())) {
        return None;
    }
    let part = PARTS.iter().any(|part| whole.contains(part)) || words.iter().any(|w| PART_WORDS.contains(&w.as_str()));
    if part {
        return Some(60);
    }
    MAYBE.contains(&whole.as_str()).then_some(30)
}

/// A name without case, accents, spaces and punctuation.
pub(super) fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).map(plain).filter(|c| c.is_alphanumeric()).collect()
}

/// The words of a name, folded: `homePhone_2` is `home`, `phone`, `2`.
fn words(title: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in title.chars() {
        let starts = !c.is_alphanumeric()
            || (c.is_uppercase() && before.is_lowercase())
            || (c.is_ascii_digit() != before.is_ascii_digit());
        if starts {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase().map(plain));
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A lower-case letter without its accent, for the letters that stand in the lists above.
fn plain(c: char) -> char {
    match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ė' | 'ę' | 'ě' => 'e',
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => 'i',
        'ł' | 'ľ' => 'l',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' => 'o',
        'ř' => 'r',
        'ś' | 'š' | 'ş' | 'ș' => 's',
        'ť' | 'ț' | 'ţ' => 't',
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' => 'u',
        'ý' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        'ά' => 'α',
        'έ' => 'ε',
        'ή' => 'η',
        'ί' => 'ι',
        'ό' => 'ο',
        'ύ' => 'υ',
        'ώ' => 'ω',
        'й' => 'и',
        'ё' => 'е',
        _ => c,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_written_folded() {
        for list in [NUMBER, MAYBE, PARTS, PART_WORDS, COUNTRY, STATE, POSTAL_CODE, TIME_ZONE] {
            for name in list {
                assert_eq!(folded(name), *name);
            }
        }
    }

    #[test]
    fn names_are_cut_into_words() {
        assert_eq!(words("homePhone_2 (Tél.)"), ["home", "phone", "2", "tel"]);
        assert_eq!(words("PHONE"), ["phone"]);
        assert_eq!(words("电话1"), ["电话", "1"]);
    }

    #[test]
    fn names_about_a_number_are_no_number() {
        for sure in [
            "Phone",
            "Téléphone",
            "Numéro de téléphone",
            "手机号码",
            "N° tél",
            "Customer Phone (home)",
            "Handy",
            "Cell #",
        ] {
            assert!(number_score(sure).unwrap() >= SURE, "{sure}");
        }
        for no in [
            "phone_type",
            "Phone Country Code",
            "fax",
            "telFax Fax",
            "phoneVerified",
            "mobile opt-in",
            "name",
            "",
            "cancel",
        ] {
            assert_eq!(number_score(no), None, "{no}");
        }
        assert!(number_score("Number").unwrap() < SURE);
    }
}
