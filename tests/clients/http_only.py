"""What only a client of HTTP can get wrong, and what an operator asks over HTTP."""

import json

from cases import equal, true
from questions import US_MORNING, florida

CASES = []
GOOD = florida(US_MORNING)


def case(function):
    CASES.append(function)
    return function


def post(http, body, **headers):
    code, text = http.raw("POST", "/v1/check", body, headers)
    return code, json.loads(text)


@case
def the_server_is_alive_and_ready(http):
    equal(http.raw("GET", "/livez"), (200, b"ok\n"))
    code, text = http.raw("GET", "/readyz")
    equal((code, json.loads(text)["ready"]), (200, True))


@case
def the_metrics_count_without_numbers(http):
    code, text = http.raw("GET", "/metrics")
    text = text.decode()
    equal(code, 200)
    true(text.rstrip().endswith("# EOF"), "OpenMetrics ends so")
    true('ringfence_decisions_total{tenant="default",verdict="allow"' in text, "decisions by verdict")
    true("3055550" not in text, "no number in a label")


@case
def json_of_the_wrong_shape_is_refused_with_its_place(http):
    for body, start in [
        (b"", "the request"),
        (b"{", "the request"),
        (b"[]", "the request"),
        (b'{"seller": "\xff"}', "the request"),
        (b'{"numbr": "+13055550123"}', "numbr: "),
        (b'{"number": 13055550123}', "number: "),
        (b'{"dryRun": "yes"}', "dryRun: "),
        (b'{"channel": "CHANNEL_PIGEON"}', "channel: "),
        (b'{"channel": 99}', "channel: "),
        (b'{"evidence": {"consents": [{"givenAt": "yesterday"}]}}', "evidence.consents[0].givenAt: "),
    ]:
        code, answer = post(http, body)
        equal((code, answer["code"]), (400, 3), f"{body}: {answer}")
        true(answer["message"].startswith(start), f"{body}: `{start}` begins `{answer['message']}`")
        true("13055550123" not in answer["message"], answer["message"])


@case
def names_in_either_spelling_and_enums_by_number(http):
    snake = {**GOOD, "dry_run": True, "line_type": 2}
    del snake["dryRun"], snake["lineType"]
    code, answer = post(http, json.dumps(snake).encode())
    equal((code, answer["decision"]["verdict"]), (200, "VERDICT_ALLOW"))


@case
def a_web_page_may_not_ask(http):
    code, answer = post(http, json.dumps(GOOD).encode(), Origin="https://example.com")
    equal((code, answer["code"]), (403, 7))


@case
def another_path_or_method_is_named(http):
    code, text = http.raw("POST", "/v1/chekc", b"{}")
    equal((code, json.loads(text)["code"]), (404, 5))
    code, text = http.raw("GET", "/v1/+13055550123")
    true(b"5550123" not in text, text)
    code, text = http.raw("GET", "/v1/check")
    equal(code, 405)


@case
def a_body_beyond_the_limit_is_refused(http):
    # Hardly beyond it: the server closes on what it does not read, and an answer may be lost in that.
    code, answer = post(http, json.dumps({**GOOD, "subject": "s" * (16 << 20)}).encode())
    equal((code, answer["code"]), (413, 11))
    true("bytes" in answer["message"], answer["message"])


@case
def a_ten_megabyte_field_is_named(http):
    code, answer = post(http, json.dumps({**GOOD, "seller": "s" * (10 << 20)}).encode())
    equal(code, 400)
    true(answer["message"].startswith("seller: is 10485760 bytes long"), answer["message"][:200])
