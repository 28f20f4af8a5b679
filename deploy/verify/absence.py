#!/usr/bin/env python3
"""Checks a proof that no contact to a number was allowed, with nothing but published heads.

    absence.py PROOF --heads HEADS [--number +12025550143] [--after 2026-11-01T00:00:00Z] [--unnamed]
                                   [--openings FILE]

Written apart from Ringfence, with the standard library alone, from the format in ../evidence.md: read both before you
rely on it. Trust only heads that you have from where they were published, not from who gave you the proof.
Prints one JSON object. Exit status: 0 proven, 1 not, 2 it cannot be checked.
"""

import argparse
import datetime
import hashlib
import json
import re
import struct
import sys

ALLOWED, ANSWERED, RECORDED, ROWS, READ = 1, 2, 3, 4, 5
NOBODY = bytes(16)
GENESIS = (0, bytes(32))
INSTANT = re.compile(r"-?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z")
HEX = re.compile(r"([0-9a-f]{2})*")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Fault(Exception):
    """Why a proof proves nothing."""


def fail_unless(holds, what):
    if not holds:
        raise Fault(what)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def unhex(text, length):
    fail_unless(isinstance(text, str) and HEX.fullmatch(text) and len(text) == 2 * length, "not hexadecimal of its length")
    return bytes.fromhex(text)


def natural(text, bits=64):
    fail_unless(text.isascii() and text.isdigit() and str(int(text)) == text and int(text) < 1 << bits, "not a number")
    return int(text)


def millis(text):
    """Milliseconds since 1970 of an RFC 3339 instant in UTC."""
    fail_unless(isinstance(text, str) and INSTANT.fullmatch(text), "not an instant")
    whole, _, part = text[:-1].partition(".")
    fail_unless(not part.endswith("0"), "not an instant in its one text")
    try:
        since = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc) - EPOCH
    except ValueError as error:
        raise Fault(f"not an instant: {error}") from None
    return since // datetime.timedelta(milliseconds=1) + int(part.ljust(3, "0"))


def instant(since):
    return (EPOCH + datetime.timedelta(milliseconds=since)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exactly(value, keys):
    fail_unless(isinstance(value, dict) and set(value) == set(keys), "not the fields it should have")
    return [value[key] for key in keys]


def read_heads(path):
    """Of every log, what was published of it: (instant, (seq, hash)), the earliest first."""
    published = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if not line.strip():
                continue
            name, form, at, logs = exactly(json.loads(line), ["ringfence", "form", "at", "logs"])
            fail_unless(name == "audit heads" and form == 1 and logs, "no line of published heads")
            heads = {}
            for log in logs:
                writer, seq, digest = exactly(log, ["writer", "seq", "hash"])
                unhex(writer, 4)
                fail_unless(isinstance(seq, int) and seq >= 0 and writer not in heads, "no head")
                heads[writer] = (seq, unhex(digest, 32))
            published.append((millis(at), heads))
    fail_unless(published, "no head was published")
    published.sort(key=lambda one: one[0])
    logs = {}
    for at, heads in published:
        for writer, head in heads.items():
            points = logs.setdefault(writer, [])
            before = points[-1][1] if points else GENESIS
            fail_unless(head[0] > before[0] or head == before, f"published heads of the log of {writer} contradict each other")
            points.append((at, head))
    return logs


class Proof:
    def __init__(self, heads, number, after, unnamed):
        self.heads, self.number, self.wanted, self.unnamed = heads, number, after, unnamed
        # Looked up for each entry: heads of years are many.
        self.hashes = {writer: dict(head for _, head in points) for writer, points in heads.items()}
        self.spans, self.seen, self.nameless = [], {}, []
        self.named, self.done, self.span = set(), False, None

    def first(self, text):
        name, form, after, witnesses = exactly(json.loads(text), ["ringfence", "form", "after", "witnesses"])
        fail_unless(name == "proof of absence" and form == 1, "no proof of absence of form 1")
        self.after = millis(after)
        fail_unless(self.wanted is None or self.wanted == self.after, f"it is of {after}")
        for writer, points in self.heads.items():
            fail_unless(points[-1][0] >= self.after, f"no head of the log of {writer} was published since the instant")
        fail_unless(isinstance(witnesses, list) and witnesses, "it names no contact")
        self.witnesses = [(unhex(mark, 4), unhex(opens, 32), unhex(key, 32)) for mark, opens, key in witnesses]

    def line(self, text):
        fail_unless(not self.done, "nothing may follow its end")
        kind, *words = text.split(" ")
        lengths = {"span": 3, "h": 1, "e": 6, "m": 8, "end": 2, "done": 0}
        fail_unless(lengths.get(kind) == len(words), "no line of a proof")
        if kind in ("span", "done"):
            fail_unless(self.span is None, "a span has no end")
        else:
            fail_unless(self.span is not None, "it belongs to no span")
        if kind == "span":
            self.begin(*words)
        elif kind == "h":
            self.segment(unhex(words[0], 88))
        elif kind == "end":
            self.end((natural(words[0]), unhex(words[1], 32)))
        elif kind == "done":
            self.done = True
        else:
            self.entry(kind == "m", *words)

    def is_published(self, writer, head):
        return head == GENESIS or self.hashes.get(writer, {}).get(head[0]) == head[1]

    def begin(self, writer, seq, digest):
        unhex(writer, 4)
        start = (natural(seq), unhex(digest, 32))
        fail_unless(self.is_published(writer, start), "it begins with a head that was never published")
        self.span = {"writer": writer, "from": start, "seq": start[0], "link": start[1], "rows": 0, "strange": None}
        self.span.update(segment=None, begun=start[0] > 0, marks=set())

    def segment(self, header):
        span = self.span
        magic, form, writer, segment, first, before, _, _, _ = struct.unpack("<8sIIQQ32sqQQ", header)
        follows = (
            magic == b"RFAUDIT\n"
            and form == 1
            and f"{writer:08x}" == span["writer"]
            and (segment > 0 if span["segment"] is None else segment == span["segment"] + 1)
            and (span["begun"] or segment == 1)
            and first == span["seq"] + 1
            and before == span["link"]
        )
        fail_unless(follows, "a segment's header does not follow on what stands before it")
        span.update(segment=segment, begun=True, link=sha(header))

    def entry(self, ours, kind, safe, entry_id, veil, mark, *rest):
        span, writer = self.span, self.span["writer"]
        kind, safe, entry_id = natural(kind, 8), natural(safe), unhex(entry_id, 16)
        veil, mark = unhex(veil, 16), unhex(mark, 4)
        fail_unless(span["begun"], "a log begins with the header of its first segment")
        fail_unless(entry_id[6] >> 4 == 7, "an id that is none")
        if ours:
            name, plain, content = unhex(rest[0], 16), unhex(rest[1], 32), unhex(rest[2], 32)
            hidden = sha(b"ringfence rest 3\0", name, plain, content)
        else:
            hidden = unhex(rest[0], 32)
        digest = sha(b"ringfence entry 3\0", bytes([kind]), entry_id, veil, mark, hidden)
        span["seq"] += 1
        seq = span["seq"]
        span["link"] = sha(b"ringfence audit 1\0", struct.pack("<QQ", seq, safe), span["link"], digest)
        published = self.hashes.get(writer, {}).get(seq, span["link"])
        fail_unless(published == span["link"], f"the chain does not lead to the head of entry {seq}")
        opens = [key for _, w, key in self.witnesses if sha(b"ringfence veil 1\0", w, entry_id)[:16] == veil]
        fail_unless(bool(opens) == ours, "an entry about this contact is not shown, or one of another is said to be of it")
        if ours:
            if self.number is not None and name != NOBODY:
                number = self.number.encode("ascii")
                expected = sha(b"ringfence name 1\0", opens[0], entry_id, number)[:16]
                fail_unless(name == expected, "it is about another number")
                self.named.add(mark)
            at = int.from_bytes(entry_id[:6], "big")
            self.seen[(writer, seq)] = {"kind": kind, "at": at, "id": entry_id, "plain": plain}
        if veil == NOBODY:
            span["rows"] += kind == ROWS
            if self.may_allow(kind):
                self.nameless.append((writer, seq))
        else:
            span["marks"].add(mark)
            if all(mark != known for known, _, _ in self.witnesses):
                span["strange"] = span["strange"] or seq

    @staticmethod
    def may_allow(kind):
        return kind not in (ANSWERED, RECORDED, ROWS, READ)

    def end(self, to):
        span = self.span
        fail_unless((span["seq"], span["link"]) == to, "the chain leads to another head than the one said")
        fail_unless(self.is_published(span["writer"], to), "it ends with a head that was never published")
        self.spans.append(span)
        self.span = None

    def finish(self):
        fail_unless(self.done, "its end is missing: it was cut")
        rows, marks, logs = 0, set(), []
        for writer, points in self.heads.items():
            start = max((head for at, head in points if at <= self.after), default=GENESIS, key=lambda head: head[0])
            last = points[-1][1]
            covering = (
                span
                for span in self.spans
                if span["writer"] == writer and span["from"][0] <= start[0] and (span["seq"], span["link"]) == last
            )
            span = next(covering, None)
            fail_unless(span, f"the log of writer {writer} is not shown from entry {start[0] + 1} to entry {last[0]}")
            fail_unless(span["strange"] is None, f"entry {span['strange']} was written under another hash key")
            rows += span["rows"]
            marks |= span["marks"]
            until = points[-1][0]
            logs.append({"writer": writer, "first": span["from"][0] + 1, "last": last[0], "until": instant(until)})
        fail_unless(not self.nameless, f"an entry allows a contact and names nobody: {self.nameless[:1]}")
        allowed, others = [], []
        for (writer, seq), one in sorted(self.seen.items()):
            surely = next((head[0] for at, head in self.heads.get(writer, []) if at >= self.after), None)
            late = one["at"] >= self.after or surely is not None and seq > surely
            told = {"at": instant(one["at"]), "kind": one["kind"], "writer": writer, "entry": seq, "id": one["id"].hex()}
            (allowed if self.may_allow(one["kind"]) and late else others).append(told)
        # Under another hash key the number has another tag: what names it under one says nothing of those under others.
        named = self.named and marks <= self.named
        link = "not asked" if self.number is None else "named" if named else "unnamed"
        return {
            "proven": not allowed and (link != "unnamed" or self.unnamed),
            "after": instant(self.after),
            "until": instant(min(points[-1][0] for points in self.heads.values())),
            "number": link,
            "logs": logs,
            "allowed": allowed,
            "seen": others,
            "rows": rows,
        }

    def compare(self, path):
        """What was recorded, byte for byte, against what the chain says of it."""
        with open(path, encoding="utf-8") as lines:
            count = 0
            for line in lines:
                entry_id, writer, seq, salt, body = exactly(json.loads(line), ["id", "writer", "entry", "salt", "body"])
                shown = self.seen.get((writer, seq))
                plain = sha(b"ringfence body 1\0", unhex(salt, 32), unhex(body, len(body) // 2))
                holds = shown and shown["id"].hex() == entry_id.replace("-", "") and shown["plain"] == plain
                fail_unless(holds, f"entry {seq} of the log of {writer} is not what was recorded")
                count += 1
        return count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("proof")
    parser.add_argument("--heads", required=True, help="the heads, from where they were published")
    parser.add_argument("--number", help="the number that it must be about, E.164")
    parser.add_argument("--after", help="the instant that it must be of")
    parser.add_argument("--unnamed", action="store_true", help="take it at its word where nothing shown names the number")
    parser.add_argument("--openings", help="openings.jsonl of an evidence file, to be compared with the chain")
    args = parser.parse_args()
    number = 0
    try:
        heads = read_heads(args.heads)
        after = millis(args.after) if args.after else None
        proof = Proof(heads, args.number, after, args.unnamed)
        with open(args.proof, encoding="ascii", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                line = line.removesuffix("\n")
                proof.first(line) if number == 1 else proof.line(line)
        fail_unless(number, "it is empty")
        number = 0
        told = proof.finish()
        if args.openings:
            told["compared"] = proof.compare(args.openings)
    except (Fault, ValueError, TypeError) as fault:
        print(json.dumps({"proven": False, "line": number, "fault": str(fault)}))
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(told, indent=1))
    return 0 if told["proven"] else 1


if __name__ == "__main__":
    sys.exit(main())
