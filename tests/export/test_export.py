"""Exports of events that this file sent, read back with DuckDB and compared with a recount of what was sent."""

import base64
import collections
import datetime
import json
import re
import time
from pathlib import Path

import duckdb
import pytest

FORMATS = ["parquet", "csv", "jsonl"]
DAY = datetime.timedelta(days=1)
TODAY = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
# Three days that are over, and stay over if midnight passes during the test.
FIRST = TODAY - 12 * DAY
DAYS = [FIRST, FIRST + DAY, FIRST + 2 * DAY]
HOSTILE = [
    "=cmd|' /C calc'!A0",
    'a "quoted", text;\nwith lines\r\nand more',
    "emoji 😀, ünïcode, \t tab, \\ backslash",
    "\u202e reversed \u0000 nul",
    "",
]


def name(day):
    return day.strftime("%Y-%m-%d")


def millis(day, second=0, ms=0):
    return int((day + datetime.timedelta(seconds=second)).timestamp()) * 1000 + ms


class Sent:
    """The events that were sent, as they are expected to be stored."""

    def __init__(self):
        self.records = []
        self.expected = []
        self.numbers = set()

    def add(self, id, channel, status, at, **more):
        """`at`: epoch milliseconds. `stored` is the status in the table."""
        spelled = {"sent": "Sent", "delivered": "Delivered", "read": "Read", "failed": "Failed", "clicked": "Clicked"}
        record = {
            "message_id": id,
            "channel": channel,
            "status": spelled[status],
            "event_time": at,
            **more,
        }
        self.records.append(record)
        self.expected.append((id, channel, status, at))
        if "mobile" in more:
            self.numbers.add(re.sub(r"\D", "", more["mobile"]))

    def of_days(self, days):
        wanted = {name(day) for day in days}
        return [e for e in self.expected if day_of(e[3]) in wanted]


def day_of(at):
    return datetime.datetime.fromtimestamp(at / 1000, datetime.timezone.utc).strftime("%Y-%m-%d")


@pytest.fixture(scope="module")
def sent(instance):
    sent = Sent()
    for d, day in enumerate(DAYS):
        for n in range(400 + 100 * d):
            mobile = f"9198{d}{n:07}"
            id = f"m-{d}-{n}" if n % 3 else f"api-337-{mobile}-{n}"
            common = {"mobile": mobile, "tags": [f"tag-{n % 5}"], "requestid": f"r-{n}"}
            # Many events of one second, and the first and last millisecond of the day.
            second, ms = (n % 7) * 3600, n % 1000
            channel = "SMS" if n % 4 == 0 else "RCS"
            sent.add(id, channel, "sent", millis(day, second), **common)
            if n % 2:
                remarks = HOSTILE[n % len(HOSTILE)] + f" call +91 98{d}{n:07} or %39%31{mobile[2:]}"
                sent.add(id, channel, "failed", millis(day, second + 1, ms), remarks=remarks, **common)
            else:
                sent.add(id, channel, "delivered", millis(day, second + 1, ms), undocumented={"to": [mobile]}, **common)
            if n % 10 == 0:
                # A click repeats: two of one message.
                for tap in range(2):
                    sent.add(id, channel, "clicked", millis(day, second + 2, tap), **common)
        edge = {"mobile": "919700000001"}
        sent.add(f"first-{d}", "RCS", "sent", millis(day), **edge)
        sent.add(f"last-{d}", "RCS", "sent", millis(day, 86399, 999), **edge)
    encoded = base64.b64encode(b"\x1c\x0b\x12919812399999").decode()
    sent.add(f"wamid.{encoded}", "WHATSAPP", "sent", millis(DAYS[0], 5), mobile="919812399999")
    for start in range(0, len(sent.records), 200):
        instance.post(sent.records[start : start + 200])
    # The marker of a rejected body is an item of the table.
    with pytest.raises(Exception, match="400"):
        instance.post([{"nothing": "known"}])
    return sent


def export(instance, output, *arguments, days=DAYS):
    span = ["--from", name(days[0]), "--to", name(days[-1])]
    return instance.run("export", *span, "--output", output, *arguments)


def relation(folder, format):
    """A DuckDB connection with the view `events` of an exported folder."""
    files = str(Path(folder) / f"*.{format}")
    read = {
        "parquet": f"read_parquet('{files}')",
        "csv": f"read_csv('{files}', header=true, quote='\"', escape='\"', sample_size=-1, max_line_size=20000000, parallel=false)",
        "jsonl": f"read_json('{files}', format='newline_delimited', maximum_object_size=20000000)",
    }[format]
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    connection.execute(f"CREATE TABLE events AS SELECT * FROM {read}")
    return connection


def events_of(connection, id="message_id"):
    return connection.execute(f"SELECT {id}, channel, status, epoch_ms(event_time) FROM events").fetchall()


def counts(events):
    return collections.Counter((day_of(at), channel, status) for _, channel, status, at in events)


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_equals_what_was_sent(instance, sent, format):
    output = f"full-{format}"
    printed = export(instance, output, "--format", format, "--numbers", "full")
    assert f"{len(sent.of_days(DAYS))} events of 3 days written" in printed
    connection = relation(instance.path / output, format)
    # Each event once, with its id, channel, status and millisecond.
    assert sorted(events_of(connection)) == sorted(sent.expected)
    # Counted by DuckDB: by day, channel and status.
    grouped = connection.execute(
        "SELECT strftime(event_time, '%Y-%m-%d'), channel, status, count(*) FROM events GROUP BY ALL"
    ).fetchall()
    assert {tuple(row[:3]): row[3] for row in grouped} == counts(sent.expected)
    types = {row[0]: row[1] for row in connection.execute("DESCRIBE events").fetchall()}
    assert list(types)[:6] == ["event_time", "received_at", "message_id", "message_key", "channel", "status"]
    assert len(types) == 35
    if format == "parquet":
        for time in ["event_time", "received_at", "expires_at"]:
            assert types[time] == "TIMESTAMP WITH TIME ZONE"
    # Texts arrive unchanged; CSV has an apostrophe before a formula.
    remarks = {id: text for id, text in connection.execute("SELECT message_id, remarks FROM events WHERE status = 'failed'").fetchall()}
    for record in sent.records:
        if record["status"] == "Failed":
            expected = record["remarks"]
            got = remarks[record["message_id"]]
            if format == "csv":
                got = got.replace("'=cmd", "=cmd")
            assert got.split() == expected.split(), record["message_id"]
    # Nested fields are JSON text.
    nested = connection.execute(
        "SELECT count(*) FROM events WHERE json_extract_string(extra, '$.undocumented.to[0]') = CAST(recipient AS VARCHAR)"
    ).fetchone()[0]
    assert nested == sum("undocumented" in record for record in sent.records)
    keys = connection.execute("SELECT count(DISTINCT message_key) FROM events").fetchone()[0]
    assert keys == len({id for id, *_ in sent.expected})


def test_every_file_has_the_events_of_its_day_by_time(instance, sent):
    export(instance, "by-day", "--format", "parquet", "--numbers", "full")
    for day in DAYS:
        file = instance.path / "by-day" / f"{name(day)}.parquet"
        times = [row[0] for row in duckdb.execute(f"SELECT epoch_ms(event_time) FROM '{file}'").fetchall()]
        assert times == sorted(times)
        assert len(times) == len(sent.of_days([day]))
        assert {day_of(at) for at in times} == {name(day)}


@pytest.mark.parametrize("format", FORMATS)
def test_a_scan_writes_the_same_events(instance, sent, format):
    output = f"scan-{format}"
    printed = export(instance, output, "--format", format, "--numbers", "full", "--scan")
    assert "read with a scan of the table" in printed
    connection = relation(instance.path / output, format)
    assert sorted(events_of(connection)) == sorted(sent.expected)


def spellings(value):
    """A value, and what is encoded in it."""
    yield value
    yield re.sub(r"%([0-9a-fA-F]{2})", lambda m: chr(int(m.group(1), 16)), value)
    for run in re.findall(r"[A-Za-z0-9+/_-]{12,}", value):
        for start in range(4):
            part = run[start:]
            part = part[: len(part) // 4 * 4]
            try:
                yield base64.b64decode(part.replace("-", "+").replace("_", "/")).decode("latin-1")
            except ValueError:
                pass


@pytest.mark.parametrize("format", FORMATS)
def test_a_masked_export_has_no_number_and_joins_messages(instance, sent, format):
    output = f"masked-{format}"
    # Masked is the default.
    export(instance, output, "--format", format)
    connection = relation(instance.path / output, format)
    assert counts(events_of(connection)) == counts(sent.expected)
    # The files as they are: names, footers with minima and maxima, and the list.
    raw = b"".join(file.read_bytes() for file in sorted((instance.path / output).iterdir()))
    # And the values, also those in compressed pages; without separators, so that no spelling hides a number.
    rows = connection.execute("SELECT COLUMNS(*)::VARCHAR FROM events").fetchall()
    values = {value for row in rows for value in row if value is not None}
    # Without country code too.
    numbers = {number[-10:] for number in sent.numbers}
    assert len(numbers) > 1000
    for text in [raw.decode("latin-1"), *values]:
        for spelling in spellings(text) if len(text) < 100_000 else [text]:
            for digits in [spelling, re.sub(r"[^0-9]", "", spelling)]:
                windows = {digits[i : i + 10] for i in range(len(digits) - 9)}
                assert not windows & numbers, text[:200]
    # The events of a message join without its id.
    by_key = collections.Counter(
        collections.Counter(row[0] for row in events_of(connection, "message_key")).values()
    )
    by_id = collections.Counter(collections.Counter(event[0] for event in sent.expected).values())
    assert by_key == by_id


def test_an_interrupted_export_continues(instance, sent):
    folder = instance.path / "killed"
    arguments = ["export", "--from", name(DAYS[0]), "--to", name(DAYS[2]), "--format", "jsonl", "--numbers", "full", "--output", "killed"]
    process = instance.start(*arguments)
    # Killed while the second or third day is written.
    started = time.monotonic()
    while not any((folder / f"{name(day)}.jsonl.part").exists() for day in DAYS[1:]):
        assert process.poll() is None, "the export ended before it was killed"
        assert time.monotonic() - started < 60
    process.kill()
    process.communicate()
    finished = sorted(folder.glob("*.jsonl"))
    assert 1 <= len(finished) < 3
    assert list(folder.glob("*.part"))
    before = {file: file.stat().st_mtime_ns for file in finished}
    printed = instance.run(*arguments)
    assert f"{len(finished)} days were finished before" in printed
    assert {file: file.stat().st_mtime_ns for file in finished} == before
    assert not list(folder.glob("*.part"))
    assert sorted(events_of(relation(folder, "jsonl"))) == sorted(sent.expected)
    # Complete: nothing is read again, unless asked.
    assert "0 events of 0 days written" in instance.run(*arguments)
    assert f"{len(sent.expected)} events of 3 days written" in instance.run(*arguments, "--again")
    # A file that changed is written again.
    finished[0].write_text("{}\n")
    assert "events of 1 days written" in instance.run(*arguments)
    assert sorted(events_of(relation(folder, "jsonl"))) == sorted(sent.expected)
    # Other settings do not mix with these files.
    masked = instance.start(*(argument if argument != "full" else "masked" for argument in arguments))
    _, error = masked.communicate()
    assert masked.returncode == 1 and "other settings" in error


def test_a_day_that_is_not_over_is_read_again(instance):
    record = {"message_id": "now-1", "channel": "RCS", "status": "Sent", "event_time": int(time.time() * 1000)}
    instance.post([record])
    # Two days, because midnight may pass.
    arguments = ["export", "--from", name(TODAY), "--to", name(TODAY + DAY), "--format", "csv", "--output", "now"]
    assert "the day is not over" in instance.run(*arguments)
    instance.post([{**record, "message_id": "now-2"}])
    assert "2 events of" in instance.run(*arguments)
