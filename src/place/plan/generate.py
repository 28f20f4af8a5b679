#!/usr/bin/env python3
"""Writes the numbering-plan tables beside this file, and tests/place/reference.tsv.

    python3 -m venv venv && venv/bin/pip install phonenumbers==9.0.43 tzdata==2026.6
    venv/bin/python src/place/plan/generate.py

What comes from where:
- patterns.tsv, short.tsv: the metadata of `phonenumbers` (a port of libphonenumber), Apache-2.0, rearranged;
- nanp.tsv: area codes by state from the North American Numbering Plan as published by its administrator and the state
  commissions (written down below), zones from `phonenumbers` united per area code, the split codes by hand;
- prefixes.tsv, countries.tsv, subdivisions.tsv: ISO 3166 and the zone lists of the tz database (public domain), hand
  tables below.

zip3.tsv has a generator of its own, zip3.mjs.
"""

import datetime
import pathlib
import random
import re
import zoneinfo
from importlib import resources

import phonenumbers
import tzdata
from phonenumbers import PhoneMetadata, PhoneNumberType, geocoder, shortdata, timezone
from phonenumbers.tzdata import TIMEZONE_DATA

import places as hand

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
VERSION = phonenumbers.__version__
IANA = tzdata.IANA_VERSION
UTC = datetime.timezone.utc

zoneinfo.reset_tzpath([])


def write(path, source, columns, rows):
    """Line one names source, version, licence; line two the columns."""
    lines = [f"# {source}", "# " + "\t".join(columns)]
    lines += ["\t".join(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{path.name}: {len(rows)} rows")


# --- clocks -----------------------------------------------------------------------------------------------------------

_CLOCKS = {}


def clock(name):
    """What the zone's wall clock did and will do, 2020 to 2036: equal for zones that nobody can tell apart."""
    if name not in _CLOCKS:
        zone = zoneinfo.ZoneInfo(name)
        at, out = datetime.datetime(2020, 1, 1, tzinfo=UTC), []
        while at.year < 2037:
            out.append(at.astimezone(zone).utcoffset())
            at += datetime.timedelta(days=2.5)
        _CLOCKS[name] = tuple(out)
    return _CLOCKS[name]


def zone_tab():
    text = resources.files("tzdata.zoneinfo").joinpath("zone.tab").read_text()
    countries = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            code, _, name = line.split("\t")[:3]
            countries.setdefault(code, []).append(name)
    return countries


def fold_country(names):
    """One name per distinct clock, the preferred one where several share it."""
    chosen = {}
    for name in sorted(names, key=lambda n: (n not in hand.PREFERRED_ZONES, names.index(n))):
        chosen.setdefault(clock(name), name)
    return sorted(chosen.values())


COUNTRY_ZONES = {code: fold_country(names) for code, names in zone_tab().items()}
COUNTRY_ZONES |= hand.COUNTRY_ZONES


def fold(country, zones):
    """The country's own names for these clocks."""
    by_clock = {clock(z): z for z in COUNTRY_ZONES[country]}
    return sorted({by_clock.get(clock(z), z) for z in zones})


# --- patterns ---------------------------------------------------------------------------------------------------------

KINDS = [
    ("premium", "premium_rate"), ("toll_free", "toll_free"), ("shared_cost", "shared_cost"), ("voip", "voip"),
    ("personal", "personal_number"), ("pager", "pager"), ("uan", "uan"), ("voicemail", "voicemail"),
]


def metadata(code, region):
    if region == "001":
        return PhoneMetadata.metadata_for_nongeo_region(code)
    return PhoneMetadata.metadata_for_region(region)


def pattern_of(desc):
    return desc.national_number_pattern if desc is not None else None


def patterns():
    rows = []
    for code in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE):
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
        possible = metadata(code, regions[0]).general_desc.possible_length
        rows.append([str(code), regions[0], "lengths", ",".join(map(str, possible))])
        for region in regions:
            data = metadata(code, region)
            if data.leading_digits:
                rows.append([str(code), region, "leading", data.leading_digits])
            rows.append([str(code), region, "general", pattern_of(data.general_desc)])
            for kind, attribute in KINDS:
                pattern = pattern_of(getattr(data, attribute))
                if pattern:
                    rows.append([str(code), region, kind, pattern])
            fixed, mobile = pattern_of(data.fixed_line), pattern_of(data.mobile)
            if fixed and fixed == mobile:
                rows.append([str(code), region, "fixed_or_mobile", fixed])
            else:
                rows += [[str(code), region, kind, p] for kind, p in (("fixed", fixed), ("mobile", mobile)) if p]
    write(HERE / "patterns.tsv",
          f"Derived from phonenumbers {VERSION} (libphonenumber metadata, 2026), Apache-2.0, (C) The Libphonenumber "
          "Authors; changed: rearranged as rows in upstream's order of regions.",
          ["calling code", "region", "kind", "pattern"], rows)


def emergencies():
    rows = []
    for region in sorted(shortdata._AVAILABLE_REGION_CODES):
        data = PhoneMetadata.short_metadata_for_region(region)
        pattern = pattern_of(data.emergency)
        if pattern:
            found = [f"{n:0{width}}" for width in (2, 3, 4, 5, 6) for n in range(10 ** width)
                     if re.fullmatch(pattern, f"{n:0{width}}")]
            if found:
                rows.append([region, ",".join(found)])
    write(HERE / "short.tsv",
          f"Derived from phonenumbers {VERSION} (short-number metadata, 2026), Apache-2.0, (C) The Libphonenumber "
          "Authors; changed: emergency patterns written out as numbers.",
          ["region", "emergency numbers"], rows)


# --- North America ----------------------------------------------------------------------------------------------------

def library_zones(prefix):
    """The union over the row that covers the prefix and every finer one. A single row would drop the other half of a
    split area code."""
    zones = set()
    for length in range(len(prefix), 0, -1):
        if prefix[:length] in TIMEZONE_DATA:
            if length > 1:
                zones |= set(TIMEZONE_DATA[prefix[:length]])
            break
    for key, value in TIMEZONE_DATA.items():
        if key.startswith(prefix):
            zones |= set(value)
    return {hand.US_FOLD.get(z, z) for z in zones}


def join(zones):
    return ",".join(sorted(zones))


def nanp():
    rows = {}

    def put(npa, kind, places="", strict=""):
        assert npa not in rows, npa
        rows[npa] = [str(npa), kind, places, strict]

    for state, codes in hand.US_AREA_CODES.items():
        for npa in codes:
            zones = hand.US_SPLIT.get(npa)
            if zones is None:
                # Only zones of the state itself: a new overlay's row may be a neighbour's leftover.
                own = set(hand.SUBDIVISIONS[f"US-{state}"])
                zones = {z for z in library_zones(f"1{npa}") if z in own} or own
                if len(zones) > 1 or not library_zones(f"1{npa}") <= own:
                    print("  check", npa, state, zones, library_zones(f"1{npa}"))
            put(npa, "geo", f"US-{state}={join(zones)}", join(hand.US_STRICT.get(npa, [])))
    for province, codes in hand.CA_AREA_CODES.items():
        for npa in codes:
            zones = hand.CA_SPLIT.get(npa)
            if zones is None:
                zones = hand.SUBDIVISIONS[f"CA-{province}"]
            place = f"CA-{province}={join(zones)}"
            if npa in rows:
                rows[npa][2] += ";" + place
            else:
                put(npa, "geo", place)
    for country, codes in hand.NANP_COUNTRIES.items():
        for npa in codes:
            put(npa, "geo", f"{country}={join(COUNTRY_ZONES[country])}")
    for npa in hand.CA_NOWHERE_IN_PARTICULAR:
        put(npa, "geo", "CA")
    for kind, codes in hand.NANP_NO_PLACE.items():
        for npa in codes:
            put(npa, kind)
    write(HERE / "nanp.tsv",
          f"Area codes of +1: numbering administrator and state commissions, 2026-11; zones from phonenumbers {VERSION} "
          "(Apache-2.0, (C) The Libphonenumber Authors), changed: united per area code and overlay group, split codes "
          "by hand.",
          ["area code", "class", "places", "zones counted only where nothing else is known"],
          [rows[npa] for npa in sorted(rows)])


# --- the rest of the world --------------------------------------------------------------------------------------------

def prefixes():
    rows = []
    for code, prefix, scope, jurisdiction, zones in hand.prefixes():
        rows.append([str(code), prefix, scope, f"{jurisdiction}={join(fold(jurisdiction[:2], zones))}"])
    write(HERE / "prefixes.tsv",
          "National prefixes tied to less than the whole country, by the national plans (hand table in places.py, "
          f"checked against phonenumbers {VERSION}); fixed = fixed lines only, any = mobile lines too.",
          ["calling code", "national prefix", "scope", "place"], sorted(rows))


def countries():
    text = resources.files("tzdata.zoneinfo").joinpath("iso3166.tab").read_text()
    codes = [line.split("\t")[0] for line in text.splitlines() if line and not line.startswith("#")]
    rows = [[code, join(COUNTRY_ZONES[code])] for code in sorted(set(codes) | set(hand.EXTRA_COUNTRIES))
            if code in COUNTRY_ZONES]
    missing = sorted(set(codes) - set(COUNTRY_ZONES))
    print("  countries without a zone:", missing)
    write(HERE / "countries.tsv",
          f"ISO 3166-1 countries (and AC, TA, XK of the numbering plans) with one zone a distinct clock, from tz database "
          f"{IANA} (public domain).",
          ["country", "zones"], rows)
    rows = []
    for code, zones in sorted(hand.subdivisions().items()):
        country = code[:2]
        rows.append([code, join(fold(country, zones) if country not in ("US", "CA") else zones)])
    rows += [[alias, "=" + target] for alias, target in sorted(hand.ALIASES.items())]
    write(HERE / "subdivisions.tsv",
          f"ISO 3166-2 subdivisions of countries with several clocks, zones from tz database {IANA} (public domain) and "
          "49 CFR part 71; =XX marks a code that ISO also lists as a country.",
          ["subdivision", "zones"], sorted(rows))


# --- reference sample -------------------------------------------------------------------------------------------------

TYPE_NAMES = {
    PhoneNumberType.FIXED_LINE: "fixed", PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_or_mobile", PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium", PhoneNumberType.SHARED_COST: "shared_cost", PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal", PhoneNumberType.PAGER: "pager", PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail", PhoneNumberType.UNKNOWN: "unknown",
}


def subdivision(number, region):
    """The state or province that the library's description ends in: `Chicago, IL`, or its whole name."""
    if region not in ("US", "CA"):
        return "-"
    description = geocoder.description_for_number(number, "en")
    code = description.rpartition(", ")[2]
    code = hand.STATE_NAMES.get(description, code)
    return f"{region}-{code}" if f"{region}-{code}" in hand.SUBDIVISIONS else "-"


def reference():
    rng = random.Random(20261121)
    numbers = set()
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in TYPE_NAMES:
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            text = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            numbers.add(text)
            for changed in (1, 2, 4, 5):
                tail = "".join(rng.choice("0123456789") for _ in range(changed))
                numbers.add(text[:-changed] + tail)
    for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        example = phonenumbers.example_number_for_non_geo_entity(code)
        numbers.add(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
    for npa in range(200, 1000):
        # The finer rows are where split area codes show.
        finer = [key for key in TIMEZONE_DATA if key.startswith(f"1{npa}") and len(key) > 4]
        for key in rng.sample(finer, min(3, len(finer))):
            numbers.add("+" + (key + "".join(rng.choice("23456789") for _ in range(11)))[:11])
        numbers.add(f"+1{npa}{rng.randint(2, 9)}{rng.randint(0, 999999):06}")
    for key in TIMEZONE_DATA:
        if not key.startswith("1"):
            numbers.add("+" + (key + "".join(rng.choice("0123456789") for _ in range(9)))[:11])
    rows = []
    for text in sorted(numbers):
        try:
            number = phonenumbers.parse(text, None)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != text:
            continue
        if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
            continue
        zones = [z for z in timezone.time_zones_for_number(number) if z != "Etc/Unknown"]
        shared = len(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[number.country_code]) > 1
        # The library then lists every zone of the calling code, whatever the number's country.
        any_of = "~" if zones and shared and not phonenumbers.is_number_geographical(number) else ""
        if any_of and number.country_code == 1:
            any_of, zones = "", []
        valid = phonenumbers.is_valid_number(number)
        region = (phonenumbers.region_code_for_number(number) or "-") if valid else "-"
        rows.append([text, region, TYPE_NAMES[phonenumbers.number_type(number)], "valid" if valid else "invalid",
                     any_of + (join(zones) or "-"), subdivision(number, region)])
    write(ROOT / "tests/place/reference.tsv",
          f"Generated numbers and what phonenumbers {VERSION} (Apache-2.0) says of them, by src/place/plan/generate.py.",
          ["number", "region", "type", "valid", "zones (~: all those of the calling code)", "state or province"], rows)


if __name__ == "__main__":
    patterns()
    emergencies()
    nanp()
    prefixes()
    countries()
    reference()
