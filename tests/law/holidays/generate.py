#!/usr/bin/env python3
"""Writes reference.tsv beside this file: what the `holidays` library says of every calendar of the built-in packs.

    python3 -m venv venv && venv/bin/pip install holidays==0.109
    venv/bin/python tests/law/holidays/generate.py

The library knows nothing of what a rule closes: where a pack's calendar means more or less than the public holidays of
its place, differences.tsv says so, day by day.
"""

import datetime
import pathlib

import holidays

YEARS = range(2022, 2029)
HERE = pathlib.Path(__file__).resolve().parent

# Pack and calendar -> what the library is asked: countries with subdivision and categories, all taken together.
PUBLIC = ("public",)
ASKED = {
    ("AU", "national"): [("AU", None, PUBLIC)],
    ("AU-WA", "public"): [("AU", "WA", PUBLIC)],
    ("BR", "national"): [("BR", None, PUBLIC)],
    ("BR-AL", "national"): [("BR", None, PUBLIC)],
    ("BR-AM", "national"): [("BR", None, PUBLIC)],
    ("BR-ES", "national"): [("BR", None, PUBLIC)],
    ("BR-RJ", "national"): [("BR", None, PUBLIC)],
    ("BR-SP", "national"): [("BR", None, PUBLIC)],
    ("CA-BC", "public"): [("CA", "BC", PUBLIC)],
    ("CA-MB", "public"): [("CA", "MB", PUBLIC)],
    ("CA-NB", "public"): [("CA", "NB", PUBLIC)],
    ("CA-NL", "public"): [("CA", "NL", PUBLIC)],
    ("CA-NS", "public"): [("CA", "NS", PUBLIC)],
    ("CA-NT", "public"): [("CA", "NT", PUBLIC)],
    ("CA-NU", "public"): [("CA", "NU", PUBLIC)],
    ("CA-ON", "public"): [("CA", "ON", PUBLIC)],
    ("CA-PE", "public"): [("CA", "PE", PUBLIC)],
    ("CA-QC", "public"): [("CA", "QC", PUBLIC)],
    ("CA-SK", "public"): [("CA", "SK", PUBLIC)],
    ("CA-YT", "public"): [("CA", "YT", PUBLIC)],
    ("ES", "es"): [("ES", None, PUBLIC)],
    ("FR", "l3133_1"): [("FR", None, PUBLIC)],
    ("FR", "local"): [("FR", part, PUBLIC) for part in ("57", "6AE", "971", "972", "973", "974", "976")],
    ("IE", "ie"): [("IE", None, PUBLIC)],
    ("IT", "it"): [("IT", None, PUBLIC)],
    ("LV", "lv"): [("LV", None, PUBLIC)],
    ("MX", "national"): [("MX", None, PUBLIC)],
    ("NL", "nl"): [("NL", None, ("public", "optional"))],
    ("NO", "no"): [("NO", None, PUBLIC)],
    ("NZ", "public"): [("NZ", None, PUBLIC)],
    ("PT", "pt"): [("PT", None, PUBLIC)],
    ("US-AL", "state"): [("US", "AL", PUBLIC)],
    # What the commission enforces and the lesser days: two rules, one set of closed days.
    ("US-LA", "core+extra"): [("US", "LA", PUBLIC)],
    ("US-NE", "state"): [("US", "NE", PUBLIC)],
    ("US-PA", "legal"): [("US", "PA", PUBLIC)],
    # The Rhode Island rule closes the state's days and the federal ones.
    ("US-RI", "both"): [("US", "RI", PUBLIC), ("US", None, PUBLIC)],
    ("US-UT", "legal"): [("US", "UT", PUBLIC)],
    ("ZA", "public"): [("ZA", None, PUBLIC)],
}

# Calendars of part of a place's days: these of the library's are another calendar's business.
APART = {
    # The national days stand in `l3133_1`.
    ("FR", "local"): [("FR", None, PUBLIC)],
}


def days(asked):
    found = {}
    for country, part, categories in asked:
        theirs = holidays.country_holidays(
            country, subdiv=part, years=YEARS, categories=categories, observed=True, language=language(country))
        for date, name in theirs.items():
            if date.year in YEARS:
                found.setdefault(date, name)
    return found


def language(country):
    known = getattr(holidays, country).supported_languages
    return "en_US" if "en_US" in known else None


def main():
    rows = []
    for (place, calendar), asked in sorted(ASKED.items()):
        apart = days(APART.get((place, calendar), []))
        for date, name in sorted(days(asked).items()):
            if date not in apart:
                assert isinstance(date, datetime.date) and "\t" not in name
                rows.append("\t".join((place, calendar, date.isoformat(), name)))
    source = (f"Public holidays {YEARS[0]} to {YEARS[-1]} as PyPI `holidays` {holidays.__version__} (MIT, (C) Vacanza "
              "Team and contributors) works them out, by tests/law/holidays/generate.py.")
    text = "\n".join(["# " + source, "# pack\tcalendar\tdate\tname", *rows]) + "\n"
    (HERE / "reference.tsv").write_text(text, encoding="utf-8")
    print(f"reference.tsv: {len(rows)} rows")


if __name__ == "__main__":
    main()
