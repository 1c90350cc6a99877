"""The update of MIGRATING.md and the way back: a stack of the template of 0.1, with items that 0.1 stored.

template-0.1.yaml is the template of the tag v0.1.0, unchanged. Its functions run the binaries of today, because only resources
are compared here; tests/tests/contract.rs reads the items of 0.1 with the code of today."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from stack import STACK, eventually, logical, policy

TESTS = Path(__file__).parents[1]
STORED = json.loads((TESTS / "fixtures" / "stored" / "0.1.0-first.json").read_text())
# Its roles are changed like those of the stack of the other tests, because the name begins with that stack's.
NAME = f"{STACK}-of-0-1"
PARAMETER = f"/{NAME}/auth"
TOKEN = "a-token-of-the-stack-of-0-1"
RECEIVERS = ["event-webhook", "fallback-sms", "incoming-webhook", "delivery-status", "rcs-callback"]
GUIDE = (TESTS.parent / "MIGRATING.md").read_text()
# A message that 0.1 sent to its retry queue.
QUEUED = json.dumps({"version": 1, "reason": "exhausted", "detail": "the table did not take it in time", "function": "event-webhook",
                     "received_at": 1767225600000, "body": '[{"message_id":"queued-by-0-1","mobile":"919000000009","status":"Sent",'
                                                           '"channel":"RCS","event_time":1767225600}]'})
# What a user of 0.1 has set.
SET = {"Architecture": "x86_64", "RedriveConcurrency": "0", "AckBudgetMs": "8000", "WebhookAuthParameter": PARAMETER}


def deploy(stack, template, **parameters):
    """Deploys a template to the stack and returns its outputs."""
    code, output = stack.deploy_to(NAME, template, parameters)
    assert code == 0, output
    return stack.outputs_of(NAME)


def old_template(stack):
    """The template of 0.1 with built functions instead of source folders."""
    template = (Path(__file__).with_name("template-0.1.yaml")).read_text()
    built = re.sub(r"CodeUri: functions/([a-z-]+)",
                   lambda found: f"CodeUri: {logical(found[1])}Function", template)
    target = stack.build / "template-0.1.yaml"
    target.write_text(built)
    return target


def post(stack, outputs, function, body):
    return stack.post_to(outputs[f"{logical(function)}Url"], body, TOKEN).json()


def sent(name):
    return json.dumps([{"message_id": name, "mobile": "919000000009", "status": "Sent", "channel": "RCS", "event_time": 1767225600}]).encode()


@pytest.fixture(scope="module")
def old(stack):
    """Outputs of the stack of 0.1, with its data."""
    stack.client("ssm").put_parameter(Name=PARAMETER, Type="SecureString", Value=policy([TOKEN], ["another-secret-of-the-stack"]))
    outputs = deploy(stack, old_template(stack), **SET)
    tables = stack.client("dynamodb")
    for table, items in [("EventsTableName", STORED["events"]), ("RollupsTableName", STORED["counters"])]:
        for item in items:
            tables.put_item(TableName=outputs[table], Item=item)
    return outputs


def stored(stack, outputs):
    """The items of 0.1 that the events table has, in the order of their keys."""
    stack.outputs = outputs
    keys = {(item["message_id"]["S"], item["status_key"]["S"]) for item in STORED["events"]}
    found = [item for item in stack.items() if (item["message_id"]["S"], item["status_key"]["S"]) in keys]
    return sorted(found, key=lambda item: (item["message_id"]["S"], item["status_key"]["S"]))


EXPECTED = sorted(STORED["events"], key=lambda item: (item["message_id"]["S"], item["status_key"]["S"]))


def test_the_template_of_0_1_deploys(stack, old):
    assert stored(stack, old) == EXPECTED
    assert post(stack, old, "event-webhook", sent("before-the-update"))["stored"] == 1


def test_an_update_from_0_1_keeps_urls_tables_and_data(stack, old):
    outputs = deploy(stack, stack.build / "template.yaml")
    # MIGRATING.md: the CloudWatch dashboard is optional.
    names = [name for name in old if name not in ("RetryQueueUrl", "RetryQueueArn", "OperatorDashboardUrl")]
    # Each receiver has a second URL; the first one has another output.
    receivers = [name for name in names if name.endswith("Url") and f"{name}Unqualified" in outputs]
    assert len(receivers) == len(RECEIVERS)
    assert {name: outputs.get(f"{name}Unqualified" if name in receivers else name) for name in names} == {name: old[name] for name in names}
    assert not {outputs[name] for name in receivers} & set(old.values())
    # MIGRATING.md: the name of the retry queue has a part of the stack's id, and these parameters keep their values.
    assert outputs["RetryQueueUrl"] != old["RetryQueueUrl"]
    kept = {"RecipientIndex": "true", "DayIndex": "true", "ProtectData": "true", "ReceiverConcurrency": "50",
            "DashboardConcurrency": "10", "MaxReceiveCount": "5"}
    assert stack.parameters_of(NAME).items() >= kept.items()
    assert stored(stack, outputs) == EXPECTED

    for name in receivers:
        assert [stack.call(url, "GET").status for url in (old[name], outputs[name])] == [200, 200]
    for urls in [old, outputs]:
        assert post(stack, urls, "event-webhook", sent("before-the-update"))["duplicates"] == 1
    assert post(stack, outputs, "event-webhook", sent("after-the-update"))["stored"] == 1
    # What 0.1 stored is a duplicate, not a second event.
    body = next(each["body"] for each in STORED["posted"] if each["function"] == "delivery-status")
    answered = post(stack, outputs, "delivery-status", body.encode())
    assert (answered["stored"], answered["duplicates"]) == (0, answered["received"])


def guide(stack, command, **variables):
    """Runs a command of MIGRATING.md as it stands there."""
    assert command in GUIDE
    command = command.replace("netcore-webhooks", os.environ["NETCORE_WEBHOOKS"])
    environment = {**os.environ, "AWS_ENDPOINT_URL": stack.endpoint, "SSL_CERT_FILE": str(stack.certificate), **variables}
    done = subprocess.run(["bash", "-euc", command], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_steps_after_the_update(stack, old):
    outputs = stack.outputs_of(NAME)
    stack.outputs = outputs
    queues = stack.client("sqs")
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in [("reason", "exhausted"), ("function", "event-webhook")]}
    # ProtectData keeps the old queue.
    queues.send_message(QueueUrl=old["RetryQueueUrl"], MessageBody=QUEUED, MessageAttributes=attributes)
    queue_urls = {"OLD_RETRY_QUEUE_URL": old["RetryQueueUrl"], "NEW_RETRY_QUEUE_URL": outputs["RetryQueueUrl"]}
    guide(stack, 'DEAD_LETTER_QUEUE_URL="$OLD_RETRY_QUEUE_URL" RETRY_QUEUE_URL="$NEW_RETRY_QUEUE_URL" netcore-webhooks dead-letters redrive', **queue_urls)
    eventually(lambda: len(stack.events_of("queued-by-0-1")), lambda count: count == 1)
    # AWS CLI 1 cannot reach SQS on an emulator.
    left = queues.get_queue_attributes(QueueUrl=old["RetryQueueUrl"], AttributeNames=["All"])["Attributes"]
    assert [left[f"ApproximateNumberOfMessages{kind}"] for kind in ("", "NotVisible", "Delayed")] == ["0", "0", "0"]
    queues.delete_queue(QueueUrl=old["RetryQueueUrl"])

    guide(stack, "netcore-webhooks rollups rebuild", EVENTS_TABLE=outputs["EventsTableName"], ROLLUPS_TABLE=outputs["RollupsTableName"])
    day = stack.call(outputs["DashboardUrl"], "GET", "/api/summary", {"from": "2025-12-01", "to": "2025-12-01"}, signed=True).json()
    # 0.1 did not count messages.
    assert (day["reached"]["messages"], day["reached"]["reached"]) == (3, 1)

    deploy(stack, stack.build / "template.yaml", MaxReceiveCount="1000")
    dead = json.loads(queues.get_queue_attributes(QueueUrl=outputs["RetryQueueUrl"], AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"])
    assert int(dead["maxReceiveCount"]) == 1000


def test_back_to_0_1_keeps_urls_tables_and_data(stack, old):
    outputs = deploy(stack, old_template(stack))
    names = ["EventsTableName", "RollupsTableName", "DeadLetterQueueUrl", "EventWebhookUrl", "DeliveryStatusUrl", "DashboardUrl"]
    assert {name: outputs[name] for name in names} == {name: old[name] for name in names}
    assert stored(stack, outputs) == EXPECTED
    assert post(stack, outputs, "event-webhook", sent("after-the-update"))["duplicates"] == 1


def test_the_data_of_a_deleted_stack_is_kept(stack, old):
    """ProtectData is true by default."""
    stack.delete(NAME)
    assert stored(stack, old) == EXPECTED
    tables = stack.client("dynamodb")
    for table in ["EventsTableName", "RollupsTableName"]:
        tables.update_table(TableName=old[table], DeletionProtectionEnabled=False)
        tables.delete_table(TableName=old[table])
