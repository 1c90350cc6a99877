"""docs/deploy.md with the package of a release, as a newcomer follows it on a system that has AWS CLI and curl, and neither
Rust nor this repository. Runs if DEPLOYED_CHROOT names the root folder of such a system (infra/README.md); needs root.
NETCORE_WEBHOOKS is the command of the release. DEPLOYED_PACKAGE is its package; without it, a package is made from the binaries
of `sam build`."""

import io
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from alarms import Alarms
from stack import REGION, STACK
from test_deployed import left
from test_release import DEPLOYED, built, package  # noqa: F401 (a fixture)

CHROOT = os.environ.get("DEPLOYED_CHROOT")
PACKAGE = os.environ.get("DEPLOYED_PACKAGE")
ARCHITECTURE = re.search(r"-aws-(arm64|x86_64)\.zip$", PACKAGE)[1] if PACKAGE else "x86_64"
# An address of its own: something else may listen at 127.0.0.1.
HOST = "127.0.0.2"
pytestmark = pytest.mark.skipif(not CHROOT, reason="DEPLOYED_CHROOT names no system")
EVENT = """'[{
  "channel": "RCS", "status": "Sent", "message_id": "first-try", "mobile": "919000000000",
  "event_time": '"$(date +%s)"', "requestid": "first-try", "type": "Text", "tags": [],
  "callbackdata": "", "click_data": {}, "last_channel": "", "remarks": ""}]'"""


class Addresses:
    """Serves the hosts of function URLs at port 443, where curl and `doctor` look for them, with a certificate that the system of
    the newcomer trusts. Requests go on to the emulator."""

    def __init__(self, stack, folder):
        self.stack, self.folder, self.server = stack, folder, None
        self.authority = folder / "authority.crt"
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority of the test",
                     "-keyout", "authority.key", "-out", "authority.crt")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def serve(self, hosts):
        (self.folder / "hosts.cnf").write_text("subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts))
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=function URLs", "-keyout", "urls.key", "-out", "urls.csr")
        self.openssl("x509", "-req", "-in", "urls.csr", "-CA", "authority.crt", "-CAkey", "authority.key", "-CAcreateserial",
                     "-days", "2", "-extfile", "hosts.cnf", "-out", "urls.crt")
        stack = self.stack

        class Forward(BaseHTTPRequestHandler):
            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                url = f"https://{self.headers['host']}"
                path, _, query = self.path.partition("?")
                answer = stack.call(url, self.command, path, dict(parse_qsl(query)), {name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    if name not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_HEAD = do_POST = handle_any

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((HOST, 443), Forward)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "urls.crt", self.folder / "urls.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()


class Newcomer:
    """A shell on the system without Rust."""

    def __init__(self, stack, folder):
        self.stack, self.root = stack, Path(CHROOT)
        self.home = self.root / "root" / "trial"
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.addresses = Addresses(stack, folder)
        shutil.copy(os.environ["NETCORE_WEBHOOKS"], self.root / "usr" / "local" / "bin" / "netcore-webhooks")
        # The system trusts the authority of the function URLs, and the emulator.
        trusted = self.stack.certificate.read_text() + self.addresses.authority.read_text()
        (self.home / "trusted.crt").write_text(trusted)
        self.variables = {}

    def run(self, line, code=0):
        # AWS CLI 1 does not read AWS_REGION.
        environment = {
            "AWS_DEFAULT_REGION": REGION, "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION, "AWS_ENDPOINT_URL": self.stack.endpoint, "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CA_BUNDLE": "/root/trial/trusted.crt", "SSL_CERT_FILE": "/root/trial/trusted.crt",
            "CURL_CA_BUNDLE": "/root/trial/trusted.crt"} | self.variables
        result = subprocess.run([shutil.which("chroot"), self.root, "/bin/bash", "-c", f"cd /root/trial && {line}"], env=environment, text=True,
                                capture_output=True, timeout=600)
        assert result.returncode == code, f"{line}\n{result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def resolve(self):
        """Function URLs resolve to this machine."""
        hosts = [urlsplit(value).hostname for name, value in self.stack.outputs_of(STACK).items() if name.endswith("Url")
                 and "lambda-url" in value]
        (self.root / "etc" / "hosts").write_text("".join(f"{HOST} {host}\n" for host in hosts))
        self.addresses.serve(hosts)

    def doctor(self, code):
        checks = json.loads(self.run(f"netcore-webhooks doctor --stack {STACK} --json", code))
        return {(check["check"], check["subject"]): check for check in checks}


def post(message_id):
    """The command of the guide that posts an event."""
    event = EVENT.replace("first-try", message_id)
    return f"curl -sS -X POST \"$URL\" -H \"x-netcore-token: $TOKEN\" -H 'content-type: application/json' -d {event}"


@pytest.fixture(scope="module")
def binaries(request):
    """The binary of each function."""
    if not PACKAGE:
        return request.getfixturevalue("built")
    found = {}
    with zipfile.ZipFile(PACKAGE) as files:
        for name in files.namelist():
            function = re.search(r"/functions/(.+)-[0-9a-f]{16}\.zip$", name)
            if function and function[1] in DEPLOYED:
                with zipfile.ZipFile(io.BytesIO(files.read(name))) as archive:
                    found[function[1]] = archive.read("bootstrap")
    return found


@pytest.fixture(scope="module")
def newcomer(stack, tmp_path_factory):
    newcomer = Newcomer(stack, tmp_path_factory.mktemp("authority"))
    yield newcomer
    newcomer.addresses.close()


def test_the_system_has_no_toolchain(newcomer):
    newcomer.run("! command -v cargo rustc gcc sam zig node pip git")


def test_the_guide_leads_to_a_stored_event(stack, newcomer, binaries, tmp_path):
    shutil.copy(PACKAGE or package(tmp_path / "release", binaries), newcomer.home / "package.zip")
    began = time.monotonic()
    newcomer.run(f"unzip -q package.zip && mv netcore-webhooks-*-aws-{ARCHITECTURE} package")
    shown = newcomer.run("netcore-webhooks init --ssm --show --json")
    [token] = [setting["value"] for setting in json.loads(shown)["settings"] if setting["field"] == "header value"]
    before = newcomer.doctor(0)
    assert before["policy", "/netcore-webhooks/auth"]["result"] == "ok", before
    # RedriveConcurrency and AckBudgetMs: as for the other stacks on the emulator.
    output = newcomer.run(f"package/deploy.sh {STACK} ProtectData=false RedriveConcurrency=0 AckBudgetMs=8000 "
                          "ProjectorWindowSeconds=0 Receivers=EventWebhook,SmsDelivery")
    deployed = time.monotonic() - began
    stack.allow_batches()
    newcomer.resolve()
    [url] = re.findall(r"^EventWebhookUrl\t(.*)$", output, re.MULTILINE)
    newcomer.variables = {"URL": url, "TOKEN": token}
    assert newcomer.run("curl -sS -o /dev/null -w '%{http_code}' \"$URL\"") == "200"
    assert newcomer.run("curl -sS -o /dev/null -w '%{http_code}' -X POST \"$URL\" -d '[]'") == "401"
    assert json.loads(newcomer.run(post("first-try")))["stored"] == 1
    print(f"\nfrom the archive to the outputs of the stack: {deployed:.0f} s, to the first event: {time.monotonic() - began:.0f} s")
    assert json.loads(newcomer.run(post("first-try")))["duplicates"] == 1
    stack.outputs = stack.outputs_of(STACK)
    [item] = stack.items()
    assert (item["message_id"]["S"], item["recipient"]["S"]) == ("first-try", "919000000000")
    found = newcomer.run(f"EVENTS_TABLE={stack.outputs['EventsTableName']} netcore-webhooks get first-try")
    assert "sent" in found.lower(), found


def test_doctor_finds_nothing_wrong(stack, newcomer):
    # The emulator's CloudFormation leaves these properties of the template out.
    dynamodb = stack.client("dynamodb")
    for output in ["EventsTableName", "RollupsTableName"]:
        table = stack.outputs[output]
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"})
        dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    checks = newcomer.doctor(0)
    print("".join(f"\n{check['result']} {check['check']} {check['subject']}: {check['found']}" for check in checks.values()))
    for name in ["url", "url-wrong-signature", "url-right-signature", "dashboard-url", "queue-depth", "event-source", "alarms"]:
        results = [check["result"] for (kind, _), check in checks.items() if kind == name]
        assert results and set(results) == {"ok"}, (name, results)
    # ProtectData=false, the emulator's indexes have no state, and nobody is subscribed to the alarms.
    assert {name for (name, _), check in checks.items() if check["result"] != "ok"} == {"table", "alarm-subscription"}


def test_silence_raises_an_alarm(stack):
    alarms = Alarms(stack)
    alarms.extract()
    assert not alarms.is_on("silence")
    assert alarms.is_on("silence", later=3 * 86_400 + 3600)


def test_an_upgrade_and_its_rollback_take_one_command_each(stack, newcomer, binaries, tmp_path):
    changed = binaries | {"event-webhook": binaries["event-webhook"] + b"\n"}
    shutil.copy(package(tmp_path / "next", changed, ARCHITECTURE), newcomer.home / "next.zip")
    newcomer.run(f"unzip -q next.zip && mv netcore-webhooks-*-aws-{ARCHITECTURE} next")
    newcomer.run(f"next/deploy.sh {STACK}")
    stack.allow_batches()
    assert (stack.alias("event-webhook"), stack.alias("sms-delivery")) == ("2", "1")
    versions = newcomer.run(f"aws lambda list-versions-by-function --function-name {STACK}-event-webhook "
                            "--query 'Versions[].[Version,LastModified,Description]' --output text")
    assert [line.split("\t")[0] for line in versions.splitlines()] == ["$LATEST", "1", "2"]
    newcomer.run(f"aws lambda update-alias --function-name {STACK}-event-webhook --name live --function-version 1")
    assert stack.alias("event-webhook") == "1"
    assert json.loads(newcomer.run(post("second-try")))["stored"] == 1
    assert {item["message_id"]["S"] for item in stack.items()} == {"first-try", "second-try"}


def test_removing_the_stack_leaves_nothing(stack, newcomer):
    newcomer.run(f"aws cloudformation delete-stack --stack-name {STACK} && "
                 f"aws cloudformation wait stack-delete-complete --stack-name {STACK}")
    newcomer.run("aws ssm delete-parameter --name /netcore-webhooks/auth")
    assert left(stack) == {}
