"""One stack for all tests. Each test uses the state that the previous test left."""

import os
import sys
from pathlib import Path

import pytest

from stack import Stack

# For check.py of the Grafana dashboard.
sys.path.insert(0, str(Path(__file__).parents[2] / "infra" / "grafana"))


@pytest.fixture(scope="session")
def stack():
    build, scratch, python = (os.environ[f"DEPLOYED_{name}"] for name in ("BUILD", "SCRATCH", "EMULATOR"))
    with Stack(build, scratch, python) as stack:
        yield stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Adds the last log lines of the functions and of the emulator to the report of a failed test."""
    report = yield
    stack = item.funcargs.get("stack")
    if report.when == "call" and report.failed and stack:
        for function in stack.functions():
            report.sections.append((function, "\n".join(stack.logged(function)[-20:])))
        report.sections.append(("emulator", stack.log.read_text()[-8000:]))
    return report
