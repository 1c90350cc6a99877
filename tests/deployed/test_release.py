"""The package of a release: deployed with AWS CLI alone, updated, deleted. Its binaries are those of `sam build`."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stack import REGION, TOKEN_HEADER, policy

ROOT = Path(__file__).parents[2]
NAME = "released"
FUNCTIONS = ["event-webhook", "fallback-sms", "incoming-webhook", "delivery-status", "rcs-callback", "email-event", "sms-delivery",
             "rbm-event", "whatsapp-cloud", "redrive", "projector", "dashboard"]
TOKEN = "a-token-of-the-released-stack"


def package(binaries, folder):
    """Makes the package of these binaries; returns its path."""
    made = subprocess.run([sys.executable, ROOT / "infra" / "release" / "package.py", binaries, "x86_64", folder],
                          capture_output=True, text=True, check=True)
    return Path(made.stdout.strip())


@pytest.fixture(scope="module")
def unpacked(stack):
    """The folder that a user gets from the package of the built functions."""
    binaries = stack.scratch / "binaries"
    for function in FUNCTIONS:
        logical = "".join(word.capitalize() for word in function.split("-")) + "Function"
        (binaries / function).mkdir(parents=True)
        (binaries / function / "bootstrap").symlink_to(stack.build / logical / "bootstrap")
    archive = package(binaries, stack.scratch / "dist")
    target = stack.scratch / "unpacked"
    with zipfile.ZipFile(archive) as files:
        for entry in files.infolist():
            # `extract` drops the permission to execute.
            Path(files.extract(entry, target)).chmod(entry.external_attr >> 16 & 0o777)
    (folder,) = target.iterdir()
    assert folder.name == archive.stem
    return folder


def deploy(stack, folder, *arguments):
    """Runs deploy.sh with AWS CLI as the only tool of the test on the path."""
    environment = os.environ | {
        "AWS_ENDPOINT_URL": stack.endpoint, "AWS_CA_BUNDLE": str(stack.certificate),
        "PATH": f"{os.environ['DEPLOYED_CLI']}:/usr/local/bin:/usr/bin:/bin"}
    result = subprocess.run([folder / "deploy.sh", *arguments], env=environment, cwd="/", capture_output=True, text=True)
    return result.returncode, result.stdout, result.stderr


def described(stack):
    (found,) = stack.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
    return found


def test_a_package_is_complete_and_reproducible(tmp_path):
    """With files of a few bytes instead of binaries, because compression takes long."""
    for function in FUNCTIONS:
        (tmp_path / function).mkdir()
        (tmp_path / function / "bootstrap").write_text(function)
    archive = package(tmp_path, tmp_path / "dist")
    assert package(tmp_path, tmp_path / "again").read_bytes() == archive.read_bytes()
    with zipfile.ZipFile(archive) as files:
        names = {name.split("/", 1)[1] for name in files.namelist()}
        assert names == {"template.yaml", "deploy.sh", "LICENSE-APACHE", "LICENSE-MIT"} | {f"functions/{name}.zip" for name in FUNCTIONS}
        template = files.read(next(name for name in files.namelist() if name.endswith("template.yaml"))).decode()
    assert "BuildMethod" not in template and "CodeUri: functions" not in template


def test_the_package_deploys_without_a_toolchain(stack, unpacked):
    stack.client("ssm").put_parameter(Name="/released/auth", Type="SecureString", Value=policy([TOKEN], ["another-secret-of-the-stack"]))
    code, output, errors = deploy(stack, unpacked, NAME, "ProtectData=false", "RedriveConcurrency=0", "AckBudgetMs=8000",
                                  "WebhookAuthParameter=/released/auth", "Receivers=EventWebhook,SmsDelivery")
    assert code == 0, output + errors
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in described(stack)["Outputs"]}
    assert f"EventWebhookUrl\t{outputs['EventWebhookUrl']}" in output.splitlines()

    stack.outputs = outputs
    body = json.dumps([{"message_id": "released-1", "mobile": "919000000001", "status": "Sent", "channel": "RCS", "event_time": 1767225600}])
    answered = stack.call(outputs["EventWebhookUrl"], headers={TOKEN_HEADER: TOKEN}, body=body.encode())
    assert (answered.status, answered.json()["stored"]) == (200, 1)
    assert stack.call(outputs["EventWebhookUrl"], headers={TOKEN_HEADER: "wrong"}, body=body.encode()).status == 401
    assert [item["message_id"]["S"] for item in stack.items()] == ["released-1"]


def test_an_update_keeps_data_and_parameters(stack, unpacked):
    code, output, errors = deploy(stack, unpacked, NAME, "RetentionDays=30")
    assert code == 0, output + errors
    parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in described(stack)["Parameters"]}
    assert (parameters["RetentionDays"], parameters["Receivers"], parameters["ProtectData"]) == ("30", "EventWebhook,SmsDelivery", "false")
    assert [item["message_id"]["S"] for item in stack.items()] == ["released-1"]
    code, output, errors = deploy(stack, unpacked, NAME)
    assert code == 0, output + errors


@pytest.mark.parametrize("arguments, message", [
    ([], "Usage: ./deploy.sh STACK"),
    (["s" * 48], "48 characters; 47 are possible"),
    ([NAME, "--guided"], "--guided is not PARAMETER=VALUE"),
])
def test_a_wrong_argument_is_explained_before_anything_is_created(stack, unpacked, arguments, message):
    before = len(stack.client("s3").list_buckets()["Buckets"])
    code, output, errors = deploy(stack, unpacked, *arguments)
    assert code == 2 and message in output + errors
    assert len(stack.client("s3").list_buckets()["Buckets"]) == before


def test_a_wrong_value_changes_nothing(stack, unpacked):
    code, output, errors = deploy(stack, unpacked, NAME, "RetentionDays=-1")
    assert code != 0
    parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in described(stack)["Parameters"]}
    assert parameters["RetentionDays"] == "30"


def test_deleting_the_released_stack_leaves_nothing(stack):
    cloudformation = stack.client("cloudformation")
    cloudformation.delete_stack(StackName=NAME)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1})
    assert [table for table in stack.client("dynamodb").list_tables()["TableNames"] if NAME in table] == []
    assert [function["FunctionName"] for function in stack.client("lambda").list_functions()["Functions"]
            if function["FunctionName"].startswith(f"{NAME}-")] == []
