"""What each client must be told. A case takes one client (`each`) or all three (`together`)."""

import datetime
import threading
import time
import uuid

from questions import QUESTIONS, US_MORNING, florida
from transports import Refused

EACH, TOGETHER = [], []


def each(case):
    EACH.append(case)
    return case


def together(case):
    TOGETHER.append(case)
    return case


def equal(found, wanted, what=""):
    if found != wanted:
        raise AssertionError(f"{what or 'value'}: found {found!r}, wanted {wanted!r}")


def true(found, what):
    if not found:
        raise AssertionError(what)


def check(client, request):
    return client.call("CheckService.Check", request)["decision"]


def families(decision):
    return sorted({reason["family"].removeprefix("RULE_FAMILY_") for reason in decision.get("reasons", [])})


def refusal(client, name, body):
    try:
        answer = client.call(name, body)
    except Refused as refused:
        return refused
    raise AssertionError(f"{name} was answered: {answer}")


def shifted(instant, millis):
    moment = datetime.datetime.fromisoformat(instant.replace("Z", "+00:00")) + datetime.timedelta(milliseconds=millis)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fresh_number():
    """A number of the range that North America keeps for fiction, in an area code of Florida, used by one case only."""
    with _NUMBERS:
        _TAKEN.append(None)
        return f"+13055550{100 + len(_TAKEN)}"


_NUMBERS, _TAKEN = threading.Lock(), []


def live(number):
    """A notice about an order: nothing but an opt-out stands in its way, at any hour."""
    return {
        "number": number,
        "channel": "CHANNEL_CALL",
        "technology": "TECHNOLOGY_MANUAL",
        "purpose": "PURPOSE_INFORMATIONAL",
        "recipient": "RECIPIENT_CONSUMER",
        "lineType": "LINE_TYPE_LANDLINE",
        "seller": "acme",
        "subject": "order-7",
    }


# Answers of five countries.


def judged(question):
    def case(client):
        decision = check(client, question.request())
        denied = question.families is not None
        equal(decision["verdict"], "VERDICT_DENY" if denied else "VERDICT_ALLOW", f"verdict, {families(decision)}")
        equal(families(decision), question.families or [], "families")
        equal(decision.get("retryAt", ""), question.retry_at, "retryAt")
        equal(decision.get("validUntil", ""), question.valid_until, "validUntil")
        equal(decision["jurisdictions"][-len(question.places) :], list(question.places), "jurisdictions")
        equal(decision["evaluatedAt"], question.request()["at"], "evaluatedAt")
        for reason in decision.get("reasons", []):
            true(reason["message"].endswith("."), f"a plain sentence: {reason}")
            true(reason["citation"] and reason["ruleId"], f"a reason cites its rule: {reason}")
        cited = " ".join(reason["citation"] for reason in decision.get("reasons", []))
        for cite in question.cites:
            true(cite in cited, f"`{cite}` among the citations `{cited}`")
        true(uuid.UUID(decision["decisionId"]).version == 7, "decisionId is a UUIDv7")
        true(decision["localTimes"] and decision["rulesVersion"], "clock and rules are named")
        true("useBy" not in decision and "attemptId" not in decision, "a dry run reserves nothing")

    case.__name__ = f"{question.name}: the right answer"
    return case


def turning(question):
    """retryAt is the first instant that allows, validUntil the first that denies: to the millisecond."""

    def case(client):
        decision = check(client, question.request())
        turn = decision.get("retryAt") or decision["validUntil"]
        before = check(client, question.request(at=shifted(turn, -1)))
        after = check(client, question.request(at=turn))
        equal(before["verdict"], decision["verdict"], "one millisecond before the turn")
        true(after["verdict"] != decision["verdict"], "at the turn")

    case.__name__ = f"{question.name}: exact to the millisecond"
    return case


def same(question):
    def case(clients):
        answers = []
        for client in clients:
            decision = check(client, question.request())
            del decision["decisionId"]
            answers.append((client.name, decision))
        for name, answer in answers[1:]:
            equal(answer, answers[0][1], f"{name} beside {answers[0][0]}")

    case.__name__ = f"{question.name}: every client is told the same"
    return case


for _question in QUESTIONS:
    EACH.append(judged(_question))
    if _question.retry_at or _question.valid_until:
        EACH.append(turning(_question))
    TOGETHER.append(same(_question))


# State.


@each
def an_opt_out_is_seen_by_the_next_check(client):
    number = fresh_number()
    equal(check(client, live(number))["verdict"], "VERDICT_ALLOW", "before")
    request = {
        "number": number,
        "requestId": f"stop-{number}",
        "scope": {"everything": True},
        "source": "OPT_OUT_SOURCE_PHONE",
        "wording": "do not call me again",
    }
    receipt = client.call("ConsentService.RecordOptOut", request)
    decision = check(client, live(number))
    equal(decision["verdict"], "VERDICT_DENY", "after")
    equal(families(decision), ["OPT_OUT"], "after")
    true("retryAt" not in decision, "no passing of time reopens it")
    equal(client.call("ConsentService.RecordOptOut", request), receipt, "the same request again")
    request["wording"] = "another"
    equal(refusal(client, "ConsentService.RecordOptOut", request).code, "ALREADY_EXISTS")
    contact = client.call("ConsentService.GetContact", {"number": number})["contact"]
    equal(len(contact["optOuts"]), 1, "opt-outs on record")
    equal(contact["optOuts"][0]["receiptId"], receipt["receiptId"], "receipt on record")


@each
def a_text_that_says_stop_is_in_force_once_answered(client):
    number = fresh_number()
    request = {"number": number, "requestId": "sms-1", "text": "Arrêtez, svp!", "seller": "acme"}
    answer = client.call("ConsentService.ProcessInbound", request)
    equal(answer["meaning"], "INBOUND_MEANING_STOP")
    equal(answer["optOut"]["scope"], {"sellers": ["acme"], "everything": True}, "no text is known that it answers")
    true(answer["reply"]["text"].startswith("acme") and answer["reply"]["sendBy"], f"one confirmation: {answer}")
    equal(families(check(client, live(number))), ["OPT_OUT"])
    equal(client.call("ConsentService.ProcessInbound", request), answer, "the same request again")
    again = client.call("ConsentService.ProcessInbound", {**request, "requestId": "sms-2"})
    true("reply" not in again, "confirmed once")
    request["text"] = "HELP"
    equal(refusal(client, "ConsentService.ProcessInbound", request).code, "ALREADY_EXISTS")
    help = client.call("ConsentService.ProcessInbound", {**request, "requestId": "sms-3"})
    equal((help["meaning"], "optOut" in help, "reply" in help), ("INBOUND_MEANING_HELP", False, True))
    refused = refusal(client, "ConsentService.ProcessInbound", {**request, "requestId": "", "text": "s" * 8193})
    equal((refused.code, refused.fields), ("INVALID_ARGUMENT", ["request_id", "text"]))


@together
def an_opt_out_told_to_one_transport_holds_on_the_others(clients):
    for teller in clients:
        number = fresh_number()
        teller.call(
            "ConsentService.RecordOptOut", {"number": number, "requestId": "s", "scope": {"sellers": ["acme"]}}
        )
        for client in clients:
            equal(families(check(client, live(number))), ["OPT_OUT"], f"told by {teller.name}, asked by {client.name}")


@each
def only_a_consent_recorded_later_reopens(client):
    number = fresh_number()
    client.call("ConsentService.RecordOptOut", {"number": number, "requestId": "s", "scope": {"everything": True}})
    consent = {"grade": "CONSENT_GRADE_EXPRESS", "givenAt": now(), "evidenceRef": "call-9", "method": "CONSENT_METHOD_VOICE"}
    asserted = {**live(number), "evidence": {"consents": [consent]}}
    equal(check(client, asserted)["verdict"], "VERDICT_DENY", "an asserted consent")
    # Given strictly later than the opt-out, by the server's clock, which is this machine's too.
    time.sleep(0.005)
    consent["givenAt"] = now()
    receipt = client.call("ConsentService.RecordConsent", {"number": number, "requestId": "c", "consent": consent})
    true(receipt["consentId"] and receipt["number"] == number, "a receipt")
    equal(check(client, live(number))["verdict"], "VERDICT_ALLOW", "a recorded consent")


def now():
    moment = datetime.datetime.now(datetime.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@each
def a_reservation_is_made_asked_again_reported_and_used_up(client):
    number = fresh_number()
    attempt = {**live(number), "attemptId": "a-1"}
    first = check(client, attempt)
    equal((first["verdict"], first["attemptId"]), ("VERDICT_ALLOW", "a-1"))
    true(first["useBy"] > first["evaluatedAt"], "use_by lies ahead")
    again = check(client, attempt)
    equal(again["attemptId"], "a-1", "asked again")
    other = refusal(client, "CheckService.Check", {**attempt, "subject": "another"})
    equal(other.code, "ALREADY_EXISTS", "the id of another attempt")
    true("google.rpc.ErrorInfo" in other.details, f"details: {other.details}")
    report = {"number": number, "attemptId": "a-1", "outcome": "OUTCOME_NO_ANSWER", "startedAt": now()}
    told = client.call("CheckService.ReportOutcome", report)
    equal((told["number"], told.get("released", False)), (number, False))
    equal(client.call("CheckService.ReportOutcome", report), told, "the same report again")
    equal(refusal(client, "CheckService.Check", attempt).code, "ALREADY_EXISTS", "after its report")
    unknown = refusal(client, "CheckService.ReportOutcome", {**report, "attemptId": "zzz"})
    equal(unknown.code, "NOT_FOUND", "an unknown attempt")
    named = check(client, live(number))
    true(named["attemptId"], "a reservation without an id gets one")
    released = client.call(
        "CheckService.ReportOutcome",
        {"number": number, "attemptId": named["attemptId"], "outcome": "OUTCOME_NOT_ATTEMPTED"},
    )
    equal(released["released"], True)
    contact = client.call("ConsentService.GetContact", {"number": number})["contact"]
    equal([kept["attempt"]["attemptId"] for kept in contact["attempts"] if kept["attempt"]["attemptId"] == "a-1"], ["a-1"])


@each
def a_batch_is_answered_in_order_and_a_bad_row_is_one_error(client):
    good = florida(US_MORNING)
    rows = [good, {**good, "number": "no number"}, {**good, "seller": ""}, {**good, "at": "2026-11-19T01:30:00Z"}]
    results = client.call("CheckService.CheckBatch", {"checks": rows})["results"]
    equal(len(results), 4)
    equal([result.get("decision", {}).get("verdict") for result in results], ["VERDICT_ALLOW", "VERDICT_DENY", None, "VERDICT_DENY"])
    equal(families(results[1]["decision"]), ["NUMBER"])
    equal(families(results[3]["decision"]), ["QUIET_HOURS"])
    equal(results[2]["error"]["code"], 3, "INVALID_ARGUMENT")
    true("seller" in results[2]["error"]["message"], results[2])
    details = {detail["@type"].rpartition(".")[2]: detail for detail in results[2]["error"]["details"]}
    equal(details["BadRequest"]["fieldViolations"][0]["field"], "seller")
    equal(details["ErrorInfo"]["reason"], "INVALID_REQUEST")


@each
def a_decision_is_found_with_all_it_was_made_from(client):
    number = fresh_number()
    decision = check(client, live(number))
    record = client.call("AuditService.GetDecision", {"decisionId": decision["decisionId"]})["record"]
    equal(record["decision"], decision, "as given")
    equal(record["request"]["number"], number)
    equal(record["inputs"]["rulesVersion"], decision["rulesVersion"])
    true(record["position"]["sequence"] and record["position"]["writer"], "its place in the log")
    dry = check(client, florida(US_MORNING))
    # Denials and dry runs may take a second to appear.
    for _ in range(100):
        try:
            record = client.call("AuditService.GetDecision", {"decisionId": dry["decisionId"]})["record"]
            break
        except Refused as refused:
            equal(refused.code, "NOT_FOUND")
            time.sleep(0.1)
    equal(record["decision"], dry, "a dry run")
    for unknown in ("01a1ffff-0000-7000-8000-000000000000", "nonsense"):
        equal(refusal(client, "AuditService.GetDecision", {"decisionId": unknown}).code, "NOT_FOUND")


@each
def the_law_is_shown(client):
    listed = client.call("LawService.ListPacks", {})
    places = [pack["jurisdiction"] for pack in listed["packs"]]
    for place in ("US", "US-FL", "EU", "FR", "DE", "GB", "CN"):
        true(place in places, f"{place} among {places}")
    true(listed["tzdataVersion"] >= "2026e", listed["tzdataVersion"])
    decision = check(client, florida("2026-11-19T01:30:00Z"))
    equal(decision["rulesVersion"], listed["rulesVersion"], "the rules in force")
    reason = decision["reasons"][0]
    rule = client.call("LawService.GetRule", {"ruleId": reason["ruleId"]})["rule"]
    true(reason["message"].startswith(rule["summary"]), f"the rule of a reason: {rule['summary']} {reason['message']}")
    equal(rule["citation"], reason["citation"])
    equal(refusal(client, "LawService.GetRule", {"ruleId": "us.nothing"}).code, "NOT_FOUND")
    days = client.call(
        "LawService.Calendar",
        {
            "place": "US-FL",
            "timeZone": "America/New_York",
            "purpose": "PURPOSE_MARKETING",
            "channel": "CHANNEL_CALL",
            "technology": "TECHNOLOGY_MANUAL",
            "recipient": "RECIPIENT_CONSUMER",
            "lineType": "LINE_TYPE_LANDLINE",
            "from": "2026-11-18T05:00:00Z",
            "days": 2,
            "evidence": florida(US_MORNING)["evidence"],
        },
    )
    spans = [(window["startsAt"], window["endsAt"]) for window in days["windows"]]
    equal(
        spans,
        [("2026-11-18T13:00:00Z", "2026-11-19T01:00:00Z"), ("2026-11-19T13:00:00Z", "2026-11-20T01:00:00Z")],
        "eight to eight",
    )
    equal(days["windows"][0]["localStartsAt"], "2026-11-18T08:00:00-05:00")


@each
def facts_are_changed_as_the_mask_says(client):
    number = fresh_number()
    request = {
        "number": number,
        "requestId": "u-1",
        "facts": {"residence": "US-TX", "lineType": "LINE_TYPE_MOBILE"},
        "updateMask": "residence",
    }
    changed = client.call("ConsentService.UpdateContact", request)
    equal(changed["version"], "1")
    contact = client.call("ConsentService.GetContact", {"number": number})["contact"]
    equal([fact.get("residence") for fact in contact["datedFacts"]], ["US-TX"])
    decision = check(client, florida(US_MORNING) | {"number": number})
    true("US-TX" in decision["jurisdictions"], f"the residence adds its law: {decision['jurisdictions']}")
    refused = refusal(client, "ConsentService.UpdateContact", {**request, "requestId": "u-2", "updateMask": "colour"})
    equal((refused.code, refused.fields), ("INVALID_ARGUMENT", ["update_mask"]))


# Refusals.

FAULTS = [
    ("no seller", {"seller": ""}, ["seller"]),
    ("no channel", {"channel": "CHANNEL_UNSPECIFIED"}, ["channel"]),
    ("no purpose", {"purpose": "PURPOSE_UNSPECIFIED"}, ["purpose"]),
    ("an instant without a dry run", {"dryRun": False}, ["at"]),
    ("the year 1969", {"at": "1969-12-31T23:59:59Z"}, ["at"]),
    ("the year 9999", {"at": "9999-12-31T23:59:59.999Z"}, ["at"]),
    ("no such zone", {"location": {"timeZone": "Mars/Olympus"}}, ["location.time_zone"]),
    ("no such place", {"location": {"residence": "ZZ-99"}}, ["location.residence"]),
    ("a long name", {"campaign": "c" * 129}, ["campaign"]),
    ("an opt-out of nothing", {"evidence": {"optOuts": [{"scope": {}}]}}, ["evidence.opt_outs[0].scope"]),
    ("two faults at once", {"seller": "", "channel": "CHANNEL_UNSPECIFIED"}, ["channel", "seller"]),
]


def faulty(name, changed, fields):
    def case(client):
        refused = refusal(client, "CheckService.Check", {**florida(US_MORNING), **changed})
        equal((refused.code, sorted(refused.fields)), ("INVALID_ARGUMENT", fields))
        true("google.rpc.BadRequest" in refused.details and "google.rpc.ErrorInfo" in refused.details, refused.details)
        true(refused.message.startswith(tuple(fields)), f"the message names the field: {refused.message}")
        true("3055550123" not in refused.message, refused.message)

    case.__name__ = f"refused: {name}"
    return case


EACH += [faulty(*fault) for fault in FAULTS]

UNUSABLE = {
    "empty": "",
    "letters": "call me maybe",
    "forty digits": "+" + "1234567890" * 4,
    "a country code that nobody has": "+9991234567",
    "emergency": "911",
    "premium, +1": "+19005550123",
    "premium, +44": "+449098790123",
    "a short number": "22000",
}


def unusable(name, number):
    def case(client):
        decision = check(client, {**florida(US_MORNING), "number": number, "defaultRegion": "US"})
        equal(decision["verdict"], "VERDICT_DENY")
        equal(families(decision), ["NUMBER"])
        true("retryAt" not in decision, "no passing of time helps")

    case.__name__ = f"no usable number: {name}"
    return case


EACH += [unusable(*pair) for pair in UNUSABLE.items()]


@each
def a_batch_of_more_than_a_thousand_is_refused(client):
    refused = refusal(client, "CheckService.CheckBatch", {"checks": [florida(US_MORNING)] * 1001})
    equal((refused.code, refused.fields), ("INVALID_ARGUMENT", ["checks"]))


@each
def an_emergency_needs_no_stored_fact(client):
    request = {**florida("2026-11-18T07:00:00Z"), "purpose": "PURPOSE_EMERGENCY"}
    equal(check(client, request)["verdict"], "VERDICT_ALLOW")
