"""The deployed stack: an AWS emulator on a free port, and functions to deploy, call and inspect the stack on it."""

import hashlib
import hmac
import http.client
import json
import os
import re
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
# The function of each receiver.
RECEIVERS = {name: re.sub("(?<=.)(?=[A-Z])", "-", name).lower() for name in os.environ["DEPLOYED_RECEIVERS"].split(",")}
TOKEN_HEADER = "x-netcore-token"
SIGNATURE_HEADER = "x-webhook-signature"
# RedriveConcurrency=0: the emulator's poller stops at a number from a parameter.
# RecipientIndex=true: the value of a stack of an earlier version.
# ProjectorWindowSeconds=0: the test waits for counts.
# AckBudgetMs: the emulator is much slower than DynamoDB; other tests measure response times.
PARAMETERS = {
    "Architecture": "x86_64",
    "Receivers": ",".join(RECEIVERS),
    "RedriveConcurrency": "0",
    "ProjectorWindowSeconds": "0",
    "RecipientIndex": "true",
    "AckBudgetMs": "8000",
    "WebhookAuthParameter": AUTH_PARAMETER,
    "AuthRefreshSeconds": "10",
    "MaxReceiveCount": "2",
}
# samconfig.toml sets this in the root folder; SAM CLI does not find it next to these templates.
LOOPS = ["--language-extensions"]
# SQS actions whose permission includes batches.
BATCHES = {"sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}


def eventually(look, wanted, seconds=60):
    """Calls `look` until `wanted` accepts its result, and returns the result; fails after `seconds`."""
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


def logical(function):
    """The beginning of a function's logical ids and outputs: EventWebhook for event-webhook."""
    return "".join(word.capitalize() for word in function.split("-"))


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def listens(port):
    with socket.socket() as there:
        return there.connect_ex(("127.0.0.1", port)) == 0


class Answer:
    """Response of a function URL."""

    def __init__(self, response, took):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()
        self.took = took

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r} after {self.took:.2f} s"


class Stack:
    """Owns the emulator's process. A context manager; at its end, all processes are stopped."""

    def __init__(self, build, scratch, python):
        self.build, self.scratch, self.python = Path(build), Path(scratch), python
        self.token, self.secret = os.urandom(16).hex(), os.urandom(16).hex()
        self.port = free_port()
        self.endpoint = f"https://127.0.0.1:{self.port}"
        # The emulator creates it at its start.
        self.certificate = self.scratch / "tmp" / "ministack-tls" / "server.crt"
        self.pid_file = self.scratch / "emulator.pid"
        self.outputs = {}
        self.parameters = dict(PARAMETERS)
        # Cookies of dashboard sessions, by role.
        self.cookies = {}

    # ------------------------------------------------------------------ emulator

    def __enter__(self):
        temporary = self.scratch / "tmp"
        temporary.mkdir()
        self.log = self.scratch / "emulator.log"
        environment = os.environ | {
            "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0",
            # TLS, because the queue policies require it. The functions inherit endpoint and certificate.
            "USE_SSL": "1", "AWS_ENDPOINT_URL": self.endpoint, "SSL_CERT_FILE": str(self.certificate),
            # The emulator unpacks functions there, so that their processes can be identified by path.
            "TMPDIR": str(temporary), "STATE_DIR": str(temporary / "state"),
            # Evaluates policies: a function without a permission also fails here.
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
        # Warm functions may still run. Only they run from this folder.
        for pid in self.running():
            os.kill(pid, signal.SIGKILL)

    def running(self):
        """Process ids of running functions."""
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
        """`sam package`: uploads the binaries once instead of at every deployment. It takes no parameters."""
        template = (self.build / "template.yaml").read_text()
        default = re.search(r"\n  Receivers:\n.*?\n    Default: (.*?)\n", template, re.DOTALL)
        every = self.build / "every-receiver.yaml"
        every.write_text(template[:default.start(1)] + ",".join(RECEIVERS) + template[default.end(1):])
        code, output = self.sam("package", *LOOPS, "--template-file", str(every), "--resolve-s3",
                                "--region", REGION, "--output-template-file", "packaged.yaml", "--no-progressbar")
        assert code == 0, output

    def deploy(self, template="packaged.yaml", **parameters):
        """`sam deploy` with the parameters of the last deployment and these; returns exit code and output."""
        self.parameters |= parameters
        code, output = self.deploy_to(STACK, template, self.parameters)
        if code == 0:
            self.outputs = self.outputs_of(STACK)
        return code, output

    def deploy_to(self, name, template, parameters):
        """`sam deploy` of any stack; returns exit code and output."""
        overrides = [f"{key}={value}" for key, value in parameters.items()]
        code, output = self.sam(
            "deploy", *LOOPS, "--template-file", str(template), "--stack-name", name, "--region", REGION, "--resolve-s3",
            "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar",
            *(["--parameter-overrides", *overrides] if overrides else []))
        if code == 0:
            self.allow_batches()
        return code, output

    def described(self, name):
        """A stack as CloudFormation describes it."""
        [stack] = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        return stack

    def outputs_of(self, name):
        return {entry["OutputKey"]: entry["OutputValue"] for entry in self.described(name).get("Outputs", [])}

    def parameters_of(self, name):
        return {entry["ParameterKey"]: entry["ParameterValue"] for entry in self.described(name)["Parameters"]}

    def roles(self):
        """Names of the stack's roles."""
        return [role["RoleName"] for role in self.client("iam").list_roles()["Roles"] if STACK in role["RoleName"]]

    def allow_batches(self):
        """In AWS, the permission to send a message includes batches; the emulator requires two permissions."""
        iam = self.client("iam")
        for role in self.roles():
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
                for statement in document["Statement"]:
                    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                    statement["Action"] = actions + [f"{action}Batch" for action in actions if action in BATCHES]
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))

    def delete(self, name=STACK):
        """`sam delete`, which also deletes the uploaded binaries."""
        code, output = self.sam("delete", "--stack-name", name, "--region", REGION, "--no-prompts")
        assert code == 0, output

    def delete_only(self, name):
        """Deletes a stack, and not the uploaded binaries."""
        cloudformation = self.client("cloudformation")
        cloudformation.delete_stack(StackName=name)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})

    def put_policy(self, tokens, secrets):
        self.client("ssm").put_parameter(Name=AUTH_PARAMETER, Type="SecureString", Overwrite=True,
                                         Value=policy(tokens, secrets))

    def put_sign_in(self, passwords):
        entries = [{"role": role, "password": password} for role, password in passwords.items()]
        self.client("ssm").put_parameter(Name=SIGN_IN_PARAMETER, Type="SecureString", Overwrite=True,
                                         Value=json.dumps({"key": os.urandom(32).hex(), "sign_in": entries}))

    # ------------------------------------------------------------------ calling

    def call(self, url, method="POST", path="/", query=None, headers=None, body=b"", signed=False):
        """Sends a request to a function URL. `signed`: with an IAM signature."""
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
        """A function's URL, from the stack's outputs."""
        return self.outputs[f"{logical(function)}Url"]

    def post(self, function, body, token=None):
        """Posts as Netcore does, with the custom header."""
        return self.post_to(self.url(function), body, token)

    def post_to(self, url, body, token=None):
        return self.call(url, headers={TOKEN_HEADER: token or self.token}, body=body)

    def post_signed(self, function, body):
        """Posts as a sender with a signature does."""
        signature = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        return self.call(self.url(function), headers={SIGNATURE_HEADER: f"sha256={signature}"}, body=body)

    # -------------------------------------------------------------- cargo-lambda

    @contextmanager
    def cargo_lambda(self, functions):
        """Runs cargo-lambda's emulator with the built functions, on the stack's table and queues."""
        port = free_port()
        processes = [subprocess.Popen(
            ["cargo-lambda", "lambda", "watch", "--only-lambda-apis", "--ignore-changes", "--invoke-address", "127.0.0.1",
             "--invoke-port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
        try:
            eventually(lambda: listens(port), bool)
            for function in functions:
                name = f"{STACK}-{function}"
                variables = self.client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
                environment = os.environ | variables | {
                    "AWS_ENDPOINT_URL": self.endpoint, "SSL_CERT_FILE": str(self.certificate),
                    "AWS_LAMBDA_RUNTIME_API": f"http://127.0.0.1:{port}/.rt/{function}",
                    "AWS_LAMBDA_FUNCTION_NAME": function, "AWS_LAMBDA_FUNCTION_VERSION": "1",
                    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
                }
                processes.append(subprocess.Popen([self.build / f"{logical(function)}Function" / "bootstrap"], env=environment,
                                                  stdout=subprocess.DEVNULL))
            yield f"http://127.0.0.1:{port}"
        finally:
            for process in processes:
                process.kill()
                process.wait()

    # --------------------------------------------------------------- inspecting

    def items(self, table="EventsTableName"):
        """All items of a table."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs[table], ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def events_of(self, message_id):
        """All items of a message."""
        return self.client("dynamodb").query(
            TableName=self.outputs["EventsTableName"], KeyConditionExpression="message_id = :id", ConsistentRead=True,
            ExpressionAttributeValues={":id": {"S": message_id}})["Items"]

    def depth(self, queue):
        """Number of messages in a queue, visible or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def take(self, queue):
        """Receives and deletes all messages of a queue."""
        sqs, taken = self.client("sqs"), []
        while messages := sqs.receive_message(
                QueueUrl=self.outputs[queue], MaxNumberOfMessages=10, WaitTimeSeconds=0,
                AttributeNames=["All"], MessageAttributeNames=["All"]).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=self.outputs[queue], ReceiptHandle=message["ReceiptHandle"])
            taken += messages
        return taken

    def change_environment(self, function, **variables):
        """Sets variables of a deployed function; None removes one. A receiver's alias gets a version with them. Returns
        the previous values."""
        functions = self.client("lambda")
        name = f"{STACK}-{function}"
        environment = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        before = {key: environment.get(key) for key in variables}
        environment = {key: value for key, value in (environment | variables).items() if value is not None}
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": environment})
        if self.alias(function):
            self.move_alias(function, functions.publish_version(FunctionName=name)["Version"])
        return before

    def alias(self, function):
        """The version that a receiver's alias points to; None for the other functions."""
        functions = self.client("lambda")
        try:
            return functions.get_alias(FunctionName=f"{STACK}-{function}", Name="live")["FunctionVersion"]
        except functions.exceptions.ResourceNotFoundException:
            return None

    def move_alias(self, function, version):
        """As docs/operate.md rolls back."""
        self.client("lambda").update_alias(FunctionName=f"{STACK}-{function}", Name="live", FunctionVersion=version)

    def functions(self):
        """Names of the stack's functions without the stack's name."""
        names = [function["FunctionName"] for function in self.client("lambda").list_functions()["Functions"]]
        return sorted(name.removeprefix(f"{STACK}-") for name in names)

    def logged(self, function):
        """Log lines of a function, in order."""
        pages = self.client("logs").get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{STACK}-{function}")
        return [event["message"].strip() for page in pages for event in page["events"]]
