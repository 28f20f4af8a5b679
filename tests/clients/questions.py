"""One number of each of five countries: what is asked, and what the law of the place says.

Every instant is fixed, and every fact is in the question, so that the answers never age.
"""

import copy

# A Wednesday, an ordinary working day in all five.
US_MORNING = "2026-11-18T16:00:00Z"  # 11:00 in Florida
US_EVENING = "2026-11-19T01:30:00Z"  # 20:30 in Florida
FR_MORNING = "2026-11-18T10:00:00Z"  # 11:00 in Paris
FR_NOON = "2026-11-18T12:30:00Z"  # 13:30 in Paris
EUROPE = "2026-11-18T13:00:00Z"
CN_DAY = "2026-11-18T02:00:00Z"  # 10:00 in Beijing
CN_NIGHT = "2026-11-18T13:30:00Z"  # 21:30 in Beijing


def ask(number, at, **more):
    """A sales call by hand to a consumer, as a dry run."""
    return {
        "number": number,
        "channel": "CHANNEL_CALL",
        "technology": "TECHNOLOGY_MANUAL",
        "purpose": "PURPOSE_MARKETING",
        "recipient": "RECIPIENT_CONSUMER",
        "seller": "acme",
        "subject": "renewal",
        "dryRun": True,
        "at": at,
        **more,
    }


def looked(at, listed, *registries):
    return {"registryChecks": [{"registry": name, "listed": listed, "checkedAt": at} for name in registries]}


def consented(given_at):
    return {
        "consents": [
            {
                "grade": "CONSENT_GRADE_EXPRESS",
                "givenAt": given_at,
                "channels": ["CHANNEL_CALL"],
                "sellers": ["acme"],
                "method": "CONSENT_METHOD_WEB_FORM",
                "noticeGiven": True,
                "forced": False,
                "evidenceRef": "form-7",
            }
        ]
    }


class Question:
    """A question with its right answer: families None is an ALLOW; an instant of "" is absent."""

    def __init__(self, name, request, families=None, retry_at="", valid_until="", places=(), cites=()):
        self.name, self._request, self.families = name, request, families
        self.retry_at, self.valid_until, self.places, self.cites = retry_at, valid_until, places, cites

    def request(self, **changed):
        return {**copy.deepcopy(self._request), **changed}


def florida(at, listed=False):
    return ask("+13055550123", at, lineType="LINE_TYPE_LANDLINE", evidence=looked(at, listed, "us.dnc.national", "us.dnc.fl"))


def france(at):
    return ask("+33612345678", at, lineType="LINE_TYPE_MOBILE", evidence=consented("2026-09-01T09:00:00Z"))


def britain(listed):
    return ask("+442079460123", EUROPE, lineType="LINE_TYPE_LANDLINE", evidence=looked(EUROPE, listed, "uk.tps"))


def germany(**more):
    return ask("+493023125012", EUROPE, lineType="LINE_TYPE_LANDLINE", **more)


def china(at, **more):
    return ask("+8613800138006", at, lineType="LINE_TYPE_MOBILE", **more)


QUESTIONS = [
    Question(
        "Florida, at eleven",
        florida(US_MORNING),
        valid_until="2026-11-19T01:00:00Z",
        places=["US-FL"],
    ),
    Question(
        "Florida, after eight in the evening",
        florida(US_EVENING),
        families=["QUIET_HOURS"],
        retry_at="2026-11-19T13:00:00Z",
        places=["US-FL"],
        cites=["501.616"],
    ),
    Question(
        "Florida, on the list",
        florida(US_MORNING, listed=True),
        families=["REGISTRY"],
        places=["US-FL"],
        cites=["64.1200(c)(2)", "501.059"],
    ),
    Question(
        "France, with consent, at eleven",
        france(FR_MORNING),
        valid_until="2026-11-18T12:00:00Z",
        places=["FR"],
    ),
    Question(
        "France, with consent, at lunch",
        france(FR_NOON),
        families=["QUIET_HOURS"],
        retry_at="2026-11-18T13:00:00Z",
        places=["FR"],
    ),
    Question(
        "France, without consent",
        ask("+33612345678", FR_MORNING, lineType="LINE_TYPE_MOBILE"),
        families=["CONSENT"],
        places=["FR"],
    ),
    Question(
        "Britain, not on the TPS",
        britain(False),
        places=["GB"],
    ),
    Question(
        "Britain, on the TPS",
        britain(True),
        families=["REGISTRY"],
        places=["GB"],
    ),
    Question(
        "Germany, with consent",
        germany(evidence=consented("2026-06-02T08:00:00Z")),
        places=["DE"],
    ),
    Question(
        "Germany, an own customer without consent",
        germany(evidence={"relationship": {"contractActive": True, "offerRelated": True}}),
        families=["CONSENT"],
        places=["DE"],
        cites=["UWG"],
    ),
    Question(
        "China, with consent, at ten",
        china(CN_DAY, evidence=consented("2026-06-01T02:00:00Z")),
        valid_until="2026-11-18T13:00:00Z",
        places=["CN"],
    ),
    Question(
        "China, with consent, at half past nine in the evening",
        china(CN_NIGHT, evidence=consented("2026-06-01T02:00:00Z")),
        families=["QUIET_HOURS"],
        retry_at="2026-11-19T01:00:00Z",
        places=["CN"],
    ),
    Question(
        "China, without consent",
        china(CN_DAY),
        families=["CONSENT"],
        places=["CN"],
    ),
]
