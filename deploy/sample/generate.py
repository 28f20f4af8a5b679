#!/usr/bin/env python3
"""Writes leads.csv and registries/*.txt beside this script: made up, and the same on every run.

    python3 -m venv /tmp/leads && /tmp/leads/bin/pip install phonenumbers==9.0.43
    /tmp/leads/bin/python deploy/sample/generate.py

Numbers come from ranges kept free for fiction where a country has some (sources below), otherwise from the example
numbers of libphonenumber with other last digits. Nobody in the file is a real person.
"""

import csv
import pathlib
import random

import phonenumbers as pn

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20261121
ROWS = 3_000
UNUSABLE_EVERY = 97

# Area code, state, first three digits of a ZIP code there. 555-0100 to 555-0199 is kept for fiction in each of them
# (ATIS 0300115, 555 line number guidelines).
US = """
205 AL 352|334 AL 361|907 AK 995|602 AZ 850|520 AZ 857|928 AZ 864|501 AR 722|213 CA 900|310 CA 902|415 CA 941
619 CA 921|916 CA 958|408 CA 951|559 CA 937|303 CO 802|719 CO 809|203 CT 065|860 CT 061|302 DE 198|202 DC 200
305 FL 331|407 FL 328|813 FL 336|850 FL 325|904 FL 322|954 FL 333|561 FL 334|786 FL 331|404 GA 303|912 GA 314
706 GA 309|808 HI 968|208 ID 837|312 IL 606|217 IL 627|317 IN 462|219 IN 464|812 IN 477|515 IA 503|316 KS 672
785 KS 666|502 KY 402|270 KY 421|504 LA 701|225 LA 708|318 LA 711|207 ME 041|410 MD 212|301 MD 208|617 MA 021
508 MA 016|413 MA 011|313 MI 482|906 MI 498|612 MN 554|601 MS 392|314 MO 631|816 MO 641|406 MT 591|402 NE 681
308 NE 693|702 NV 891|775 NV 895|603 NH 031|201 NJ 073|973 NJ 071|505 NM 871|212 NY 100|718 NY 112|716 NY 142
518 NY 122|704 NC 282|919 NC 276|701 ND 581|614 OH 432|216 OH 441|513 OH 452|405 OK 731|918 OK 741|503 OR 972
541 OR 974|215 PA 191|412 PA 152|401 RI 029|803 SC 292|605 SD 571|615 TN 372|901 TN 381|423 TN 374|865 TN 379
512 TX 787|713 TX 770|214 TX 752|210 TX 782|915 TX 799|801 UT 841|802 VT 054|703 VA 222|804 VA 232|757 VA 235
206 WA 981|509 WA 992|304 WV 253|414 WI 532|608 WI 537|307 WY 820|787 PR 009|671 GU 969|340 VI 008
"""
US = [tuple(entry.split()) for line in US.split("\n") for entry in line.split("|") if entry.strip()]
# States whose own list ships as a sample get more rows, and those of the first packs.
US_WEIGHT = {"FL": 4, "TX": 4, "CA": 3, "NY": 3, "OH": 2, "IN": 2, "LA": 2, "MA": 2, "PA": 2, "TN": 2, "CO": 2, "MO": 2,
             "OK": 2, "WY": 3}
CA_CODES = {"416": "ON", "613": "ON", "514": "QC", "418": "QC", "604": "BC", "250": "BC", "403": "AB", "780": "AB",
            "204": "MB", "306": "SK", "902": "NS", "506": "NB", "709": "NL", "867": "YT"}

# Kept for drama: prefix after the calling code, free digits. Ofcom, Arcep, Bundesnetzagentur, PTS, ACMA.
FICTION = {
    "GB": [("7700900", 3)] * 6 + [("2079460", 3)] * 3 + [(p, 3) for p in (
        "1134960", "1144960", "1154960", "1164960", "1174960", "1184960", "1214960", "1314960", "1414960", "1514960",
        "1614960", "1914980", "2896496", "2920180", "1632960")],
    "FR": [("63998", 4)] * 6 + [("19900", 4)] * 3 + [(p, 4) for p in ("26191", "35301", "46571", "53649")],
    "DE": [("17139200", 2)] * 2 + [("1760406900", 1)] + [(p, 3) for p in (
        "3023125", "3023125", "6990009", "4066969", "2214710", "8999998")],
    "SE": [(f"7017406{n:02d}", 0) for n in range(5, 100)] + [("3139006", 2), ("4062804", 2), ("8465004", 2)] * 20,
    "AU": [(p + "5550", 4) for p in "2378"] + [(p + "7010", 4) for p in "2378"] + [("4915701", 2)],
}

# Country: rows, and the group its names come from.
COUNTRIES = {
    "US": (1180, "en"), "CA": (120, "en"), "GB": (240, "en"), "FR": (220, "fr"), "DE": (220, "de"), "CN": (150, "zh"),
    "ES": (55, "es"), "IT": (55, "it"), "NL": (40, "nl"), "BE": (35, "nl"), "AT": (35, "de"), "CH": (40, "de"),
    "PL": (40, "pl"), "SE": (35, "sv"), "NO": (20, "sv"), "DK": (25, "sv"), "FI": (25, "fi"), "IE": (30, "en"),
    "PT": (25, "pt"), "GR": (25, "el"), "CZ": (25, "cs"), "SK": (15, "cs"), "HU": (20, "hu"), "RO": (20, "ro"),
    "BG": (15, "bg"), "HR": (12, "cs"), "SI": (12, "cs"), "LT": (10, "pl"), "LV": (10, "pl"), "EE": (10, "fi"),
    "LU": (10, "fr"), "MT": (8, "en"), "CY": (8, "el"), "IS": (8, "sv"), "AU": (40, "en"), "NZ": (20, "en"),
    "JP": (30, "ja"), "KR": (20, "ko"), "IN": (40, "hi"), "SG": (20, "en"), "HK": (20, "zh"), "BR": (35, "pt"),
    "MX": (35, "es"), "ZA": (15, "en"), "AE": (12, "ar"), "IL": (12, "he"), "TR": (15, "tr"), "AR": (12, "es"),
    "CL": (8, "es"), "CO": (8, "es"), "PH": (10, "es"), "TH": (8, "en"), "MY": (8, "en"), "SA": (6, "ar"),
    "NG": (6, "en"), "KE": (6, "en"), "UA": (8, "bg"), "JM": (5, "en"), "RE": (6, "fr"), "JE": (4, "en"),
    "GI": (3, "en"),
}

NAMES = {
    "en": ("Ada Ben Carla Dylan Erin Frank Grace Harold Ivy James Kate Liam Megan Noah Olive Peter Quinn Ruth Sam Tara",
           "Abbott Baker Carter Dawson Ellis Foster Graham Hughes Irving Jenkins Keller Lawson Mercer Norton Osborne "
           "Palmer Quigley Reyes Sutton Turner"),
    "fr": ("Adèle Bruno Camille Damien Élodie Fabien Gaëlle Hugo Inès Julien Léa Mathieu Noémie Océane Rémi",
           "Arnaud Bertin Caron Delmas Estève Fabre Garnier Hamelin Joubert Lacroix Mercier Noël Perrin Roux Vasseur"),
    "de": ("Anke Bernd Carolin Dirk Elke Frank Greta Holger Ines Jürgen Katrin Lukas Mareike Nils Sören",
           "Albers Böhm Claasen Dietrich Engel Fuchs Groß Hartmann Jansen Köhler Lorenz Möller Neumann Schäfer Vogt"),
    "es": ("Alba Bruno Carmen Diego Elena Felipe Gloria Hugo Inés Javier Lucía Mateo Nuria Óscar Rocío",
           "Álvarez Blanco Castro Domínguez Espinosa Fuentes Gil Herrera Ibáñez Luna Méndez Núñez Ortega Peña Soto"),
    "it": ("Alice Bruno Chiara Davide Elisa Fabio Giulia Ivan Laura Marco Nadia Paolo Rita Stefano Valeria",
           "Amato Bassi Conti De_Luca Esposito Ferri Galli Leone Marini Neri Orlando Pace Rinaldi Sala Testa"),
    "nl": ("Anouk Bram Carlijn Daan Eva Floris Hanneke Joris Lotte Maarten Noor Pieter Sanne Thijs Willemijn",
           "Aerts Bakker Claes De_Boer Evers Hendriks Jacobs Kuipers Maes Peeters Smit Van_Dijk Vermeer Visser Wouters"),
    "pl": ("Anna Bartosz Celina Dawid Ewa Filip Hanna Igor Joanna Krzysztof Łucja Marek Olga Piotr Zofia",
           "Adamczyk Borkowska Czajka Dąbrowski Głowacka Jasiński Kaczmarek Lis Mazur Nowicki Pawlak Rutkowska Sikora "
           "Wrona Żak"),
    "sv": ("Anders Britta Carin Emil Freja Gustav Hilde Ingrid Jonas Kjell Lars Maja Nils Sigrid Åsa",
           "Andersen Berg Dahl Ekström Friis Hansen Holm Isaksson Jensen Lind Lund Nyström Olsen Sjöberg Østergaard"),
    "fi": ("Aino Eero Hilja Ilmari Jaana Kalle Liisa Matti Noora Olavi Päivi Riku Sanna Toivo Väinö",
           "Aalto Heikkinen Järvinen Koskinen Laine Mäkelä Niemi Oja Pärn Rebane Saar Tamm Virtanen Ylönen Kask"),
    "pt": ("Ana Bruno Catarina Duarte Filipa Gonçalo Helena João Luísa Miguel Núria Rita Sofia Tiago Vera",
           "Almeida Barros Carvalho Duarte Faria Gomes Lopes Machado Neves Oliveira Pinto Queirós Rocha Sousa Vieira"),
    "el": ("Αθηνά Γιώργος Δήμητρα Ελένη Ηλίας Ιωάννα Κώστας Μαρία Νίκος Σοφία",
           "Αντωνίου Βασιλείου Γεωργίου Δημητρίου Ιωάννου Καρράς Λάμπρου Μακρής Νικολάου Παππάς"),
    "cs": ("Alena Blanka David Eliška František Hana Ivan Jana Kamil Lenka Matej Nina Ondřej Petra Vojtěch",
           "Adamec Beneš Černý Dvorský Fiala Horvat Jelínek Kovač Liška Malý Novotná Polák Růžička Svoboda Zeman"),
    "hu": ("Anna Bence Csilla Dénes Eszter Gábor Hanna István Judit Zoltán",
           "Balogh Czigány Fekete Gulyás Halász Kertész Lakatos Molnár Szűcs Vörös"),
    "ro": ("Andrei Bianca Cristina Dan Elena Florin Ioana Mihai Sorin Ștefania",
           "Albu Barbu Ciobanu Dobre Enache Florea Lungu Moraru Stan Țurcanu"),
    "bg": ("Анна Борис Вера Георги Елена Иван Мария Олег Петър София",
           "Ангелов Бондар Василев Димитров Коваль Лисенко Марков Николов Петров Шевчук"),
    "zh": ("伟 芳 娜 敏 静 磊 洋 艳 勇 杰 婷 浩 雪 晨", "王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 马 朱"),
    "ja": ("陽菜 蓮 結衣 大翔 美咲 湊 葵 悠真 さくら 健太", "佐藤 鈴木 高橋 田中 伊藤 渡辺 山本 中村 小林 加藤"),
    "ko": ("서연 민준 지우 도윤 하은 시우 수아 주원 지민 예준", "김 이 박 최 정 강 조 윤 장 임"),
    "hi": ("Aarav Bhavna Chetan Divya Esha Farhan Gauri Harish Isha Kavya", "Agarwal Bose Chopra Desai Gupta Iyer "
           "Kapoor Menon Nair Reddy"),
    "ar": ("Amal Bilal Dina Faisal Hana Karim Layla Nabil Rania Yusuf", "Al-Amin Farouk Haddad Khalil Mansour Nasser "
           "Rahman Saleh Tariq Zayed"),
    "he": ("נועה איתן מיכל יונתן שירה אורי תמר דניאל יעל גיל", "כהן לוי מזרחי פרץ ביטון דהן אברהם פרידמן מלכה שפירא"),
    "tr": ("Ayşe Burak Ceren Deniz Elif Gökhan İpek Kemal Şule Umut", "Aksoy Bulut Çelik Demir Güneş Kaya Öztürk Şahin "
           "Yıldız Yılmaz"),
}
COMPANIES = {
    "en": ("Roofing", "Dental", "Logistics", "Garden Supply", "Accounting"), "fr": ("Énergie", "Menuiserie", "Conseil"),
    "de": ("Sanitär GmbH", "Metallbau GmbH", "Steuerberatung"), "es": ("Reformas", "Seguros"), "it": ("Impianti", "Studio"),
    "zh": ("科技有限公司", "贸易有限公司"), "ja": ("商事", "建設"),
}
ZONES = {"FL": "America/New_York", "IN": "America/Chicago", "TX": "America/Chicago", "AZ": "America/Phoenix",
         "CA": "America/Los_Angeles", "NY": "America/New_York", "TN": "America/Chicago", "ND": "America/Chicago"}

# What people leave in a phone column. A note says why it cannot be called; the scrub answers each row.
UNUSABLE = [
    ("not known", "US", "letters"), ("call after 5", "US", "letters"), ("", "US", "empty"), ("", "FR", "empty"),
    ("12345", "US", "too short"), ("+1 202 555 01", "US", "too short"), ("+44 7700", "GB", "too short"),
    ("0" * 40, "US", "40 digits"), ("1234567890" * 4, "DE", "40 digits"), ("911", "US", "emergency"),
    ("112", "DE", "emergency"), ("999", "GB", "emergency"), ("110", "CN", "emergency"),
    ("+1 900 555 0142", "US", "premium rate"), ("+44 909 879 0123", "GB", "premium rate"),
    ("+33 899 12 34 56", "FR", "premium rate"), ("+1 800 555 0199", "US", "toll-free, no place"),
    ("+999 123 456 789", "US", "unknown country code"), ("#N/A", "US", "spreadsheet error"),
    ("1.2025550143E+10", "US", "spreadsheet rounding"), ("2025550143 / 2025550144", "US", "two numbers in one cell"),
    ("jo@example.com", "GB", "an e-mail address"), ("40404", "US", "short code"), ("0", "IT", "too short"),
    ("-", "ES", "a dash"), ("+49", "DE", "country code only"), ("+870 773 111 632", "AU", "satellite"),
    ("118 218", "FR", "short number"), ("+86 123", "CN", "too short"), ("+1 202 555 0143 0144", "US", "too long"),
]


def tail(rng, digits):
    return "".join(str(rng.randrange(10)) for _ in range(digits))


def us_number(rng):
    area, state, zip3 = rng.choices(US, [US_WEIGHT.get(state, 1) for _, state, _ in US])[0]
    return pn.parse(f"+1{area}55501{tail(rng, 2)}"), state, zip3 + tail(rng, 2)


def foreign_number(rng, country):
    """A number of the country: from a range for fiction, else an example number with other last digits."""
    code = pn.country_code_for_region(country)
    if country == "CA":
        area = rng.choice(sorted(CA_CODES))
        return pn.parse(f"+1{area}55501{tail(rng, 2)}"), CA_CODES[area]
    for _ in range(10_000):
        if country in FICTION:
            prefix, free = rng.choice(FICTION[country])
            number = pn.parse(f"+{code}{prefix}{tail(rng, free)}")
            if pn.is_possible_number(number):
                return number, ""
            continue
        kind = rng.choice([pn.PhoneNumberType.MOBILE, pn.PhoneNumberType.MOBILE, pn.PhoneNumberType.FIXED_LINE])
        example = pn.format_number(pn.example_number_for_type(country, kind), pn.PhoneNumberFormat.E164)
        number = pn.parse(example[:-3] + tail(rng, 3))
        if pn.is_valid_number(number) and pn.region_code_for_number(number) == country:
            return number, ""
    raise SystemExit(f"no number found for {country}")


def written(rng, number, country):
    """The number as somebody typed it: mostly E.164, else any usual way. Always readable with its country."""
    e164 = pn.format_number(number, pn.PhoneNumberFormat.E164)
    national = pn.format_number(number, pn.PhoneNumberFormat.NATIONAL)
    international = pn.format_number(number, pn.PhoneNumberFormat.INTERNATIONAL)
    digits = pn.national_significant_number(number)
    if country == "US":
        ways = [e164, e164, e164, national, digits, f"1-{digits[:3]}-{digits[3:6]}-{digits[6:]}",
                f"{digits[:3]}.{digits[3:6]}.{digits[6:]}", international]
    else:
        ways = [e164, e164, e164, e164, international, international, international.replace(" ", "-"), national]
        if country in {"GB", "FR", "DE", "IT", "NL", "CN", "BE"}:
            ways.append("00" + e164[1:])
    # A way that is read back as another number is not one a person would use.
    ways = [way for way in ways if pn.parse(way, country) == number]
    return rng.choice(ways)


def person(rng, group):
    first, last = (rng.choice(names.split()).replace("_", " ") for names in NAMES[group])
    return first, last


def rows(rng):
    countries = [country for country, (count, _) in COUNTRIES.items() for _ in range(count)]
    rng.shuffle(countries)
    countries += rng.choices(list(COUNTRIES), [count for count, _ in COUNTRIES.values()], k=max(0, ROWS - len(countries)))
    unusable = iter(UNUSABLE)
    for index, country in enumerate(countries[:ROWS], start=1):
        phone, note, state, code, zone, e164 = None, "", "", "", "", None
        if index % UNUSABLE_EVERY == 0 and (bad := next(unusable, None)):
            phone, country, why = bad
            note = f"unusable: {why}"
        elif country == "US":
            number, state, code = us_number(rng)
            if rng.random() < 0.03:
                home = rng.choice(US)
                note, state, code = f"moved from {state}", home[1], home[2] + tail(rng, 2)
            elif state in ZONES and rng.random() < 0.08:
                zone = ZONES[state]
            elif rng.random() < 0.05:
                code += "-" + tail(rng, 4)
        else:
            number, state = foreign_number(rng, country)
        if phone is None:
            phone, e164 = written(rng, number, country), pn.format_number(number, pn.PhoneNumberFormat.E164)
        group = COUNTRIES[country][1]
        first, last = person(rng, group)
        company = f"{last} {rng.choice(COMPANIES.get(group, COMPANIES['en']))}" if rng.random() < 0.22 else ""
        mail = f"{first}.{last}".lower().replace(" ", "") if (first + last).isascii() else f"contact{index}"
        row = {"id": f"L{index:05}", "first_name": first, "last_name": last, "company": company,
               "email": f"{mail}@example.{rng.choice(['com', 'org', 'net'])}", "phone": phone, "country": country,
               "state": state, "zip": code, "time_zone": zone, "note": note}
        yield row, e164


def write_list(rng, name, leads, others, dated=0.0):
    """One sample list: some of the leads and other made-up numbers, sorted."""
    lines = []
    for e164 in sorted(set(leads) | set(others)):
        day = f",{rng.randrange(2004, 2026)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
        lines.append(e164 + (day if rng.random() < dated else ""))
    text = f"# as_of=@NOW@ sample=true source=made up count={len(lines)}\n" + "".join(line + "\n" for line in lines)
    (HERE / "registries" / f"{name}.txt").write_text(text, encoding="utf-8", newline="\n")


def main():
    rng = random.Random(SEED)
    leads = list(rows(rng))
    with open(HERE / "leads.csv", "w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, leads[0][0].keys(), lineterminator="\n")
        out.writeheader()
        out.writerows(row for row, _ in leads)

    def some(share, wanted):
        numbers = sorted({e164 for row, e164 in leads if e164 and wanted(row)})
        return [number for number in numbers if rng.random() < share]

    def us_others(count, states=None):
        areas = [area for area, state, _ in US if states is None or state in states]
        return [f"+1{rng.choice(areas)}55501{tail(rng, 2)}" for _ in range(count)]

    taken = {e164 for _, e164 in leads if e164}

    def foreign_others(country, count):
        numbers = (pn.format_number(foreign_number(rng, country)[0], pn.PhoneNumberFormat.E164) for _ in range(count))
        return [number for number in numbers if number not in taken]

    (HERE / "registries").mkdir(exist_ok=True)
    others = [number for number in us_others(260) if number not in taken]
    write_list(rng, "us.dnc.national", some(0.34, lambda r: r["country"] == "US"), others, dated=0.7)
    for state in ("co", "fl", "in", "la", "ma", "mo", "ok", "pa", "tn", "tx", "wy"):
        others = [number for number in us_others(20, {state.upper()}) if number not in taken]
        write_list(rng, f"us.dnc.{state}", some(0.22, lambda r: r["state"] == state.upper() and r["country"] == "US"), others)
    write_list(rng, "fr.bloctel", some(0.25, lambda r: r["country"] in {"FR", "RE"}), foreign_others("FR", 60))
    write_list(rng, "uk.tps", some(0.3, lambda r: r["country"] in {"GB", "JE"} and not r["company"]), foreign_others("GB", 60))
    write_list(rng, "uk.ctps", some(0.3, lambda r: r["country"] == "GB" and r["company"]), foreign_others("GB", 25))


if __name__ == "__main__":
    main()
