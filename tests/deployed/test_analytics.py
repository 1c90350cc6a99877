"""The resources of `Analytics` in a stack of their own: the emulator has no saved queries, so the template cannot be
deployed with them. They are its text without changes, and the hourly export runs with its own role."""

import json
import re
from pathlib import Path

from stack import eventually

TEMPLATE = (Path(__file__).parents[2] / "template.yaml").read_text()
NAME = "analytics"


def template():
    section = TEMPLATE[TEMPLATE.index("  AnalyticsBucket:\n"):TEMPLATE.index("\nOutputs:\n")]
    resources = re.split(r"(?m)^(?=  [A-Z]\w+:$)", section)
    kept = [resource for resource in resources if "Type: AWS::Athena::NamedQuery" not in resource]
    assert len(kept) < len(resources)
    return """AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  AnalyticsDays: { Type: Number, Default: 180 }
Conditions:
  HasAnalytics: !Equals [a, a]
Resources:
  EventsTable:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: message_id, AttributeType: S }]
      KeySchema: [{ AttributeName: message_id, KeyType: HASH }]
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true }
""" + "".join(kept)


def test_the_state_machine_exports_the_hour_before(stack):
    formation, machines = stack.client("cloudformation"), stack.client("stepfunctions")
    formation.create_stack(StackName=NAME, TemplateBody=template(), Capabilities=["CAPABILITY_IAM"])

    def created():
        status = formation.describe_stacks(StackName=NAME)["Stacks"][0]["StackStatus"]
        assert "FAILED" not in status and "ROLLBACK" not in status, status
        return status == "CREATE_COMPLETE"

    eventually(created, bool)
    found = formation.describe_stack_resources(StackName=NAME)["StackResources"]
    ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}

    def export(given):
        started = machines.start_execution(stateMachineArn=ids["AnalyticsExport"], input=json.dumps(given))
        ended = eventually(lambda: machines.describe_execution(executionArn=started["executionArn"]),
                           lambda execution: execution["status"] != "RUNNING")
        assert ended["status"] == "SUCCEEDED", ended
        return json.loads(ended["output"])["ExportDescription"]

    changes = export({"time": "2026-11-21T00:20:00Z"})
    assert changes["ExportType"] == "INCREMENTAL_EXPORT"
    assert changes["S3Bucket"] == ids["AnalyticsBucket"]
    assert changes["S3Prefix"] == "events/2026-11-20-23"
    assert changes["ClientToken"] == "changes-1795219200000"
    table = export({"time": "2026-11-21T00:20:00Z", "full": True})
    assert table["ExportType"] == "FULL_EXPORT"
    assert table["S3Prefix"] == "events/2026-11-20-23"

    schedule = stack.client("scheduler").list_schedules()["Schedules"]
    assert [entry["Target"]["Arn"] for entry in schedule] == [ids["AnalyticsExport"]]
    location = stack.client("glue").get_table(DatabaseName=NAME, Name="changes")["Table"]["Parameters"]
    assert location["storage.location.template"] == f"s3://{ids['AnalyticsBucket']}/events/${{hour}}/"
    stack.delete_only(NAME)
