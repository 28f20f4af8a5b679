"""What a notebook does with an export: opens both formats, and finds the same rows in them."""

import datetime
import json
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def main():
    folder = pathlib.Path(sys.argv[1])
    table = pq.read_table(folder / "decisions.parquet")
    lines = [json.loads(line) for line in (folder / "decisions.ndjson").read_text(encoding="utf-8").splitlines()]

    fields = {field.name: field.type for field in table.schema}
    assert fields["recorded_at"] == pa.timestamp("ms", tz="UTC"), fields["recorded_at"]
    assert fields["verdict"] == pa.string(), fields["verdict"]
    assert fields["dry_run"] == pa.bool_() and fields["sequence"] == pa.int64()
    for name in ("families", "rule_ids", "jurisdictions"):
        assert pa.types.is_list(fields[name]) and fields[name].value_type == pa.string(), fields[name]
    assert list(fields) == list(lines[0]), "the same columns in the same order"

    def plain(value):
        if isinstance(value, datetime.datetime):
            assert value.tzinfo is not None
            return value.astimezone(datetime.timezone.utc)
        return value

    def stamped(name, value):
        return datetime.datetime.fromisoformat(value) if value and name.endswith(("_at", "_until", "_by")) else value

    rows = [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]
    expected = [{name: stamped(name, value) for name, value in line.items()} for line in lines]
    assert rows == expected, (rows, expected)
    print(json.dumps({"rows": len(rows), "verdicts": [row["verdict"] for row in rows], "numbers": [row["number"] for row in rows]}))


main()
