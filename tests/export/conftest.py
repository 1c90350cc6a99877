"""A running `netcore-webhooks serve` in a temporary folder, and the command's other subcommands on it."""

import json
import os
import re
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest

COMMAND = os.environ["NETCORE_WEBHOOKS"]


class Instance:
    """A local instance with its own data folder."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="export-test-")
        self.path = Path(self.folder.name)
        environment = {"PATH": os.environ["PATH"], "RUST_LOG": "error"}
        self.server = subprocess.Popen(
            [COMMAND, "serve", "--listen", "127.0.0.1:0"],
            cwd=self.path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        output = []
        for line in self.server.stdout:
            output.append(line)
            if line.strip() == "ready":
                break
        text = "".join(output)
        self.url = re.search(r"http://127\.0\.0\.1:\d+", text).group()
        self.token = re.search(r"x-netcore-token: ([^']+)'", text).group(1)

    def post(self, records, function="event-webhook"):
        """Posts records until all of them are stored."""
        body = json.dumps(records).encode()
        for _ in range(20):
            request = urllib.request.Request(
                f"{self.url}/lambda-url/{function}/",
                data=body,
                headers={"content-type": "application/json", "x-netcore-token": self.token},
            )
            answer = json.load(urllib.request.urlopen(request, timeout=60))
            assert answer["received"] == len(records) and answer["dead_lettered"] == 0, answer
            if answer["stored"] + answer["duplicates"] == len(records):
                return
        raise AssertionError("the events are not stored")

    def start(self, *arguments):
        """Starts a subcommand."""
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.path,
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments):
        """Runs a subcommand; returns its standard output."""
        process = self.start(*arguments)
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        return out

    def stop(self):
        self.server.terminate()
        self.server.wait(timeout=30)
        self.folder.cleanup()


@pytest.fixture(scope="module")
def instance():
    running = Instance()
    yield running
    running.stop()
