"""The stage: an emulator of AWS on a port of its own, the stack on it, and who calls and looks at it."""

import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ROOT = Path(__file__).resolve().parents[2]
REGION = os.environ["AWS_REGION"]
STACK = "webhooks-under-test"
AUTH_PARAMETER = f"/{STACK}/auth"
SIGN_IN_PARAMETER = f"/{STACK}/dashboard"
TOKEN_HEADER = "x-netcore-token"
SIGNATURE_HEADER = "x-webhook-signature"
# RedriveConcurrency=0: the emulator's poller stops at a number that came from a parameter.
# AckBudgetMs: the emulator beside a build is far slower than DynamoDB; how fast we are, other tests measure.
PARAMETERS = {
    "Architecture": "x86_64",
    "ProtectData": "false",
    "RedriveConcurrency": "0",
    "AckBudgetMs": "8000",
    "WebhookAuthParameter": AUTH_PARAMETER,
    "AuthRefreshSeconds": "10",
    "MaxReceiveCount": "2",
}
# What samconfig.toml says in the root; SAM CLI does not look for it beside these templates.
LOOPS = ["--language-extensions"]
# SQS actions that exist for batches too, without a right of their own.
BATCHES = {"sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}


def eventually(look, wanted, seconds=60):
    """What `look` returns, as soon as `wanted` says yes to it; fails when it does not in time."""
    until = time.monotonic() + seconds
    while True:
        seen = look()
        if wanted(seen):
            return seen
        if time.monotonic() > until:
            raise AssertionError(f"not seen within {seconds} s; last seen: {seen!r}")
        time.sleep(0.25)


def policy(tokens, secrets):
    """WEBHOOK_AUTH with Netcore's custom header and a signature."""
    return json.dumps({"accept": [
        {"type": "header", "name": TOKEN_HEADER, "values": tokens},
        {"type": "hmac", "header": SIGNATURE_HEADER, "prefix": "sha256=", "secrets": secrets},
    ]})


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def listens(port):
    with socket.socket() as there:
        return there.connect_ex(("127.0.0.1", port)) == 0


class Answer:
    """What a function URL answered."""

    def __init__(self, response, took):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()
        self.took = took

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r} after {self.took:.2f} s"


class Stage:
    """Owns the emulator's process. Use as a context manager: nothing of it is left afterwards."""

    def __init__(self, build, scratch, python):
        self.build, self.scratch, self.python = Path(build), Path(scratch), python
        self.token, self.secret = os.urandom(16).hex(), os.urandom(16).hex()
        self.port = free_port()
        self.endpoint = f"https://127.0.0.1:{self.port}"
        # Made by the emulator for itself at its start.
        self.certificate = self.scratch / "tmp" / "ministack-tls" / "server.crt"
        self.pid_file = self.scratch / "emulator.pid"
        self.outputs = {}
        self.parameters = dict(PARAMETERS)
        # Of the dashboard's sessions, by role.
        self.cookies = {}

    # ------------------------------------------------------------------ emulator

    def __enter__(self):
        temporary = self.scratch / "tmp"
        temporary.mkdir()
        self.log = self.scratch / "emulator.log"
        environment = os.environ | {
            "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0",
            # TLS, because the queues refuse everything else. The functions inherit where and whom to trust.
            "USE_SSL": "1", "AWS_ENDPOINT_URL": self.endpoint, "SSL_CERT_FILE": str(self.certificate),
            # It unpacks functions there, so that every process of theirs can be told by its path.
            "TMPDIR": str(temporary), "STATE_DIR": str(temporary / "state"),
            # Policies are evaluated: a function that lacks a right fails here too.
            "AUTH": "true",
        }
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([self.python, "-m", "ministack"], env=environment, stdout=log,
                                            stderr=subprocess.STDOUT, start_new_session=True)
        self.pid_file.write_text(str(self.process.pid))
        try:
            eventually(self.listens, bool)
        except BaseException:
            self.__exit__()
            raise
        return self

    def listens(self):
        assert self.process.poll() is None, f"the emulator ended:\n{self.log.read_text()[-3000:]}"
        return listens(self.port) and self.certificate.exists()

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.pid_file.unlink()
        # Warm functions may outlive it. They run from its folder, and nothing else does.
        for pid in self.running():
            os.kill(pid, signal.SIGKILL)

    def running(self):
        """The processes of functions."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                program = os.readlink(entry / "exe")
            except OSError:
                continue
            if program.startswith(f"{self.scratch}{os.sep}"):
                found.append(int(entry.name))
        return found

    # --------------------------------------------------------------------- stack

    def client(self, service):
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, verify=str(self.certificate))

    def sam(self, *arguments):
        environment = os.environ | {"AWS_ENDPOINT_URL": self.endpoint, "AWS_CA_BUNDLE": str(self.certificate)}
        result = subprocess.run(["sam", *arguments], cwd=self.scratch, env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return result.returncode, result.stdout

    def package(self):
        """`sam package`: the binaries go up once, not with every deployment."""
        code, said = self.sam("package", *LOOPS, "--template-file", str(self.build / "template.yaml"), "--resolve-s3",
                              "--region", REGION, "--output-template-file", "packaged.yaml", "--no-progressbar")
        assert code == 0, said

    def deploy(self, **parameters):
        """`sam deploy` with parameters beside those of the last deployment; its exit code and what it said."""
        self.parameters |= parameters
        overrides = [f"{name}={value}" for name, value in self.parameters.items()]
        code, said = self.sam(
            "deploy", *LOOPS, "--template-file", "packaged.yaml", "--stack-name", STACK, "--region", REGION, "--resolve-s3",
            "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar",
            "--parameter-overrides", *overrides)
        if code == 0:
            stack = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
            self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
            self.allow_batches()
        return code, said

    def roles(self):
        """The names of the stack's roles."""
        return [role["RoleName"] for role in self.client("iam").list_roles()["Roles"] if STACK in role["RoleName"]]

    def allow_batches(self):
        """In AWS the right to send a message is the right to send a batch of them; the emulator knows two rights."""
        iam = self.client("iam")
        for role in self.roles():
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
                for statement in document["Statement"]:
                    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                    statement["Action"] = actions + [f"{action}Batch" for action in actions if action in BATCHES]
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))

    def delete(self):
        return self.sam("delete", "--stack-name", STACK, "--region", REGION, "--no-prompts")

    def keep_policy(self, tokens, secrets):
        self.client("ssm").put_parameter(Name=AUTH_PARAMETER, Type="SecureString", Overwrite=True,
                                         Value=policy(tokens, secrets))

    def keep_sign_in(self, passwords):
        entries = [{"role": role, "password": password} for role, password in passwords.items()]
        self.client("ssm").put_parameter(Name=SIGN_IN_PARAMETER, Type="SecureString", Overwrite=True,
                                         Value=json.dumps({"key": os.urandom(32).hex(), "sign_in": entries}))

    # ------------------------------------------------------------------ calling

    def call(self, url, method="POST", path="/", query=None, headers=None, body=b"", signed=False):
        """A request to a function URL, as the internet would make it. `signed`: with IAM."""
        host = urlsplit(url).hostname
        target = quote(path) + (f"?{urlencode(query)}" if query else "")
        headers = {"content-type": "application/json", "host": host} | (headers or {})
        if signed:
            request = AWSRequest(method, f"https://{host}{target}", headers=headers, data=body)
            SigV4Auth(Credentials("test", "test"), "lambda", REGION).add_auth(request)
            headers = dict(request.headers.items())
        began = time.monotonic()
        trust = ssl.create_default_context(cafile=self.certificate)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=trust)
        try:
            connection.request(method, target, body=body, headers=headers)
            return Answer(connection.getresponse(), time.monotonic() - began)
        finally:
            connection.close()

    def url(self, function):
        """The output that the template gives a function's URL."""
        return self.outputs["".join(word.capitalize() for word in function.split("-")) + "Url"]

    def post(self, function, body, token=None):
        """As Netcore posts: with the custom header."""
        return self.call(self.url(function), headers={TOKEN_HEADER: token or self.token}, body=body)

    def post_signed(self, function, body):
        """As a sender with a signature posts."""
        signature = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        return self.call(self.url(function), headers={SIGNATURE_HEADER: f"sha256={signature}"}, body=body)

    # -------------------------------------------------------------- cargo-lambda

    @contextmanager
    def cargo_lambda(self, functions):
        """cargo-lambda's emulator with built functions behind it, on the stack's table and queues."""
        port = free_port()
        processes = [subprocess.Popen(
            ["cargo-lambda", "lambda", "watch", "--only-lambda-apis", "--ignore-changes", "--invoke-address", "127.0.0.1",
             "--invoke-port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
        try:
            eventually(lambda: listens(port), bool)
            for function in functions:
                logical = "".join(word.capitalize() for word in function.split("-")) + "Function"
                name = f"{STACK}-{function}"
                variables = self.client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
                environment = os.environ | variables | {
                    "AWS_ENDPOINT_URL": self.endpoint, "SSL_CERT_FILE": str(self.certificate),
                    "AWS_LAMBDA_RUNTIME_API": f"http://127.0.0.1:{port}/.rt/{function}",
                    "AWS_LAMBDA_FUNCTION_NAME": function, "AWS_LAMBDA_FUNCTION_VERSION": "1",
                    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
                }
                processes.append(subprocess.Popen([self.build / logical / "bootstrap"], env=environment,
                                                  stdout=subprocess.DEVNULL))
            yield f"http://127.0.0.1:{port}"
        finally:
            for process in processes:
                process.kill()
                process.wait()

    # ------------------------------------------------------------------ looking

    def items(self, table="EventsTableName"):
        """Every item of a table."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs[table], ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def events_of(self, message_id):
        """The items of a message."""
        return self.client("dynamodb").query(
            TableName=self.outputs["EventsTableName"], KeyConditionExpression="message_id = :id", ConsistentRead=True,
            ExpressionAttributeValues={":id": {"S": message_id}})["Items"]

    def depth(self, queue):
        """How many messages a queue holds, seen or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def take(self, queue):
        """The queue's messages, taken out of it."""
        sqs, taken = self.client("sqs"), []
        while messages := sqs.receive_message(
                QueueUrl=self.outputs[queue], MaxNumberOfMessages=10, WaitTimeSeconds=0,
                AttributeNames=["All"], MessageAttributeNames=["All"]).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=self.outputs[queue], ReceiptHandle=message["ReceiptHandle"])
            taken += messages
        return taken

    def change_environment(self, function, **variables):
        """Other variables for a running function, until it is changed back; None takes one away."""
        functions = self.client("lambda")
        name = f"{STACK}-{function}"
        environment = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        before = {key: environment.get(key) for key in variables}
        environment = {key: value for key, value in (environment | variables).items() if value is not None}
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": environment})
        return before

    def functions(self):
        """The stack's functions, by their plain names."""
        names = [function["FunctionName"] for function in self.client("lambda").list_functions()["Functions"]]
        return sorted(name.removeprefix(f"{STACK}-") for name in names)

    def logged(self, function):
        """A function's log lines, in order."""
        pages = self.client("logs").get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{STACK}-{function}")
        return [event["message"].strip() for page in pages for event in page["events"]]
