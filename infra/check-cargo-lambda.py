#!/usr/bin/env python3
"""Runs cargo-lambda.sh with stubs of aws and cargo, and compares its calls with template.yaml.

The functions with timeout and memory, the tables, the queues, the event source mappings and the rights of the roles
are those of the template with its defaults.

Usage: check-cargo-lambda.py [template.yaml [cargo-lambda.sh]]
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

from expand import expand

INFRA = Path(__file__).resolve().parent
PREFIX, REGION, ACCOUNT = "stack", "eu-west-1", "123456789012"
# Stands for both commands: records its arguments, and prints what the script reads from the answer.
STUB = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([os.path.basename(sys.argv[0])] + sys.argv[1:]) + "\\n")
arguments = dict(zip(sys.argv, sys.argv[1:]))
answers = {{
    "get-caller-identity": "{ACCOUNT}",
    "create-role": "arn:aws:iam::{ACCOUNT}:role/" + arguments.get("--role-name", ""),
    "create-queue": "https://sqs/" + arguments.get("--queue-name", ""),
    "describe-table": "arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{PREFIX}-events/stream/1",
}}
print(answers.get((sys.argv + ["", ""])[2], ""))
"""
# Resources of the template, by the ending of their names in the script.
RESOURCES = {"EventsTable": "events", "RollupsTable": "rollups", "RetryQueue": "retry", "DeadLetterQueue": "dead-letters"}
ROLES = {"ReceiverRole": "receiver", "RedriveRole": "redrive", "ProjectorRole": "projector", "DashboardFunctionRole": "dashboard"}
QUEUE_NUMBERS = ["MessageRetentionPeriod", "MaximumMessageSize", "VisibilityTimeout", "ReceiveMessageWaitTimeSeconds"]
MAPPING_OPTIONS = {
    "BatchSize": "--batch-size",
    "MaximumBatchingWindowInSeconds": "--maximum-batching-window-in-seconds",
    "FunctionResponseTypes": "--function-response-types",
    "StartingPosition": "--starting-position",
    "MaximumRecordAgeInSeconds": "--maximum-record-age-in-seconds",
    "FilterCriteria": "--filter-criteria",
}


def calls_of(script):
    """The commands of the script, each as a list of its arguments."""
    with tempfile.TemporaryDirectory() as folder:
        for command in ["aws", "cargo"]:
            stub = Path(folder, command)
            stub.write_text(STUB)
            stub.chmod(0o755)
        calls = Path(folder, "calls")
        subprocess.run([script, PREFIX], check=True, stdout=subprocess.DEVNULL, env=os.environ | {
            "PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(calls), "AWS_REGION": REGION, "ROLE_WAIT_SECONDS": "0"})
        return [json.loads(line) for line in calls.read_text().splitlines()]


def option(call, name):
    """The values of an option: the arguments up to the next option."""
    if name not in call:
        return []
    rest = call[call.index(name) + 1:]
    return rest[:next((at for at, word in enumerate(rest) if word.startswith("--")), len(rest))]


def one(call, name):
    return next(iter(option(call, name)), None)


def words(value):
    """The words of a value without its punctuation: the same for JSON and for the shorthand of the AWS CLI."""
    return sorted(re.findall(r"[\w.-]+", value if isinstance(value, str) else json.dumps(value)))


def resolve(value, parameters):
    """The value with the first branch of every condition and the default of every parameter."""
    if isinstance(value, list):
        items = [resolve(item, parameters) for item in value]
        return [item for item in items if item != {"Ref": "AWS::NoValue"}]
    if not isinstance(value, dict):
        return value
    if "Fn::If" in value:
        return resolve(value["Fn::If"][1], parameters)
    if "Default" in parameters.get(value.get("Ref"), {}):
        return parameters[value["Ref"]]["Default"]
    return {name: resolve(item, parameters) for name, item in value.items()}


def kind(resource, logs):
    """What a statement of the template or of the script refers to, by one name. An index counts as its table."""
    text = json.dumps(resource)
    if log := re.search(r"log-group:/aws/lambda/(?:\$\{AWS::StackName\}|" + PREFIX + r")-([a-z-]+):", text):
        return "log of " + log[1]
    if "WebhookAuthParameter" in text or f":parameter/{PREFIX}/auth" in text:
        return "auth"
    for name, ending in RESOURCES.items():
        if re.search(rf'"{name}"|\$\{{{name}\.|[:/]{PREFIX}-{ending}["/]', text):
            return "stream" if "StreamArn" in text or "/stream/" in text else ending
    return "log of " + logs[resource["Fn::GetAtt"][0]] if "Fn::GetAtt" in resource else text


def rights(statements, logs):
    """An action, a resource and a condition each."""
    def items(value):
        return value if isinstance(value, list) else [value]
    return sorted({(action, kind(resource, logs), json.dumps(statement.get("Condition"))) for statement in statements
                   for action in items(statement["Action"]) for resource in items(statement["Resource"])})


def described(template):
    """What the template creates."""
    resources, parameters = template["Resources"], template["Parameters"]
    common = resolve(template["Globals"]["Function"], parameters)

    def suffix(value):
        return value["Fn::Sub"].rpartition("${AWS::StackName}-")[2] if isinstance(value, dict) else value
    logs = {name: suffix(resource["Properties"]["LogGroupName"]).rpartition("/")[2]
            for name, resource in resources.items() if resource["Type"] == "AWS::Logs::LogGroup"}
    found = {}
    for name, resource in resources.items():
        properties = resolve(resource.get("Properties", {}), parameters)
        if resource["Type"] == "AWS::Serverless::Function":
            settings = common | properties
            function = suffix(properties["FunctionName"])
            found[f"function {function}"] = [str(settings["Timeout"]), str(settings["MemorySize"])]
            for event in properties.get("Events", {}).values():
                source = event["Properties"]
                found[f"event source of {function}"] = {
                    key: words(source[key]) for key in MAPPING_OPTIONS if key in source} | {
                    "BisectBatchOnFunctionError": source.get("BisectBatchOnFunctionError", False),
                    "DestinationConfig": "DestinationConfig" in source}
        elif resource["Type"] == "AWS::DynamoDB::Table":
            stream = properties.get("StreamSpecification", {}).get("StreamViewType")
            found[f"table {RESOURCES[name]}"] = {
                "attributes": words(properties["AttributeDefinitions"]), "key": words(properties["KeySchema"]),
                "indexes": words(properties.get("GlobalSecondaryIndexes", [])), "stream": stream}
        elif resource["Type"] == "AWS::SQS::Queue" and name in RESOURCES:
            found[f"queue {RESOURCES[name]}"] = {key: str(properties[key]) for key in QUEUE_NUMBERS if key in properties} | {
                "maxReceiveCount": str(properties.get("RedrivePolicy", {}).get("maxReceiveCount"))}
    for name, role in ROLES.items():
        policies = [policy["PolicyDocument"] for policy in resolve(resources[name]["Properties"]["Policies"], parameters)]
        if name == "ReceiverRole":
            policies.append(resources["ReadAuthFromParameterStore"]["Properties"]["PolicyDocument"])
        found[f"role {role}"] = rights([statement for policy in policies for statement in policy["Statement"]], logs)
    return found


def created(calls):
    """What the script creates."""
    found = {}

    def ending(name):
        return name.removeprefix(PREFIX + "-")
    for call in calls:
        if call[1:3] == ["lambda", "deploy"]:
            if one(call, "--binary-name") != ending(call[3]):
                raise ValueError(f"{call[3]} has the binary {one(call, '--binary-name')}")
            found[f"function {ending(call[3])}"] = [one(call, "--timeout"), one(call, "--memory")]
        elif call[2] == "create-table":
            stream = re.search(r"StreamViewType=(\w+)", one(call, "--stream-specification") or "")
            found[f"table {ending(one(call, '--table-name'))}"] = {
                "attributes": words(" ".join(option(call, "--attribute-definitions"))),
                "key": words(" ".join(option(call, "--key-schema"))),
                "indexes": words(" ".join(option(call, "--global-secondary-indexes"))), "stream": stream and stream[1]}
        elif call[2] == "create-queue":
            attributes = json.loads(one(call, "--attributes"))
            redrive = json.loads(attributes.get("RedrivePolicy", "{}"))
            found[f"queue {ending(one(call, '--queue-name'))}"] = {
                key: attributes[key] for key in QUEUE_NUMBERS if key in attributes} | {
                "maxReceiveCount": str(redrive.get("maxReceiveCount"))}
        elif call[2] == "put-role-policy":
            statements = json.loads(one(call, "--policy-document"))["Statement"]
            found[f"role {ending(one(call, '--role-name'))}"] = rights(statements, {})
        elif call[2] == "create-event-source-mapping":
            found[f"event source of {ending(one(call, '--function-name'))}"] = {
                key: words(" ".join(option(call, name)).replace("\\", "")) for key, name in MAPPING_OPTIONS.items() if name in call} | {
                "BisectBatchOnFunctionError": "--bisect-batch-on-function-error" in call,
                "DestinationConfig": "--destination-config" in call}
    return found


def main():
    template = Path(sys.argv[1]) if len(sys.argv) > 1 else INFRA.parent / "template.yaml"
    script = Path(sys.argv[2]) if len(sys.argv) > 2 else INFRA / "cargo-lambda.sh"
    expected, actual = described(expand(yaml_parse(template.read_text()))), created(calls_of(script))
    differing = [name for name in sorted(expected | actual) if expected.get(name) != actual.get(name)]
    for name in differing:
        print(f"{name}:\n  template.yaml    {expected.get(name)}\n  cargo-lambda.sh  {actual.get(name)}", file=sys.stderr)
    print(f"{len(expected)} resources compared")
    return 1 if differing or not expected else 0


if __name__ == "__main__":
    sys.exit(main())
