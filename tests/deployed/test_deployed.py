"""Deploys, calls, disrupts, updates and deletes a stack, in this order."""

import hmac
import io
import json
import os
import re
import subprocess
import zipfile
import zlib
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote

import pytest

import check as grafana
from alarms import Alarms
from stack import AUTH_PARAMETER, RECEIVERS, SIGN_IN_PARAMETER, STACK, eventually, logical

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
EXAMPLES = ROOT / "infra" / "examples"
GRAFANA = ROOT / "infra" / "grafana"
SAMPLES = Path(__file__).parents[1] / "src" / "samples.rs"
FAN_OUT_OUTPUTS = ["FanOutFailuresUrl", "EventBusName"]
NOTHING = {"received": 0, "stored": 0, "duplicates": 0, "queued": 0, "dead_lettered": 0}


def samples():
    """All samples, one event each, as (function, name, body). A folder belongs to the function whose name begins its name."""
    return [(function, f"{folder.name}/{file.name}", file.read_bytes())
            for folder in sorted(FIXTURES.iterdir())
            for function in RECEIVERS.values() if folder.name.startswith(function)
            for file in sorted(folder.glob("*.json"))]


def sample_keys():
    """Message id and status key of each sample's event, by its name: literals in the list of the samples."""
    keys = SAMPLES.read_text().split('const KEYS: &str = "', 1)[1].split('";', 1)[0]
    return {f"{name}.json": (message_id, status_key) for name, message_id, status_key in map(str.split, keys.strip().splitlines())}


def events(name, count=1):
    """A body in Netcore's format with one event for each of `count` messages."""
    return json.dumps([{
        "message_id": f"{name}-{number}", "mobile": f"9190000{number:05}", "status": "Sent", "channel": "RCS",
        "event_time": 1767225600 + number, "callbackdata": "order-7", "requestid": f"request-{name}", "tags": ["spring"],
        "type": "Text", "last_channel": "", "remarks": "", "click_data": {}} for number in range(count)]).encode()


def day(item):
    """The UTC day of an event's time."""
    return datetime.fromtimestamp(int(item["event_time"]["N"]) / 1000, timezone.utc).strftime("%Y-%m-%d")


def counted(stack):
    """Number of events by day, channel and status, from the counters of `projector`."""
    found = Counter()

    def add(series, period, counters):
        kind_of_period, day, *_ = period.split("#")
        # A day is spread over several items.
        if series.endswith("#all") and kind_of_period == "day":
            for name, count in counters.items():
                kind, *words = map(unquote, name.split("|"))
                if kind == "s":
                    found[day, *words] += count

    items = {(item["series"]["S"], item["period"]["S"]): item for item in stack.items("RollupsTableName")}
    for (series, period), item in items.items():
        if period.startswith("day#"):
            add(series, period, {name: int(value["N"]) for name, value in item.items() if name.startswith("s|")})
        elif series.endswith("#pending"):
            # The counts of a batch. Those that the last merge contains are missing only in items without its number.
            merge = items.get((series.replace("#pending", "#merge"), "-"), {})
            is_merged = period in merge.get("keys", {"SS": []})["SS"]
            for of_series, periods in json.loads(zlib.decompress(item["counts"]["B"])).items():
                for of_period, counters in periods.items():
                    if not is_merged or items.get((of_series, of_period), {}).get("merge") != merge["number"]:
                        add(of_series, of_period, counters)
    return found


def recounted(stack):
    """The same, from the events table. A marker of a rejected body has no channel."""
    return Counter((day(item), item["channel"]["S"], "opened_by_machine" if "opened_by" in item else item["status"]["S"])
                   for item in stack.items() if "channel" in item)


def answer(**counts):
    return NOTHING | counts


def left(stack):
    """What exists of the stack, by kind."""
    look = {
        "functions": lambda: stack.client("lambda").list_functions()["Functions"],
        "event sources": lambda: stack.client("lambda").list_event_source_mappings()["EventSourceMappings"],
        "tables": lambda: stack.client("dynamodb").list_tables()["TableNames"],
        "queues": lambda: stack.client("sqs").list_queues().get("QueueUrls", []),
        "log groups": lambda: stack.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"],
        "alarms": lambda: stack.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "dashboards": lambda: stack.client("cloudwatch").list_dashboards()["DashboardEntries"],
        "topics": lambda: stack.client("sns").list_topics()["Topics"],
        "roles": stack.roles,
    }
    return {name: found for name, look in look.items() if (found := look())}


def test_a_failed_creation_leaves_nothing(stack):
    """With the default of ProtectData. A second URL of the dashboard fails after tables, queues and functions exist."""
    stack.put_policy([stack.token], [stack.secret])
    stack.package()
    broken = stack.scratch / "broken.yaml"
    second = "\nResources:\n  SecondUrl:\n    Type: AWS::Lambda::Url\n    Properties: {TargetFunctionArn: !Ref DashboardFunction, AuthType: AWS_IAM}\n"
    packaged = (stack.scratch / "packaged.yaml").read_text()
    assert packaged.count("\nResources:\n") == 1
    broken.write_text(packaged.replace("\nResources:\n", second))
    code, output = stack.deploy(broken)
    assert code != 0, output
    pages = stack.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=STACK)
    told = [(event["LogicalResourceId"], event["ResourceStatus"]) for page in pages for event in page["StackEvents"]]
    assert {("EventsTable", status) for status in ["CREATE_COMPLETE", "DELETE_COMPLETE"]} <= set(told)
    assert told.index(("EventsTable", "DELETE_COMPLETE")) < told.index(("EventsTable", "CREATE_COMPLETE")), "the newest is first"
    assert left(stack) == {}
    stack.delete_only(STACK)


def test_the_template_deploys(stack):
    code, output = stack.deploy()
    assert code == 0, output
    for name, function in RECEIVERS.items():
        assert stack.alias(function) == "1"
        assert stack.outputs[f"{name}UrlUnqualified"] != stack.url(function)
    assert stack.items() == []


def test_a_new_stack_is_silent_until_its_first_event(stack):
    alarms = Alarms(stack)
    assert alarms.is_on("silence")
    # Through both URLs, with the same policy, into the same table.
    for url, result in [(stack.outputs["EventWebhookUrlUnqualified"], "stored"), (stack.url("event-webhook"), "duplicates")]:
        told = stack.post_to(url, events("both-urls"))
        assert (told.status, told.json()) == (200, answer(received=1, **{result: 1}))
    definition = alarms.definition("silence")
    assert definition["Period"] * definition["EvaluationPeriods"] == 3 * 24 * 3600
    assert alarms.extract()["Stored"] == 1
    assert not alarms.is_on("silence")
    assert not alarms.is_on("silence", later=70 * 3600)
    assert alarms.is_on("silence", later=73 * 3600)
    for name in ["dead-letters", "new-dead-letters", "old-dead-letters", "policy", "projector-behind", "unauthorised"]:
        assert not alarms.is_on(name), name


@pytest.mark.parametrize("function", RECEIVERS.values())
def test_every_url_responds_to_get(stack, function):
    for method in ["HEAD", "GET"]:
        assert stack.call(stack.url(function), method).status == 200
    refused = stack.call(stack.url(function), "PUT")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, POST")


def keys(items):
    """Message id and status key of each item."""
    return {(item["message_id"]["S"], item["status_key"]["S"]) for item in items}


def test_every_sample_is_stored_once(stack):
    before = keys(stack.items())
    for function, name, body in samples():
        answered = stack.post(function, body)
        assert (answered.status, answered.json()) == (200, answer(received=1, stored=1)), name
    expected = sample_keys()
    assert set(expected) == {name for _, name, _ in samples()}
    assert keys(stack.items()) - before == set(expected.values())


def test_repeated_samples_are_duplicates(stack):
    before = sorted(stack.items(), key=str)
    for function, name, body in samples():
        answered = stack.post_signed(function, body)
        assert (answered.status, answered.json()) == (200, answer(received=1, duplicates=1)), name
    assert sorted(stack.items(), key=str) == before


def test_twenty_concurrent_posts_store_one_event(stack):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: stack.post("event-webhook", events("at-once")), range(20)))
    assert [a.status for a in answers] == [200] * 20
    assert sum(a.json()["stored"] for a in answers) == 1
    assert sum(a.json()["duplicates"] for a in answers) == 19
    assert len(stack.events_of("at-once-0")) == 1


@pytest.mark.parametrize("function", RECEIVERS.values())
def test_a_wrong_token_stores_nothing(stack, function):
    for answered in [stack.post(function, events("forged"), token="guessed"),
                     stack.call(stack.url(function), body=events("forged"))]:
        assert answered.status == 401, answered
    assert stack.events_of("forged-0") == []
    assert stack.depth("RetryQueueUrl") == stack.depth("DeadLetterQueueUrl") == 0


def test_an_unreadable_body_is_dead_lettered(stack):
    answered = stack.post("event-webhook", b'{"not": "complete"')
    assert answered.status == 400
    [message] = stack.take("DeadLetterQueueUrl")
    dead_letter = json.loads(message["Body"])
    assert (dead_letter["reason"], dead_letter["function"]) == ("malformed", "event-webhook")
    assert dead_letter["body"] == '{"not": "complete"'
    assert message["MessageAttributes"]["reason"]["StringValue"] == "malformed"


def test_other_content_with_the_same_key_is_a_conflict(stack):
    first = events("conflict")
    assert stack.post("event-webhook", first).json() == answer(received=1, stored=1)
    second = first.replace(b'"remarks": ""', b'"remarks": "something else"')
    assert stack.post("event-webhook", second).json() == answer(received=1, dead_lettered=1)
    [message] = stack.take("DeadLetterQueueUrl")
    dead_letter = json.loads(message["Body"])
    assert dead_letter["reason"] == "conflict"
    assert "remarks" not in stack.events_of("conflict-0")[0]


def test_events_that_cannot_be_stored_are_queued_and_stored_by_redrive(stack):
    # redrive is paused, so that the message is visible in the queue.
    functions = stack.client("lambda")
    [source] = functions.list_event_source_mappings(FunctionName=f"{STACK}-redrive")["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=source["UUID"], Enabled=False)
    before = stack.change_environment("event-webhook", AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1:9")
    answered = stack.post("event-webhook", events("queued", 25))
    assert (answered.status, answered.json()) == (200, answer(received=25, queued=25))
    assert answered.took < 8.5, answered
    assert stack.depth("RetryQueueUrl") >= 1
    assert stack.events_of("queued-0") == []

    stack.change_environment("event-webhook", **before)
    functions.update_event_source_mapping(UUID=source["UUID"], Enabled=True)
    eventually(lambda: stack.depth("RetryQueueUrl"), lambda depth: depth == 0)
    assert all(len(stack.events_of(f"queued-{number}")) == 1 for number in range(25))
    assert stack.post("event-webhook", events("queued", 25)).json() == answer(received=25, duplicates=25)
    assert stack.depth("DeadLetterQueueUrl") == 0


def test_a_poison_message_moves_to_the_dead_letter_queue(stack):
    sqs, queue = stack.client("sqs"), stack.outputs["RetryQueueUrl"]
    stored = len(stack.items())
    # A retry after two seconds instead of six minutes.
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "2"})
    sqs.send_message(QueueUrl=queue, MessageBody="not a letter")
    eventually(lambda: stack.depth("DeadLetterQueueUrl"), lambda depth: depth == 1)
    [message] = stack.take("DeadLetterQueueUrl")
    assert message["Body"] == "not a letter"
    assert stack.depth("RetryQueueUrl") == 0
    assert len(stack.items()) == stored
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "360"})


def test_the_stream_reaches_the_counters(stack):
    expected = recounted(stack)
    assert sum(expected.values()) > 90
    eventually(lambda: counted(stack), lambda found: found == expected)


def test_the_dashboard_is_private(stack):
    url = stack.outputs["DashboardUrl"]
    for path in ["/", "/healthz", "/api/session"]:
        assert stack.call(url, "GET", path).status == 403
    health = stack.call(url, "GET", "/healthz", signed=True)
    assert (health.status, health.json()) == (200, {"status": "ok"})
    page = stack.call(url, "GET", "/", signed=True)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_dashboard_shows_a_message(stack):
    [sent] = json.loads((FIXTURES / "event-webhook" / "read.json").read_bytes())
    path = f"/api/messages/{sent['message_id']}"
    message = stack.call(stack.outputs["DashboardUrl"], "GET", path, signed=True).json()
    assert (message["state"], message["recipient"], len(message["events"])) == ("read", sent["mobile"], 1)
    assert stack.call(stack.outputs["DashboardUrl"], "GET", "/api/messages/unknown", signed=True).status == 404


def test_the_counts_of_the_dashboard_match_the_events(stack):
    year = {"from": "2025-01-01", "to": "2025-12-31"}
    summary = stack.call(stack.outputs["DashboardUrl"], "GET", "/api/summary", query=year, signed=True).json()
    expected = Counter({key: n for key, n in recounted(stack).items() if key[0].startswith("2025-")})
    assert Counter({(c["day"], c["channel"], c["status"]): c["count"] for c in summary["counts"]}) == expected
    assert len(expected) > 3


def test_the_grafana_dashboard_matches_the_api(stack):
    url = stack.outputs["DashboardUrl"]
    document = stack.call(url, "GET", "/openapi.json", signed=True).json()
    dashboard = json.loads((GRAFANA / "dashboard.json").read_text())
    assert grafana.problems(dashboard, document) == []
    for fault, wrong in [('"/api/summary"', '"/api/sums"'), ('"key": "tag"', '"key": "label"'),
                         ('"root_selector": "funnel"', '"root_selector": "tunnel"'), ('"retry.visible"', '"retry.seen"')]:
        broken = json.dumps(dashboard).replace(fault, wrong)
        assert len(grafana.problems(json.loads(broken), document)) > 0, wrong

    year = {"${__from:date:YYYY-MM-DD}": "2025-01-01", "${__to:date:YYYY-MM-DD}": "2025-12-31"}
    for title, query in grafana.queries(dashboard):
        parameters = {p["key"]: year.get(p["value"], "") for p in query["url_options"]["params"]}
        rows = stack.call(url, "GET", query["url"], query=parameters, signed=True).json()
        for name in filter(None, query["root_selector"].split(".")):
            rows = rows[name]
        # Hours are empty for such a long range.
        assert rows or query["root_selector"] == "hours", title
        for row in rows if isinstance(rows, list) else [rows]:
            for column in query["columns"]:
                value = row
                for name in column["selector"].split("."):
                    value = value[name]
                assert value is not None, (title, column)


def test_a_rotated_secret_works_without_a_deployment(stack):
    old, stack.token = stack.token, os.urandom(16).hex()
    stack.put_policy([stack.token], [stack.secret])
    # AuthRefreshSeconds is 10 here.
    eventually(lambda: stack.post("event-webhook", events("rotated")).status, lambda status: status == 200, seconds=15)
    assert stack.post("event-webhook", events("rotated"), token=old).status == 401


def test_presets_handshakes_and_parameters(stack):
    secret, svix = os.urandom(16).hex(), os.urandom(24)
    accept = [
        {"type": "header", "name": "x-netcore-token", "values": [stack.token]},
        {"preset": "meta", "secrets": [secret], "verify_token": f"verify-{secret}"},
        {"preset": "google-rbm", "secrets": [f"google-{secret}"]},
        {"preset": "sinch", "secrets": [f"sinch-{secret}"]},
        {"preset": "360dialog", "secrets": [f"dialog-{secret}"]},
        {"preset": "paytm-pi", "secrets": [f"paytm-{secret}"]},
        {"preset": "svix", "secrets": ["whsec_" + b64encode(svix).decode()]},
        {"type": "query", "name": "token", "values": [f"query-{secret}"]},
    ]
    stack.client("ssm").put_parameter(Name=AUTH_PARAMETER, Type="SecureString", Overwrite=True, Value=json.dumps({"accept": accept}))
    hub = {"hub.mode": "subscribe", "hub.verify_token": f"verify-{secret}", "hub.challenge": "1158201444"}

    def ask(function, method="GET", query=None, headers=None, body=b""):
        answer = stack.call(stack.url(function), method, query=query, headers=headers, body=body)
        return answer.status, answer.body if answer.status == 200 else b""

    # AuthRefreshSeconds is 10 here.
    eventually(lambda: ask("whatsapp-cloud", query=hub), lambda told: told == (200, b"1158201444"), seconds=15)
    assert ask("whatsapp-cloud", query=hub | {"hub.verify_token": "verify"})[0] == 401
    check = json.dumps({"clientToken": f"google-{secret}", "secret": "0123456789"}).encode()
    eventually(lambda: ask("rbm-event", "POST", body=check), lambda told: told == (200, b"0123456789"), seconds=15)
    assert ask("rbm-event", "POST", body=check.replace(b"google-", b"other-"))[0] == 401

    def mac(key, text, algorithm="sha256"):
        return hmac.new(key.encode() if isinstance(key, str) else key, text, algorithm)

    now = str(int(datetime.now(timezone.utc).timestamp()))
    data = (FIXTURES / "wild" / "vi-google-rcs" / "delivered-bare.json").read_bytes()
    push = json.dumps({"message": {"data": b64encode(data).decode(), "messageId": "1"}, "subscription": "s"}).encode()
    body = {name: events(f"preset-{name}") for name in ["sinch", "360dialog", "paytm", "svix"]}
    cloud = (FIXTURES / "wild" / "meta-whatsapp" / "status-delivered-with-phone.json").read_bytes()
    signed = [
        ("whatsapp-cloud", cloud, {"x-hub-signature-256": f"sha256={mac(secret, cloud).hexdigest()}"}),
        ("rbm-event", push, {"x-goog-signature": b64encode(mac(f"google-{secret}", data, "sha512").digest()).decode()}),
        ("event-webhook", body["sinch"], {
            "x-sinch-webhook-signature": b64encode(mac(f"sinch-{secret}", body["sinch"] + f".nonce-1.{now}".encode()).digest()).decode(),
            "x-sinch-webhook-signature-nonce": "nonce-1", "x-sinch-webhook-signature-timestamp": now}),
        ("event-webhook", body["360dialog"], {"x-360dialog-signature": mac(f"dialog-{secret}", body["360dialog"]).hexdigest()}),
        ("event-webhook", body["paytm"], {"authorization": f"Bearer paytm-{secret}"}),
        ("event-webhook", body["svix"], {
            "svix-id": "msg_1", "svix-timestamp": now,
            "svix-signature": "v1," + b64encode(mac(svix, f"msg_1.{now}.".encode() + body["svix"]).digest()).decode()}),
    ]
    eventually(lambda: ask("event-webhook", "POST", headers=signed[4][2], body=b"[]")[0], lambda status: status == 200, seconds=15)
    for function, content, headers in signed:
        stored_now = stack.call(stack.url(function), headers=headers, body=content)
        assert (stored_now.status, stored_now.json()) == (200, answer(received=1, stored=1)), (function, headers)
        first = next(iter(headers))
        assert stack.call(stack.url(function), headers=headers | {first: headers[first][:-4] + "0000"}, body=content).status == 401

    # A report by GET, with its token in the URL: the token is not stored.
    report = {"reqid": "deployed-1", "mobile": "+91 90000 00001", "status": "DELIVERED", "token": f"query-{secret}", "circle": "Delhi"}
    eventually(lambda: ask("sms-delivery", query=report), lambda told: told[0] == 200, seconds=15)
    [item] = [item for item in stack.items() if item["message_id"]["S"] == "deployed-1"]
    assert (item["recipient"]["S"], item["status"]["S"], item["channel"]["S"]) == ("919000000001", "delivered", "SMS")
    assert f"query-{secret}" not in json.dumps(item)
    assert ask("sms-delivery", query=report | {"token": "query"})[0] == 401
    assert ask("event-webhook", query=report)[0] == 405
    # The earlier policy for the following tests.
    stack.put_policy([stack.token], [stack.secret])
    eventually(lambda: ask("event-webhook", "POST", headers=signed[4][2], body=b"[]")[0], lambda status: status == 401, seconds=15)


def listed(stack, path, **query):
    """Names of the attributes of each event in a list, by the event's key; follows the cursor."""
    events, cursor = {}, None
    while True:
        page = query | ({"cursor": cursor} if cursor else {})
        answer = stack.call(stack.outputs["DashboardUrl"], "GET", path, query=page, signed=True)
        assert answer.status == 200, answer.body
        for event in answer.json()["events"]:
            events[event["message_id"], event["status_key"]] = set(event)
        cursor = answer.json()["cursor"]
        if not cursor:
            return events


def stored(stack, name, prefix):
    """The same from the items of the table with this attribute."""
    items = [item for item in stack.items() if item.get(name, {"S": ""})["S"].startswith(prefix)]
    return {(item["message_id"]["S"], item["status_key"]["S"]): set(item) for item in items}


def test_lists_contain_whole_items(stack):
    [sample] = json.loads((FIXTURES / "event-webhook" / "read.json").read_bytes())
    number = sample["mobile"]
    assert len(stored(stack, "recipient", number)) > 5
    assert listed(stack, f"/api/recipients/{number}", limit=3) == stored(stack, "recipient", number)
    day = sorted(item["day_shard"]["S"] for item in stack.items() if "day_shard" in item)[0][:10]
    assert stored(stack, "day_shard", day)
    assert listed(stack, "/api/events", day=day) == stored(stack, "day_shard", day)


def test_the_index_of_an_earlier_stack_becomes_lean(stack):
    """As in docs/deploy.md."""
    [sample] = json.loads((FIXTURES / "event-webhook" / "read.json").read_bytes())
    path, url = f"/api/recipients/{sample['mobile']}", stack.outputs["DashboardUrl"]
    before, names = sorted(stack.items(), key=str), dict(stack.outputs)
    expected = listed(stack, path)
    code, output = stack.deploy(RecipientIndex="false")
    assert code == 0, output
    missing = stack.call(url, "GET", path, signed=True)
    assert (missing.status, "index" in missing.json()["error"]) == (404, True), missing.body
    assert stack.call(url, "GET", f"/api/messages/{sample['message_id']}", signed=True).status == 200
    code, output = stack.deploy(RecipientIndex="lean")
    assert code == 0, output
    projections = {index["IndexName"]: index["Projection"]["ProjectionType"] for index in
                   stack.client("dynamodb").describe_table(TableName=names["EventsTableName"])["Table"]["GlobalSecondaryIndexes"]}
    assert projections == {"recipient-index": "KEYS_ONLY", "day-index": "INCLUDE"}
    assert listed(stack, path) == expected
    assert (stack.outputs, sorted(stack.items(), key=str)) == (names, before)


def test_alarms_and_log_lines_have_the_same_dimension(stack):
    alarms = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
    alarms = {alarm["MetricName"]: alarm["Dimensions"] for alarm in alarms if alarm.get("Namespace") == "NetcoreWebhooks"}
    assert set(alarms) == {"FailedMerges", "PolicyRefreshFailures", "RetryAge", "Stored", "TableRejections", "TableThrottles",
                           "TimeToAnswer", "Unauthorised"}
    assert list(alarms.values()) == [[{"Name": "Stack", "Value": STACK}]] * 8

    emitted = {}
    for function in ["event-webhook", "redrive", "projector"]:
        for line in map(json.loads, filter(lambda text: text.startswith("{"), stack.logged(function))):
            for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
                assert (directive["Namespace"], directive["Dimensions"]) == ("NetcoreWebhooks", [["Stack"]])
                for metric in directive["Metrics"]:
                    emitted.setdefault(function, set()).add((metric["Name"], line["Stack"]))
    for function, name in [("event-webhook", "TimeToAnswer"), ("event-webhook", "Unauthorised"), ("redrive", "Stored"),
                           ("projector", "Projected")]:
        assert (name, STACK) in emitted[function], emitted


def test_an_update_keeps_the_data(stack):
    before = sorted(stack.items(), key=str)
    names = dict(stack.outputs)
    assert stack.client("cloudwatch").list_dashboards()["DashboardEntries"] == []
    stack.put_sign_in({"operator": "the-operators-password", "viewer": "the-viewers-password"})
    code, output = stack.deploy(RetentionDays="7", DashboardAccess="SIGN_IN", DashboardAuthParameter=SIGN_IN_PARAMETER,
                                DashboardRedrive="true", CloudWatchDashboard="true", FanOut="true", SilenceAfterMinutes="15")
    assert code == 0, output
    assert stack.outputs["OperatorDashboardUrl"].endswith(f"name={STACK}")
    added = ["OperatorDashboardUrl", *FAN_OUT_OUTPUTS]
    assert stack.outputs == names | {name: stack.outputs[name] for name in added}
    assert sorted(stack.items(), key=str) == before

    assert stack.post("event-webhook", events("updated")).json() == answer(received=1, stored=1)
    [item] = stack.events_of("updated-0")
    days = (int(item["expires_at"]["N"]) - int(item["received_at"]["N"]) / 1000) / 86400
    assert 6.9 < days < 7.1
    eventually(lambda: counted(stack), lambda found: found == recounted(stack))


def test_a_receiver_is_rolled_back_with_one_command(stack):
    """As in docs/operate.md: the version before has the parameters of before. A URL without the alias has the newest."""
    newest = stack.alias("event-webhook")
    versions = stack.client("lambda").list_versions_by_function(FunctionName=f"{STACK}-event-webhook")["Versions"]
    assert versions[-1]["Version"] == newest
    assert versions[-1]["Description"] == f"{AUTH_PARAMETER} info 10 8000 6291456 7 72 256 x86_64 false  "
    stack.move_alias("event-webhook", versions[-2]["Version"])

    def kept_days(url, name):
        told = stack.post_to(url, events(name))
        assert told.json() == answer(received=1, stored=1)
        [item] = stack.events_of(f"{name}-0")
        return round((int(item["expires_at"]["N"]) - int(item["received_at"]["N"]) / 1000) / 86400)

    assert kept_days(stack.url("event-webhook"), "rolled-back") == 180
    assert kept_days(stack.outputs["EventWebhookUrlUnqualified"], "not-rolled-back") == 7
    stack.move_alias("event-webhook", newest)
    assert kept_days(stack.url("event-webhook"), "rolled-forward") == 7


def test_all_receivers_of_the_stack_are_rolled_back(stack):
    """The loop of docs/operate.md. A function of another stack whose name begins with this stack's is not changed."""
    loop = re.search(r"^for f in .*\n(?:.*\n)*?done\n", (ROOT / "docs" / "operate.md").read_text(), re.MULTILINE)[0]
    functions, other = stack.client("lambda"), f"{STACK}-staging-event-webhook"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("bootstrap", "")
    functions.create_function(FunctionName=other, Runtime="provided.al2023", Handler="bootstrap", Code={"ZipFile": code.getvalue()},
                              Role=functions.get_function_configuration(FunctionName=f"{STACK}-redrive")["Role"], Publish=True)
    functions.update_function_configuration(FunctionName=other, Description="the second version")
    functions.create_alias(FunctionName=other, Name="live", FunctionVersion=functions.publish_version(FunctionName=other)["Version"])
    newest = {function: stack.alias(function) for function in [*RECEIVERS.values(), "staging-event-webhook"]}
    environment = os.environ | {"AWS_ENDPOINT_URL": stack.endpoint, "AWS_CA_BUNDLE": str(stack.certificate),
                                "PATH": f"{os.environ['DEPLOYED_CLI']}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euc", loop.replace("netcore-webhooks", STACK)], env=environment, check=True, stdout=subprocess.DEVNULL)
    before = {function: stack.alias(function) for function in newest}
    functions.delete_function(FunctionName=other)
    assert before.pop("staging-event-webhook") == newest.pop("staging-event-webhook") == "2"
    for function, version in newest.items():
        published = [each["Version"] for each in functions.list_versions_by_function(FunctionName=f"{STACK}-{function}")["Versions"]]
        assert (before[function], version) == (published[-2], published[-1])
        stack.move_alias(function, version)


def test_each_alarm_is_raised_by_its_cause(stack):
    alarms = Alarms(stack)
    # The lines of the tests before.
    alarms.lines()
    # An invalid policy. Its receivers use the last one; AuthRefreshSeconds is 10 here.
    assert not alarms.is_on("policy")
    stack.client("ssm").put_parameter(Name=AUTH_PARAMETER, Type="SecureString", Overwrite=True, Value='{"accept":')

    def failures():
        assert stack.post("event-webhook", events("policy")).status == 200
        return sum(value for name, value in alarms.lines() if name == "PolicyRefreshFailures")

    failed = eventually(failures, lambda count: count > 0)
    stack.put_policy([stack.token], [stack.secret])
    alarms.put("NetcoreWebhooks", "PolicyRefreshFailures", {"Stack": STACK}, failed)
    assert not alarms.is_on("policy"), "one failure may be a throttled request"
    # Ten minutes cannot pass here: the same failure, as if it had come before.
    alarms.put("NetcoreWebhooks", "PolicyRefreshFailures", {"Stack": STACK}, failed, age=600)
    assert alarms.is_on("policy")
    assert not alarms.is_on("policy", later=1800)

    # A dead letter, and later a second while the first lies there. SQS's metrics are sent by the test.
    assert not alarms.is_on("dead-letters") and not alarms.is_on("new-dead-letters")
    for number, name in enumerate(["first", "second"], 1):
        assert stack.post("event-webhook", f"not JSON: {name}".encode()).status == 400
        assert stack.depth("DeadLetterQueueUrl") == number
        alarms.measure("DeadLetterQueueUrl", sent=1)
        assert alarms.is_on("dead-letters") and alarms.is_on("new-dead-letters")
        # Five minutes later only the alarm on new ones is off, so that it can be raised again.
        assert not alarms.is_on("new-dead-letters", later=300)
    assert alarms.definition("new-dead-letters").get("OKActions", []) == []
    # Ages that cannot pass here.
    queue = {"QueueName": stack.outputs["DeadLetterQueueUrl"].rsplit("/", 1)[1]}
    alarms.put("AWS/SQS", "ApproximateAgeOfOldestMessage", queue, 9 * 86_400)
    assert not alarms.is_on("old-dead-letters")
    alarms.put("AWS/SQS", "ApproximateAgeOfOldestMessage", queue, 11 * 86_400)
    assert alarms.is_on("old-dead-letters")
    assert len(stack.take("DeadLetterQueueUrl")) == 2

    for age in range(3):
        assert not alarms.is_on("projector-behind")
        alarms.put("AWS/Lambda", "IteratorAge", {"FunctionName": f"{STACK}-projector"}, 700_000, age=60 * age)
    assert alarms.is_on("projector-behind")

    # Four failed merges within an hour.
    for age in range(4):
        assert not alarms.is_on("failed-merges")
        alarms.put("NetcoreWebhooks", "FailedMerges", {"Stack": STACK}, 1, age=900 * age)
    assert alarms.is_on("failed-merges")

    assert not alarms.is_on("unauthorised")
    for _ in range(11):
        assert stack.post("event-webhook", events("forged"), token="guessed").status == 401
    assert alarms.extract()["Unauthorised"] == 11
    assert alarms.is_on("unauthorised")


@contextmanager
def example(stack, name, **parameters):
    """The outputs of a stack of an example, which is deleted at the end."""
    cloudformation, text = stack.client("cloudformation"), (EXAMPLES / name).read_text()
    there = f"example-{name.split('.')[0]}"
    cloudformation.create_stack(StackName=there, TemplateBody=text, Capabilities=["CAPABILITY_IAM"], Parameters=[
        {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()])
    cloudformation.get_waiter("stack_create_complete").wait(StackName=there, WaiterConfig={"Delay": 1})
    yield stack.outputs_of(there)
    stack.delete_only(there)


def test_a_domain_of_its_own_reaches_the_alias(stack):
    certificate = "arn:aws:acm:eu-west-1:000000000000:certificate/0d3b4f1e-1111-2222-3333-444455556666"
    with example(stack, "domain-http-api.yaml", StackName=STACK, DomainName="webhooks.example.com", CertificateArn=certificate,
                 AlarmTopicArn=stack.outputs["AlarmTopicArn"]) as outputs:
        assert outputs["EventWebhookUrl"] == "https://webhooks.example.com/event-webhook"
        for token, status in [(stack.token, 200), ("guessed", 401)]:
            told = stack.call(outputs["EventWebhookUrl"], path="/event-webhook", headers={"x-netcore-token": token}, body=events("domain"))
            assert told.status == status, told
        assert len(stack.events_of("domain-0")) == 1


def test_cloudfront_and_waf_deploy(stack):
    """As far as the emulator goes: the distribution and the web ACL are created, and no request passes them."""
    host = stack.url("event-webhook").removeprefix("https://").removesuffix("/")
    with example(stack, "cloudfront-waf.yaml", ReceiverHost=host, SenderToken="s" * 32, OriginToken="o" * 32) as outputs:
        assert outputs["Url"].startswith("https://")


def test_failures_of_the_fan_out_raise_an_alarm(stack):
    alarms = Alarms(stack)
    assert not alarms.is_on("fan-out")
    # The emulator's pipe reads no stream; a failed batch is sent by the test.
    stack.client("sqs").send_message(QueueUrl=stack.outputs["FanOutFailuresUrl"], MessageBody="{}")
    alarms.measure("FanOutFailuresUrl")
    assert alarms.is_on("fan-out")
    assert alarms.definition("silence")["EvaluationPeriods"] == 15


def sign_in(stack, password):
    url = stack.outputs["DashboardUrl"]
    return stack.call(url, "POST", "/api/session", body=json.dumps({"password": password}).encode())


def test_a_browser_signs_in(stack):
    url = stack.outputs["DashboardUrl"]
    assert stack.call(url, "GET", "/").status == 200
    for path in ["/api/session", "/api/summary", "/api/dead-letters", "/api/messages/at-once-0"]:
        refused = stack.call(url, "GET", path)
        assert (refused.status, refused.json()["sign_in"]) == (401, True), path
    for password, role, sees in [("the-operators-password", "operator", True), ("the-viewers-password", "viewer", False)]:
        opened = sign_in(stack, password)
        assert opened.status == 200, opened
        stack.cookies[role] = {"cookie": opened.headers["set-cookie"].split(";")[0]}
        session = stack.call(url, "GET", "/api/session", headers=stack.cookies[role]).json()
        assert session == opened.json()
        assert (session["role"], session["may"]["see_numbers"]) == (role, sees)
        message = stack.call(url, "GET", "/api/messages/at-once-0", headers=stack.cookies[role]).json()
        assert (message["recipient"] == "919000000000") == sees
    forged = {"cookie": stack.cookies["viewer"]["cookie"].replace("viewer", "operator")}
    assert stack.call(url, "GET", "/api/session", headers=forged).status == 401


def test_an_operator_redrives_a_dead_letter(stack):
    url = stack.outputs["DashboardUrl"]
    stack.client("sqs").send_message(QueueUrl=stack.outputs["DeadLetterQueueUrl"], MessageBody=json.dumps({
        "version": 1, "reason": "exhausted", "detail": "could not be stored in time", "function": "event-webhook",
        "received_at": 1767225600000, "body": events("redriven").decode()}))
    [dead_letter] = eventually(
        lambda: stack.call(url, "GET", "/api/dead-letters", headers=stack.cookies["operator"]).json()["newest"], bool)
    path = f"/api/dead-letters/{dead_letter['id']}/redrive"
    assert stack.call(url, "POST", path, headers=stack.cookies["viewer"], body=b"{}").status == 403
    # Listing dead letters makes them invisible for a second.
    eventually(lambda: stack.call(url, "POST", path, headers=stack.cookies["operator"], body=b"{}").status,
               lambda status: status == 200)
    eventually(lambda: stack.events_of("redriven-0"), lambda found: len(found) == 1)
    assert stack.depth("DeadLetterQueueUrl") == 0


def test_sign_in_is_blocked_after_ten_failures(stack):
    answers = [sign_in(stack, "guessed-guessed") for _ in range(11)]
    # A previous test may have used one failure.
    assert [a.status for a in answers[:9]] == [401] * 9
    assert answers[-1].status == 429 and int(answers[-1].headers["retry-after"]) > 0


def test_cargo_lambda_serves_the_same_paths(stack):
    # As `cargo lambda watch` does after it compiled a function.
    with stack.cargo_lambda(list(RECEIVERS.values())) as address:
        for function in RECEIVERS.values():
            url = f"{address}/lambda-url/{function}/"
            body = next(body for name, _, body in samples() if name == function)
            known = curl(url, "-H", f"x-netcore-token: {stack.token}", "-H", "content-type: application/json",
                         "--data-binary", body.decode())
            assert known == f"200 {json.dumps(answer(received=1, duplicates=1), separators=(',', ':'))}"
            assert curl(url, "--data-binary", "[]").startswith("401 ")


def curl(url, *arguments):
    """Status and body of a response, from curl as in the README."""
    output = subprocess.run(["curl", "-sS", url, *arguments, "-w", "\n%{http_code}"], text=True, capture_output=True, timeout=60)
    assert output.returncode == 0, output.stderr
    body, _, status = output.stdout.rpartition("\n")
    return f"{status} {body}"


def test_a_wrong_parameter_is_rejected_with_a_reason(stack):
    before, parameters = stack.items(), dict(stack.parameters)
    for name, value in [("RetentionDays", "-1"), ("WebhookAuthParameter", "plain-secret"), ("DashboardAuthParameter", '""')]:
        code, output = stack.deploy(**{name: value})
        assert code != 0 and name in output, output
        stack.parameters = dict(parameters)
    assert stack.items() == before


def test_a_function_logs_errors_in_its_environment(stack):
    before = stack.change_environment("event-webhook", EVENTS_TABLE=None, RETENTION_DAYS="soon")
    assert stack.call(stack.url("event-webhook"), "GET").status == 502
    # In AWS this text is in the function's log; the emulator writes it to its own log.
    output = stack.log.read_text()
    assert "EVENTS_TABLE is missing" in output and "RETENTION_DAYS must" in output
    stack.change_environment("event-webhook", **before)
    assert stack.call(stack.url("event-webhook"), "GET").status == 200


def test_an_unknown_receiver_is_rejected(stack):
    before, parameters, functions = dict(stack.outputs), dict(stack.parameters), stack.functions()
    for unknown in ["event-webhook", "CarrierPigeon"]:
        code, output = stack.deploy(Receivers=f"EventWebhook,{unknown}")
        assert code != 0 and unknown in output, output
        stack.parameters = dict(parameters)
    assert (stack.outputs, stack.functions()) == (before, functions)


def test_a_shorter_list_and_disabled_options_delete_their_resources(stack):
    kept = ["event-webhook", "email-event"]
    gone = {name: function for name, function in RECEIVERS.items() if function not in kept}
    names = {f"{STACK}-{function}" for function in [*kept, "redrive", "projector", "dashboard"]}
    before = dict(stack.outputs)
    deleted = [stack.url(function) for function in gone.values()] + [before[f"{logical(function)}UrlUnqualified"] for function in kept]
    assert {stack.call(url, "GET").status for url in deleted} == {200}
    # As in docs/deploy.md: the built template, and not the packaged one.
    code, output = stack.deploy(stack.build / "template.yaml", Receivers="EventWebhook,EmailEvent", UnqualifiedUrls="false",
                                FanOut="false", SilenceAfterMinutes="0")
    assert code == 0, output

    assert stack.functions() == sorted([*kept, "redrive", "projector", "dashboard"])
    assert stack.outputs == {name: value for name, value in before.items() if not name.endswith("UrlUnqualified")
                             and name.removesuffix("Url") not in gone and name not in FAN_OUT_OUTPUTS}
    for url in deleted:
        assert stack.call(url, "GET").status in (403, 404)
    groups = stack.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
    assert {group["logGroupName"].removeprefix("/aws/lambda/") for group in groups} == names
    alarms = [alarm["AlarmName"] for alarm in stack.client("cloudwatch").describe_alarms()["MetricAlarms"]]
    assert len([name for name in alarms if name.startswith(tuple(f"{STACK}-{function}-" for function in kept))]) == 4
    shown = stack.client("cloudwatch").get_dashboard(DashboardName=STACK)["DashboardBody"]
    rights = json.dumps([stack.client("iam").get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
                         for role in stack.roles()
                         for policy in stack.client("iam").list_role_policies(RoleName=role)["PolicyNames"]])
    for function in gone.values():
        assert not [name for name in alarms if name.startswith(f"{STACK}-{function}-")]
        assert function not in shown and f"/aws/lambda/{STACK}-{function}" not in rights
    for function in kept:
        assert function in shown and f"/aws/lambda/{STACK}-{function}:*" in rights
        assert stack.call(stack.url(function), "GET").status == 200
    listed = next(widget for widget in json.loads(shown)["widgets"] if widget["type"] == "alarm")["properties"]["alarms"]
    # The dashboard also lists these two, which do not exist here: its text can depend on Receivers only.
    assert {arn.rsplit(":", 1)[1] for arn in listed} - set(alarms) == {f"{STACK}-silence", f"{STACK}-fan-out"}
    assert not {f"{STACK}-silence", f"{STACK}-fan-out"} & set(alarms)
    assert stack.post("event-webhook", events("fewer")).json() == answer(received=1, stored=1)


def test_deleting_the_stack_keeps_the_data_and_nothing_else(stack):
    items, dynamodb, sqs = sorted(stack.items(), key=str), stack.client("dynamodb"), stack.client("sqs")
    tables = {stack.outputs["EventsTableName"], stack.outputs["RollupsTableName"]}
    queues = {stack.outputs["RetryQueueUrl"], stack.outputs["DeadLetterQueueUrl"]}
    stack.delete()
    kept = eventually(lambda: left(stack), lambda found: set(found) == {"tables", "queues"}, seconds=30)
    assert (set(kept["tables"]), set(kept["queues"])) == (tables, queues)
    assert len(items) > 90 and sorted(stack.items(), key=str) == items
    assert stack.call(stack.url("event-webhook"), "GET").status in (403, 404)
    # As in docs/operate.md.
    for table in tables:
        dynamodb.delete_table(TableName=table)
    for queue in queues:
        sqs.delete_queue(QueueUrl=queue)
    assert left(stack) == {}
