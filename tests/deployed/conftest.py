"""One stage for all tests: each test finds the stack as the previous test left it."""

import os
import sys
from pathlib import Path

import pytest

from stage import Stage

# For check.py of the Grafana dashboard.
sys.path.insert(0, str(Path(__file__).parents[2] / "infra" / "grafana"))


@pytest.fixture(scope="session")
def stage():
    build, scratch, python = (os.environ[f"DEPLOYED_{name}"] for name in ("BUILD", "SCRATCH", "EMULATOR"))
    with Stage(build, scratch, python) as stage:
        yield stage


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Adds the last log lines of the functions and of the emulator to the report of a failed test."""
    report = yield
    stage = item.funcargs.get("stage")
    if report.when == "call" and report.failed and stage:
        for function in stage.functions():
            report.sections.append((function, "\n".join(stage.logged(function)[-20:])))
        report.sections.append(("emulator", stage.log.read_text()[-8000:]))
    return report
