"""The list part of a scrub alone, in DuckDB: which rows have a number that is on the list?

    in_duckdb.py copy ROWS OUT           the same rows, as Parquet or CSV
    in_duckdb.py join ROWS LIST OUT      the rows with a column `listed`, a copy of ROWS otherwise
    in_duckdb.py compare OURS THEIRS     an output of `ringfence scrub` beside one of `join`, row by row

Rows are CSV or Parquet, as their names say, and have a column `id` and a column `phone` of numbers in E.164; LIST is Parquet
with one column `number`, the digits. DuckDB has its defaults: all cores, most of the memory if it wants it, and rows that are
joined come in any order. Prints one line of JSON: what was counted, seconds, processor seconds, and the most memory in megabytes.
"""

import json
import resource
import sys
import time

import duckdb

REASON = "%The number is on us.dnc.national.%"


def rows(path):
    """The rows of a file. CSV stays text: what is no number must not stop the rest, and `+` must stay."""
    return f"read_parquet('{path}')" if path.endswith(".parquet") else f"read_csv('{path}', header=true, all_varchar=true)"


def form(path):
    return "FORMAT parquet" if path.endswith(".parquet") else "FORMAT csv, HEADER"


def timed(statement):
    """Runs it: how long it took, the processor time and the memory that this process has taken so far."""
    began = time.monotonic()
    duckdb.execute(statement)
    seconds, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    # Kilobytes, on Linux.
    return {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss // 1024}


def copy(source, out):
    return timed(f"COPY (FROM {rows(source)}) TO '{out}' ({form(out)})")


def join(source, numbers, out):
    took = timed(
        f"""COPY (
            SELECT theirs.*, list.number IS NOT NULL AS listed
            FROM {rows(source)} AS theirs
            LEFT JOIN read_parquet('{numbers}') AS list ON TRY_CAST(ltrim(theirs.phone, '+') AS BIGINT) = list.number
        ) TO '{out}' ({form(out)})"""
    )
    count, listed = duckdb.execute(
        f"SELECT count(*), count(*) FILTER (CAST(listed AS BOOLEAN)) FROM {rows(out)}"
    ).fetchone()
    return {"rows": count, "listed": listed, **took}


def compare(ours, theirs):
    # The message is that of the strongest reason, which another rule may have; the families are those of all.
    listed, differing, sample = duckdb.execute(
        f"""WITH
            ours AS (
                SELECT id, ringfence_verdict = 'DENY' AND ringfence_reasons LIKE '%REGISTRY%' AS denied,
                    coalesce(ringfence_message LIKE '{REASON}', false) AS told, ringfence_message AS message
                FROM {rows(ours)}
            ),
            theirs AS (SELECT id, CAST(listed AS BOOLEAN) AS listed FROM {rows(theirs)}),
            both_sides AS (FROM ours FULL JOIN theirs USING (id))
        SELECT count(*) FILTER (listed AND denied),
            count(*) FILTER ((listed AND denied IS DISTINCT FROM true) OR (told AND listed IS DISTINCT FROM true)),
            any_value(message) FILTER (listed AND NOT told)
        FROM both_sides"""
    ).fetchone()
    return {"listed": listed, "differing": differing, "sample": sample}


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    found = {"copy": copy, "join": join, "compare": compare}[what](*paths)
    print(json.dumps({**found, "duckdb": duckdb.__version__}))
