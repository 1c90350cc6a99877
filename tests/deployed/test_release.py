"""The package of a release: deployed with AWS CLI alone, updated, deleted. Its binaries are those of `sam build`."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stack import logical, policy

ROOT = Path(__file__).parents[2]
NAME = "released"
DEPLOYED = ["event-webhook", "sms-delivery", "redrive", "projector", "dashboard"]
FUNCTIONS = [*DEPLOYED, "fallback-sms", "incoming-webhook", "delivery-status", "rcs-callback", "email-event", "rbm-event", "whatsapp-cloud"]
TOKEN = "a-token-of-the-released-stack"
ACCOUNT = "123456789012"


def package(folder, binaries=None, architecture="x86_64"):
    """Makes a package; returns its path. Functions that are not in `binaries` have a few bytes, because compression takes long."""
    for function in FUNCTIONS:
        (folder / function).mkdir(parents=True)
        (folder / function / "bootstrap").write_bytes((binaries or {}).get(function, function.encode()))
    made = subprocess.run([sys.executable, ROOT / "infra" / "release" / "package.py", folder, architecture, folder / "dist"],
                          capture_output=True, text=True, check=True)
    return Path(made.stdout.strip())


def unpacked(archive):
    """The folder that a user gets."""
    target = archive.with_suffix("")
    with zipfile.ZipFile(archive) as files:
        for entry in files.infolist():
            # `extract` drops the permission to execute.
            Path(files.extract(entry, target)).chmod(entry.external_attr >> 16 & 0o777)
    [folder] = target.iterdir()
    assert folder.name == archive.stem
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A package whose functions do not run."""
    return package(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def built(stack):
    return {function: (stack.build / f"{logical(function)}Function" / "bootstrap").read_bytes() for function in DEPLOYED}


@pytest.fixture(scope="module")
def release(stack, built):
    return unpacked(package(stack.scratch / "release", built))


@pytest.fixture(scope="module")
def rebuilt(stack, built):
    """A package of the same version, in which one function differs."""
    return unpacked(package(stack.scratch / "rebuilt", built | {"event-webhook": built["event-webhook"] + b"\n"}))


def run(folder, arguments, **environment):
    result = subprocess.run([folder / "deploy.sh", *arguments], env=os.environ | environment, cwd="/", capture_output=True, text=True)
    return result.returncode, result.stdout, result.stderr


def deploy(stack, folder, *arguments):
    """Runs deploy.sh with AWS CLI as the only tool of the test on the path."""
    return run(folder, arguments, AWS_ENDPOINT_URL=stack.endpoint, AWS_CA_BUNDLE=str(stack.certificate),
               PATH=f"{os.environ['DEPLOYED_CLI']}:/usr/local/bin:/usr/bin:/bin")


def names(archive):
    """The files of a package, and the names of its functions with the hash of each."""
    with zipfile.ZipFile(archive) as files:
        found = [name.split("/", 1)[1] for name in files.namelist()]
    zips = [re.fullmatch(r"functions/(.+)-([0-9a-f]{16})\.zip", name) for name in found if name.startswith("functions/")]
    return [name for name in found if not name.startswith("functions/")], {each[1]: each[2] for each in zips}


def test_a_package_is_complete_and_reproducible(small, tmp_path):
    assert package(tmp_path / "again").read_bytes() == small.read_bytes()
    files, functions = names(small)
    assert files == ["template.yaml", "deploy.sh", "LICENSE-APACHE", "LICENSE-MIT"]
    assert sorted(functions) == sorted(FUNCTIONS)
    template = (unpacked(small) / "template.yaml").read_text()
    assert "BuildMethod" not in template and "CodeUri: functions" not in template
    for function, digest in functions.items():
        assert f"{function}-{digest}.zip" in template
    # Only the function that differs has another name.
    _, changed = names(package(tmp_path / "changed", {"redrive": b"another"}))
    assert functions.items() - changed.items() == {("redrive", functions["redrive"])}


# Answers as AWS CLI does: `describe-stacks` from the environment until the stack is deployed.
STUB = """#!/bin/sh
echo "$*" >>"$STUB/calls"
case "$1 $2" in
  "sts get-caller-identity") echo 123456789012 ;;
  "cloudformation describe-stacks")
    [ ! -e "$STUB/deployed" ] || exit 0
    echo "warning: a line that is no answer" >&2
    if [ -n "$REFUSAL" ]; then echo "$REFUSAL" >&2; exit 254; fi
    echo "$STATUS" ;;
  "cloudformation deploy") touch "$STUB/deployed" ;;
  "s3api head-bucket") if [ -n "$BUCKET" ]; then echo "An error occurred ($BUCKET) when calling the HeadBucket operation: no" >&2; exit 254; fi ;;
esac
"""
MISSING = "An error occurred (ValidationError) when calling the DescribeStacks operation: Stack with id webhooks does not exist"


@pytest.fixture
def stub(small, tmp_path):
    """deploy.sh with a stub of AWS CLI; returns exit code, messages and calls."""
    folder = unpacked(small)
    (tmp_path / "aws").write_text(STUB)
    (tmp_path / "aws").chmod(0o755)

    def deployed(status="", refusal="", bucket=""):
        answer = run(folder, ["webhooks", "RetentionDays=30"], STUB=str(tmp_path), STATUS=status, REFUSAL=refusal, BUCKET=bucket,
                     PATH=f"{tmp_path}:/usr/bin:/bin")
        return answer[0], answer[2], (tmp_path / "calls").read_text().splitlines()

    return deployed


@pytest.mark.parametrize("answer, is_new", [
    ({"refusal": MISSING}, True),
    ({"status": "REVIEW_IN_PROGRESS"}, True),
    ({"status": "ROLLBACK_COMPLETE"}, True),
    ({"status": "CREATE_COMPLETE"}, False),
    ({"status": "UPDATE_ROLLBACK_COMPLETE"}, False),
])
def test_only_a_new_stack_has_no_unqualified_urls(stub, answer, is_new):
    code, errors, calls = stub(**answer)
    assert code == 0, errors
    [deployment] = [call for call in calls if call.startswith("cloudformation deploy")]
    assert ("UnqualifiedUrls=false" in deployment) == is_new
    assert deployment.endswith("RetentionDays=30")
    uploads = [call for call in calls if call.startswith("s3api put-object")]
    assert len(uploads) == len(FUNCTIONS)
    for call in calls:
        assert not call.startswith("s3 ") and (not call.startswith("s3api ") or f"--expected-bucket-owner {ACCOUNT}" in call)


@pytest.mark.parametrize("refusal", [
    "An error occurred (Throttling) when calling the DescribeStacks operation: Rate exceeded",
    "An error occurred (AccessDenied) when calling the DescribeStacks operation: not authorized to perform: cloudformation:DescribeStacks",
    "An error occurred (ValidationError) when calling the DescribeStacks operation: Stack name is not valid",
    'Could not connect to the endpoint URL: "https://cloudformation.eu-west-1.amazonaws.com/"',
])
def test_nothing_is_deployed_if_the_stack_cannot_be_looked_up(stub, refusal):
    code, errors, calls = stub(refusal=refusal)
    assert code == 1 and refusal in errors
    assert [call.split()[:2] for call in calls] == [["sts", "get-caller-identity"], ["cloudformation", "describe-stacks"]]


def test_a_bucket_is_created_only_if_it_does_not_exist(stub):
    code, errors, calls = stub(refusal=MISSING, bucket="403")
    assert code == 1 and "(403)" in errors and f"it must belong to the account {ACCOUNT}" in errors
    assert calls[-1].startswith("s3api head-bucket")
    code, errors, calls = stub(refusal=MISSING, bucket="404")
    assert code == 0, errors
    assert [call for call in calls if call.startswith("s3api create-bucket")]


def test_the_package_deploys_without_a_toolchain(stack, release):
    stack.client("ssm").put_parameter(Name="/released/auth", Type="SecureString", Value=policy([TOKEN], ["another-secret-of-the-stack"]))
    code, output, errors = deploy(stack, release, NAME, "ProtectData=false", "RedriveConcurrency=0", "AckBudgetMs=8000",
                                  "WebhookAuthParameter=/released/auth", "Receivers=EventWebhook,SmsDelivery")
    assert code == 0, output + errors
    outputs = stack.outputs_of(NAME)
    assert f"EventWebhookUrl\t{outputs['EventWebhookUrl']}" in output.splitlines()
    assert not [name for name in outputs if name.endswith("Unqualified")]

    stack.outputs = outputs
    body = json.dumps([{"message_id": "released-1", "mobile": "919000000001", "status": "Sent", "channel": "RCS", "event_time": 1767225600}])
    answered = stack.post_to(outputs["EventWebhookUrl"], body.encode(), TOKEN)
    assert (answered.status, answered.json()["stored"]) == (200, 1)
    assert stack.post_to(outputs["EventWebhookUrl"], body.encode(), "wrong").status == 401
    assert [item["message_id"]["S"] for item in stack.items()] == ["released-1"]


def versions(stack):
    """The version that the alias of each receiver points to."""
    return {function: stack.client("lambda").get_alias(FunctionName=f"{NAME}-{function}", Name="live")["FunctionVersion"]
            for function in ["event-webhook", "sms-delivery"]}


def test_an_update_replaces_what_differs_and_keeps_data_and_parameters(stack, rebuilt):
    assert versions(stack) == {"event-webhook": "1", "sms-delivery": "1"}
    parameters = stack.parameters_of(NAME)
    # The second one changes nothing.
    for _ in range(2):
        code, output, errors = deploy(stack, rebuilt, NAME)
        assert code == 0, output + errors
        assert versions(stack) == {"event-webhook": "2", "sms-delivery": "1"}
        assert stack.parameters_of(NAME) == parameters
        assert (parameters["Receivers"], parameters["ProtectData"]) == ("EventWebhook,SmsDelivery", "false")
    assert [item["message_id"]["S"] for item in stack.items()] == ["released-1"]


@pytest.mark.parametrize("arguments, message", [
    ([], "Usage: ./deploy.sh STACK"),
    (["s" * 48], "48 characters; 47 are possible"),
    ([NAME, "--guided"], "--guided is not PARAMETER=VALUE"),
])
def test_a_wrong_argument_is_explained_before_anything_is_created(stack, release, arguments, message):
    before = len(stack.client("s3").list_buckets()["Buckets"])
    code, output, errors = deploy(stack, release, *arguments)
    assert code == 2 and message in output + errors
    assert len(stack.client("s3").list_buckets()["Buckets"]) == before


def test_a_wrong_value_changes_nothing(stack, rebuilt):
    before = stack.parameters_of(NAME)
    code, output, errors = deploy(stack, rebuilt, NAME, "RetentionDays=-1")
    assert code != 0
    assert stack.parameters_of(NAME) == before


def test_deleting_the_released_stack_leaves_nothing(stack):
    stack.delete_only(NAME)
    assert [table for table in stack.client("dynamodb").list_tables()["TableNames"] if NAME in table] == []
    assert [function["FunctionName"] for function in stack.client("lambda").list_functions()["Functions"]
            if function["FunctionName"].startswith(f"{NAME}-")] == []
