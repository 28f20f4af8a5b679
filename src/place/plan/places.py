"""Facts written down by hand for generate.py: which area code belongs where, and which places keep several clocks.

Sources: the North American Numbering Plan administrator's lists and planning letters, state commission notices
(2023 to 2026), the Canadian numbering administrator, ISO 3166-2, 49 CFR part 71 (US zone boundaries), the tz database's
zone.tab comments, the national numbering plans of Australia, Brazil, Mexico, Portugal and Spain.
"""

NY, CHI, DEN, LA = "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"
PHX, BOI = "America/Phoenix", "America/Boise"


def codes(text):
    return [int(code) for code in text.split()]


# Every area code of a state, including those announced that libphonenumber 9.0.43 does not list: 357 436 457 465 471
# 624 679 729 837 861.
US_AREA_CODES = {state: codes(text) for state, text in {
    "AL": "205 251 256 334 659 938",
    "AK": "907",
    "AZ": "480 520 602 623 928",
    "AR": "327 479 501 870",
    "CA": "209 213 279 310 323 341 350 357 369 408 415 424 442 510 530 559 562 619 626 628 650 657 661 669 707 714 738 "
          "747 760 805 818 820 831 837 840 858 909 916 925 949 951",
    "CO": "303 719 720 748 970 983",
    "CT": "203 475 860 959",
    "DE": "302",
    "DC": "202 771",
    "FL": "239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 941 954",
    "GA": "229 404 470 478 678 706 762 770 912 943",
    "HI": "808",
    "ID": "208 986",
    "IL": "217 224 309 312 331 447 464 618 630 708 730 773 779 815 847 861 872",
    "IN": "219 260 317 463 574 765 812 930",
    "IA": "319 515 563 641 712",
    "KS": "316 620 785 913",
    "KY": "270 364 502 606 859",
    "LA": "225 318 337 457 504 985",
    "ME": "207",
    "MD": "227 240 301 410 443 667",
    "MA": "339 351 413 508 617 774 781 857 978",
    "MI": "231 248 269 313 517 586 616 679 734 810 906 947 989",
    "MN": "218 320 507 612 651 763 952",
    "MS": "228 471 601 662 769",
    "MO": "235 314 417 557 573 636 660 816 975",
    "MT": "406",
    "NE": "308 402 531",
    "NV": "702 725 775",
    "NH": "603",
    "NJ": "201 551 609 640 732 848 856 862 908 973",
    "NM": "505 575",
    "NY": "212 315 329 332 347 363 465 516 518 585 607 624 631 646 680 716 718 838 845 914 917 929 934",
    "NC": "252 336 472 704 743 828 910 919 980 984",
    "ND": "701",
    "OH": "216 220 234 283 326 330 380 419 436 440 513 567 614 740 937",
    "OK": "405 539 572 580 918",
    "OR": "458 503 541 971",
    "PA": "215 223 267 272 412 445 484 570 582 610 717 724 814 835 878",
    "RI": "401",
    "SC": "803 821 839 843 854 864",
    "SD": "605",
    "TN": "423 615 629 729 731 865 901 931",
    "TX": "210 214 254 281 325 346 361 409 430 432 469 512 682 713 726 737 806 817 830 832 903 915 936 940 945 956 972 "
          "979",
    "UT": "385 435 801",
    "VT": "802",
    "VA": "276 434 540 571 686 703 757 804 826 948",
    "WA": "206 253 360 425 509 564",
    "WV": "304 681",
    "WI": "262 274 353 414 534 608 715 920",
    "WY": "307",
}.items()}

# What the library calls states and provinces, one of them misspelt.
STATE_NAMES = {
    "Alabama": "AL", "Alaska": "AK", "Arizona": "AZ", "Arkansas": "AR", "California": "CA", "Colorado": "CO",
    "Connecticut": "CT", "Delaware": "DE", "Florida": "FL", "Georgia": "GA", "Hawaii": "HI", "Idaho": "ID",
    "Illinois": "IL", "Indiana": "IN", "Iowa": "IA", "Kansas": "KS", "Kentucky": "KY", "Louisiana": "LA",
    "Maine": "ME", "Maryland": "MD", "Massachusetts": "MA", "Michigan": "MI", "Minnesota": "MN", "Mississippi": "MS",
    "Missouri": "MO", "Montana": "MT", "Nebraska": "NE", "Nevada": "NV", "New Hampshire": "NH", "New Jersey": "NJ",
    "New Mexico": "NM", "New York": "NY", "North Carolina": "NC", "North Dakota": "ND", "Ohio": "OH",
    "Oklahoma": "OK", "Oregon": "OR", "Pennsylvania": "PA", "Rhode Island": "RI", "South Carolina": "SC",
    "South Dakota": "SD", "Tennessee": "TN", "Texas": "TX", "Utah": "UT", "Vermont": "VT", "Virginia": "VA",
    "Washington State": "WA", "Washington D.C.": "DC", "West Virginia": "WV", "Wisconsin": "WI", "Wyoming": "WY",
    "Alberta": "AB", "British Columbia": "BC", "British Colombia": "BC", "Manitoba": "MB", "New Brunswick": "NB",
    "Newfoundland and Labrador": "NL", "Ontario": "ON", "Quebec": "QC", "Saskatchewan": "SK",
    "Prince Edward Island": "PE", "Nova Scotia": "NS", "Nunavut": "NU", "Yukon": "YT", "Northwest Territories": "NT",
}

# Area codes over two clocks, and those whose finer rows in the library say more than the map does. Overlays stand with
# the code they share an area with.
US_SPLIT = {
    850: [NY, CHI], 448: [NY, CHI],
    423: [NY, CHI], 729: [NY, CHI],
    931: [CHI],
    270: [NY, CHI], 364: [NY, CHI], 606: [NY, CHI], 502: [NY], 859: [NY],
    219: [NY, CHI], 574: [NY, CHI], 812: [NY, CHI], 930: [NY, CHI], 260: [NY], 317: [NY], 463: [NY], 765: [NY],
    906: [NY, CHI], 679: [NY],
    701: [CHI, DEN], 605: [CHI, DEN], 308: [CHI, DEN], 402: [CHI], 531: [CHI],
    620: [CHI, DEN], 785: [CHI, DEN],
    # El Paso and Hudspeth keep Mountain time; the exchanges the library calls Central are ported or misplaced.
    915: [DEN], 432: [CHI],
    208: [BOI, LA], 986: [BOI, LA], 541: [LA, BOI], 458: [LA, BOI],
    775: [LA, DEN],
    907: ["America/Anchorage", "America/Adak"],
    928: [PHX, DEN], 480: [PHX], 520: [PHX], 602: [PHX], 623: [PHX],
}

# Border towns that keep the neighbour's clock by custom: counted only where nothing better than the area code is known.
US_STRICT = {931: [NY], 432: [DEN], 402: [DEN], 531: [DEN], 334: [NY], 706: [CHI], 762: [CHI]}

# The library's zone names onto the one name per clock and state used here.
US_FOLD = {
    "America/Detroit": NY, "America/Indiana/Indianapolis": NY, "America/Kentucky/Louisville": NY,
    "America/North_Dakota/Center": CHI, "America/Juneau": "America/Anchorage",
}

NL = ["America/St_Johns", "America/Goose_Bay"]
BC = ["America/Vancouver", "America/Edmonton", "America/Fort_Nelson"]

CA_AREA_CODES = {province: codes(text) for province, text in {
    "AB": "368 403 587 780 825",
    "BC": "236 250 257 604 672 778",
    "MB": "204 431 584",
    "NB": "428 506",
    "NL": "709 879",
    "NS": "782 902",
    "PE": "782 902",
    "ON": "226 249 289 343 365 382 387 416 437 519 548 613 647 683 705 742 753 807 905 942",
    "QC": "263 273 354 367 418 438 450 468 514 579 581 819 873",
    "SK": "306 474 639",
    "NT": "867",
    "NU": "867",
    "YT": "867",
}.items()}

# Narrower than the whole province.
CA_SPLIT = {npa: ["America/Toronto"] for npa in codes(
    "226 249 289 343 365 382 387 416 437 519 548 613 647 683 705 742 753 905 942 263 273 354 438 450 468 514 579 819 873"
)} | {604: ["America/Vancouver"], 807: ["America/Toronto", "America/Winnipeg", "America/Atikokan"]}

# 600 reaches anywhere in Canada (satellite and shared lines).
CA_NOWHERE_IN_PARTICULAR = [600]

NANP_COUNTRIES = {country: codes(text) for country, text in {
    "AG": "268", "AI": "264", "AS": "684", "BB": "246", "BM": "441", "BS": "242", "DM": "767", "DO": "809 829 849",
    "GD": "473", "GU": "671", "JM": "658 876", "KN": "869", "KY": "345", "LC": "758", "MP": "670", "MS": "664",
    "PR": "787 939", "SX": "721", "TC": "649", "TT": "868", "VC": "784", "VG": "284", "VI": "340",
}.items()}

NANP_NO_PLACE = {
    "toll_free": codes("800 822 833 844 855 866 877 880 881 882 883 884 885 886 887 888 889"),
    "premium": codes("900"),
    "personal": codes("500 521 522 523 524 525 526 527 528 529 532 533 544 566 577 588 622 633 644 655 677 688"),
    # Federal government and inter-carrier services.
    "service": codes("700 710"),
}

# Where several zones of a country share a clock, the name to keep.
PREFERRED_ZONES = {
    "Australia/Sydney", "Australia/Adelaide", "America/Sao_Paulo", "America/Manaus", "America/Rio_Branco",
    "America/Argentina/Buenos_Aires", "Asia/Almaty", "Europe/Kyiv", "Asia/Yakutsk", "Asia/Novosibirsk",
    "Asia/Krasnoyarsk", "Europe/Samara", "America/Chicago", "Asia/Kamchatka",
}

COUNTRY_ZONES = {
    # By law one zone, kept by every operator; Asia/Urumqi is local custom.
    "CN": ["Asia/Shanghai"],
    "AC": ["Atlantic/St_Helena"],
    "TA": ["Atlantic/St_Helena"],
    "XK": ["Europe/Belgrade"],
    # Uninhabited; its own offset, no zone in the database.
    "BV": ["Europe/Oslo"],
    "HM": ["Indian/Kerguelen"],
}

# In the numbering plans or in use, though not in ISO 3166-1.
EXTRA_COUNTRIES = ["AC", "TA", "XK"]

SUBDIVISIONS = {
    **{f"US-{s}": [NY] for s in "CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV".split()},
    **{f"US-{s}": [CHI] for s in "AL AR IA IL LA MN MO MS OK WI".split()},
    **{f"US-{s}": [DEN] for s in "CO MT NM UT WY".split()},
    **{f"US-{s}": [LA] for s in "CA WA".split()},
    **{f"US-{s}": [NY, CHI] for s in "FL IN KY MI TN".split()},
    **{f"US-{s}": [CHI, DEN] for s in "KS ND NE SD TX".split()},
    "US-AK": ["America/Anchorage", "America/Adak"],
    "US-AZ": [PHX, DEN],
    "US-HI": ["Pacific/Honolulu"],
    "US-ID": [BOI, LA],
    "US-NV": [LA, DEN],
    "US-OR": [LA, BOI],
    "CA-AB": ["America/Edmonton"],
    # East Kootenay keeps Alberta's clock; the Peace and Creston stay on -07 all year.
    "CA-BC": BC,
    "CA-MB": ["America/Winnipeg"],
    "CA-NB": ["America/Moncton"],
    "CA-NL": NL,
    "CA-NS": ["America/Halifax"],
    "CA-NT": ["America/Edmonton", "America/Inuvik"],
    "CA-NU": ["America/Iqaluit", "America/Rankin_Inlet", "America/Cambridge_Bay", "America/Atikokan"],
    "CA-ON": ["America/Toronto", "America/Winnipeg", "America/Atikokan"],
    "CA-PE": ["America/Halifax"],
    # The Magdalen Islands keep Halifax time, the Lower North Shore -04 all year.
    "CA-QC": ["America/Toronto", "America/Halifax", "America/Blanc-Sablon"],
    # Lloydminster keeps Alberta's clock.
    "CA-SK": ["America/Regina", "America/Edmonton"],
    "CA-YT": ["America/Whitehorse"],
}

COUNTRY_ZONES["US"] = sorted({z for k, v in SUBDIVISIONS.items() if k[:2] == "US" for z in v})
COUNTRY_ZONES["CA"] = sorted({z for k, v in SUBDIVISIONS.items() if k[:2] == "CA" for z in v})

SYDNEY, BROKEN_HILL, BRISBANE = "Australia/Sydney", "Australia/Adelaide", "Australia/Brisbane"
SP, MEX = "America/Sao_Paulo", "America/Mexico_City"
MSK = "Europe/Moscow"

# Country -> zones -> subdivisions.
_SEVERAL_CLOCKS = {
    "AU": {
        (SYDNEY,): "ACT VIC TAS", (SYDNEY, BROKEN_HILL, "Australia/Lord_Howe"): "NSW",
        (BRISBANE,): "QLD", ("Australia/Adelaide",): "SA", ("Australia/Darwin",): "NT",
        ("Australia/Perth", "Australia/Eucla"): "WA",
    },
    "BR": {
        (SP,): "AL AP BA CE DF ES GO MA MG PA PB PI PR RJ RN RS SC SE SP TO",
        (SP, "America/Noronha"): "PE",
        ("America/Manaus",): "MS MT RO RR", ("America/Manaus", "America/Rio_Branco"): "AM",
        ("America/Rio_Branco",): "AC",
    },
    "CL": {
        ("America/Santiago",): "AN AP AR AT BI CO LI LL LR ML NB RM TA",
        ("America/Santiago", "Pacific/Easter"): "VS", ("America/Coyhaique",): "AI", ("America/Punta_Arenas",): "MA",
    },
    "EC": {
        ("America/Guayaquil",): "A B C D E F G H I L M N O P R S SD SE T U X Y Z", ("Pacific/Galapagos",): "W",
    },
    "ES": {
        ("Atlantic/Canary",): "CN GC TF",
        ("Europe/Madrid",): "AN AR AS CB CL CM CT EX GA IB MC MD NC PV RI VC CE ML "
                            "A AB AL AV B BA BI BU C CA CC CO CR CS CU GI GR GU H HU J L LE LO LU M MA MU NA O OR P PM PO "
                            "S SA SE SG SO SS T TE TO V VA VI Z ZA",
    },
    "FM": {("Pacific/Chuuk",): "TRK YAP", ("Pacific/Pohnpei",): "KSA PNI"},
    "ID": {
        ("Asia/Jakarta",): "AC BB BE BT JA JB JI JK JT KB KR KT LA RI SB SS SU YO",
        ("Asia/Makassar",): "BA GO KI KS KU NB NT SA SG SN SR ST",
        ("Asia/Jayapura",): "MA MU PA PB PD PE PS PT",
    },
    "MX": {
        ("America/Tijuana",): "BCN", ("America/Mazatlan",): "BCS SIN", ("America/Mazatlan", MEX): "NAY",
        ("America/Hermosillo", "America/Tijuana"): "SON",
        ("America/Chihuahua", "America/Ciudad_Juarez", "America/Ojinaga"): "CHH",
        ("America/Cancun",): "ROO", (MEX, "America/Matamoros"): "COA NLE TAM",
        (MEX,): "AGU CAM CHP CMX COL DIF DUR GRO GUA HID JAL MEX MIC MOR OAX PUE QUE SLP TAB TLA VER YUC ZAC",
    },
    "NZ": {
        ("Pacific/Auckland",): "AUK BOP CAN GIS HKB MBH MWT NSN NTL OTA STL TAS TKI WGN WKO WTC",
        ("Pacific/Chatham",): "CIT",
    },
    "PG": {("Pacific/Bougainville",): "NSB"},
    "PT": {
        ("Europe/Lisbon",): "01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 30", ("Atlantic/Azores",): "20",
    },
    "RU": {
        ("Europe/Kaliningrad",): "KGD",
        (MSK,): "AD ARK BEL BRY CE CU DA IN IVA KB KC KDA KIR KL KLU KO KOS KR KRS LEN LIP ME MO MOS MOW MUR NEN NGR NIZ "
                "ORL PNZ PSK ROS RYA SE SMO SPE STA TA TAM TUL TVE VLA VLG VOR YAR",
        ("Europe/Volgograd",): "VGG",
        ("Europe/Samara",): "AST SAM SAR UD ULY",
        ("Asia/Yekaterinburg",): "BA CHE KGN KHM ORE PER SVE TYU YAN",
        ("Asia/Omsk",): "OMS",
        ("Asia/Krasnoyarsk",): "AL ALT KEM KK KYA NVS TOM TY",
        ("Asia/Irkutsk",): "BU IRK",
        ("Asia/Yakutsk",): "AMU ZAB", ("Asia/Yakutsk", "Asia/Vladivostok", "Asia/Magadan"): "SA",
        ("Asia/Vladivostok",): "KHA PRI YEV",
        ("Asia/Magadan",): "MAG SAK",
        ("Asia/Kamchatka",): "CHU KAM",
    },
}


def subdivisions():
    table = {code: list(zones) for code, zones in SUBDIVISIONS.items()}
    for country, groups in _SEVERAL_CLOCKS.items():
        for zones, parts in groups.items():
            for part in parts.split():
                table[f"{country}-{part}"] = list(zones)
    return table


# ISO 3166-2 codes of places that ISO 3166-1 lists as countries.
ALIASES = {
    **{f"US-{c}": c for c in "AS GU MP PR UM VI".split()},
    **{f"FR-{c}": c for c in "BL GF GP MF MQ NC PF PM RE TF WF YT".split()},
    "FR-971": "GP", "FR-972": "MQ", "FR-973": "GF", "FR-974": "RE", "FR-975": "PM", "FR-976": "YT", "FR-977": "BL",
    "FR-978": "MF", "FR-984": "TF", "FR-986": "WF", "FR-987": "PF", "FR-988": "NC",
    "FI-01": "AX", "NO-21": "SJ", "NO-22": "SJ",
    "NL-AW": "AW", "NL-CW": "CW", "NL-SX": "SX", "NL-BQ1": "BQ", "NL-BQ2": "BQ", "NL-BQ3": "BQ",
    "CN-HK": "HK", "CN-MO": "MO", "CN-TW": "TW",
}

_BR_AREAS = {
    "SP": "11 12 13 14 15 16 17 18 19", "RJ": "21 22 24", "ES": "27 28", "MG": "31 32 33 34 35 37 38",
    "PR": "41 42 43 44 45 46", "SC": "47 48 49", "RS": "51 53 54 55", "TO": "63", "MT": "65 66", "MS": "67", "AC": "68",
    "RO": "69", "BA": "71 73 74 75 77", "SE": "79", "PE": "81 87", "AL": "82", "PB": "83", "RN": "84", "CE": "85 88",
    "PI": "86 89", "PA": "91 93 94", "AM": "92 97", "RR": "95", "AP": "96", "MA": "98 99",
    # 61 is the capital with its ring in Goiás.
    "DF": "61", "GO": "61 62 64",
}


def prefixes():
    """(calling code, national prefix, scope, jurisdiction, zones)"""
    table = subdivisions()
    for state, areas in _BR_AREAS.items():
        for area in areas.split():
            yield 55, area, "any", f"BR-{state}", table[f"BR-{state}"]
    for area in "822 828 922 928".split():
        yield 34, area, "fixed", "ES", ["Atlantic/Canary"]
    # Elsewhere on the map Spain's fixed numbers are peninsular; 827 is listed by the library for the Canaries.
    for area in "81 83 84 85 86 87 88 91 93 94 95 96 97 98".split():
        yield 34, area, "fixed", "ES", ["Europe/Madrid"]
    for area in "292 295 296".split():
        yield 351, area, "fixed", "PT", ["Atlantic/Azores"]
    for area in "21 22 23 24 25 26 27 28 291".split():
        yield 351, area, "fixed", "PT", ["Europe/Lisbon"]
    # Border towns: Tweed Heads (NSW) is 07, Broken Hill (NSW, Adelaide time) 08; New South Wales also holds Lord Howe.
    yield 61, "2", "fixed", "AU", [SYDNEY, BROKEN_HILL, BRISBANE, "Australia/Lord_Howe"]
    yield 61, "3", "fixed", "AU", [SYDNEY]
    yield 61, "7", "fixed", "AU", [BRISBANE, SYDNEY]
    western = ["Australia/Adelaide", "Australia/Darwin", "Australia/Perth", "Australia/Eucla"]
    yield 61, "8", "fixed", "AU", western
    # Blocks shared with Christmas Island and Cocos.
    yield 61, "891", "fixed", "AU", [*western, "Indian/Christmas", "Indian/Cocos"]
    yield 61, "851", "fixed", "AU", [*western, SYDNEY, "Indian/Christmas", "Indian/Cocos"]
    # Geographic for mobile lines too. Only as fine as the first digit: the library's finer rows are older than the
    # zones of 2022.
    for area in "4 5 7".split():
        yield 52, area, "any", "MX", [MEX]
    for area in "22 23 24 25 26 27 28 29".split():
        yield 52, area, "any", "MX", [MEX]
    yield 52, "3", "any", "MX", [MEX, "America/Mazatlan"]
    yield 52, "6", "any", "MX", [MEX, "America/Mazatlan", "America/Hermosillo", "America/Chihuahua",
                                 "America/Ciudad_Juarez", "America/Ojinaga", "America/Tijuana"]
    yield 52, "8", "any", "MX", [MEX, "America/Matamoros"]
    yield 52, "9", "any", "MX", [MEX, "America/Cancun"]
