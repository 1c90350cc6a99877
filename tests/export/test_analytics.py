"""The Athena queries of template.yaml, translated to DuckDB, on files in the layout of DynamoDB's exports.

Athena itself, its JSON reader and the exports are not tested: they need an AWS account. Athena's reader ignores the case
of names, so the files of this test have names in lower case.
"""

import datetime
import gzip
import json
import re
import textwrap
from pathlib import Path

import duckdb
import pytest
import sqlglot

TEMPLATE = (Path(__file__).parents[2] / "template.yaml").read_text()
NOON = 1_795_262_400_000  # 2026-11-21T12:00:00Z, a Saturday


def query(name):
    """A named query of the template, for DuckDB."""
    found = re.search(rf"      Name: {name}\n(?:      [DW].*\n)+      QueryString: \|\n((?:        .*\n)+)", TEMPLATE)
    return sqlglot.transpile(textwrap.dedent(found.group(1)), read="athena", write="duckdb")[0]


def item(id, channel, status, at, **more):
    texts = {"message_id": id, "status_key": f"{channel}#{status}", "channel": channel, "status": status, **more}
    image = {name: {"s": value} for name, value in texts.items()}
    return image | {"event_time": {"n": str(at)}, "received_at": {"n": str(at)}, "tags": {"l": [{"s": "diwali"}]}}


def keys(image):
    return {name: image[name] for name in ("message_id", "status_key")}


def inserted(image):
    return {"metadata": {"writetimestampmicros": {"n": "1"}}, "keys": keys(image), "newimage": image}


def deleted(image):
    return {"metadata": {"writetimestampmicros": {"n": "2"}}, "keys": keys(image)}


@pytest.fixture
def bucket(tmp_path):
    def write(hour, rows, export="AWSDynamoDB"):
        folder = tmp_path / "events" / f"hour={hour}" / export
        (folder / "data").mkdir(parents=True, exist_ok=True)
        with gzip.open(folder / "data" / f"{len(rows)}.json.gz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        # An export also writes manifests.
        (folder / "manifest-summary.json").write_text('{"version":"2023-08-01","itemCount":3}\n')

    write.path = tmp_path
    return write


def connection(bucket):
    types = set(re.findall(r'Type: "(struct<message_id:.*channel.*)"', TEMPLATE))
    assert len(types) == 1, "new image and item have the same type"
    image = types.pop().replace("array<struct<s:string>>", "STRUCT(s VARCHAR)[]")
    image = image.replace("struct<", "STRUCT(").replace(">", ")").replace(":", " ").replace("string", "VARCHAR")
    key = "STRUCT(message_id STRUCT(s VARCHAR), status_key STRUCT(s VARCHAR))"
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    columns = f"{{keys: '{key}', newimage: '{image}', item: '{image}'}}"
    # `hour` is the partition that Athena projects.
    connection.execute(
        f"""CREATE VIEW changes AS SELECT * EXCLUDE filename FROM read_json('{bucket.path}/events/**/*.json*',
        columns={columns}, format='newline_delimited', hive_partitioning=true, hive_types={{'hour': VARCHAR}}, filename=true)"""
    )
    connection.execute(query("create the view events"))
    return connection


def events(connection):
    return connection.execute("SELECT message_id, status FROM events ORDER BY 1, 2").fetchall()


def test_the_view_has_each_event_that_the_table_still_has(bucket):
    a, b, c = (item(id, "RCS", "sent", NOON) for id in ("a", "b", "c"))
    marker = {"message_id": {"s": "rejected#0a"}, "status_key": {"s": "event-webhook"}}
    bucket("2026-11-21-12", [inserted(a), inserted(b), inserted(c), inserted(marker)])
    assert events(connection(bucket)) == [("a", "sent"), ("b", "sent"), ("c", "sent")]
    # An event that is erased, or expires, disappears with the next hour.
    bucket("2026-11-21-13", [deleted(b), deleted(marker)])
    assert events(connection(bucket)) == [("a", "sent"), ("c", "sent")]
    # A full export of an hour beside its changes: c was deleted within this hour.
    bucket("2026-11-21-14", [deleted(c), inserted(item("d", "SMS", "sent", NOON))])
    bucket("2026-11-21-14", [{"item": a}, {"item": item("d", "SMS", "sent", NOON)}], "AWSDynamoDB/0123-abcd")
    assert events(connection(bucket)) == [("a", "sent"), ("d", "sent")]
    # The same event is stored again.
    bucket("2026-11-21-15", [inserted(b)])
    assert events(connection(bucket)) == [("a", "sent"), ("b", "sent"), ("d", "sent")]
    row = connection(bucket).execute("SELECT channel, event_time, tags FROM events WHERE message_id = 'd'").fetchone()
    assert row[0] == "SMS" and row[1].timestamp() * 1000 == NOON and row[2] == ["diwali"]


def test_the_named_queries_answer_their_questions(bucket):
    minute = 60_000
    rows = [item(f"m-{n}", "RCS", "delivered", NOON) for n in range(11)]
    rows += [item(f"m-{n}", "RCS", "read", NOON + n * minute) for n in range(11)]
    rows += [item(f"f-{n}", "RCS", "failed", NOON, remarks="No RCS" if n else "Expired") for n in range(4)]
    rows += [item("late", "SMS", "sent", NOON + 2 * 86_400_000)]
    bucket("2026-11-21-12", [inserted(row) for row in rows])
    db = connection(bucket)
    weeks = db.execute(query("events per week")).fetchall()
    day = lambda value: value.date() if isinstance(value, datetime.datetime) else value
    assert [(day(week).isoformat(), *rest) for week, *rest in weeks] == [
        ("2026-11-16", "RCS", "delivered", 11),
        ("2026-11-16", "RCS", "failed", 4),
        ("2026-11-16", "RCS", "read", 11),
        ("2026-11-23", "SMS", "sent", 1),
    ]
    (channel, messages, median, p90), = db.execute(query("minutes from delivery to read")).fetchall()
    # Both engines approximate: 9 minutes, or between 9 and 10.
    assert (channel, messages, median) == ("RCS", 11, 5.0) and 9 <= p90 < 10
    reasons = db.execute(query("reasons of failures by day")).fetchall()
    assert [row[1:] for row in reasons] == [("RCS", "No RCS", 3), ("RCS", "Expired", 1)]
