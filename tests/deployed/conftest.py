"""One stage for all tests: what one test leaves in the stack, the next one finds."""

import os
import sys
from pathlib import Path

import pytest

from stage import Stage

# For the check of its dashboard.
sys.path.insert(0, str(Path(__file__).parents[2] / "infra" / "grafana"))


@pytest.fixture(scope="session")
def stage():
    build, scratch, python = (os.environ[f"DEPLOYED_{name}"] for name in ("BUILD", "SCRATCH", "EMULATOR"))
    with Stage(build, scratch, python) as stage:
        yield stage


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows the last words of the functions and of the emulator."""
    report = yield
    stage = item.funcargs.get("stage")
    if report.when == "call" and report.failed and stage:
        for function in stage.functions():
            report.sections.append((function, "\n".join(stage.logged(function)[-20:])))
        report.sections.append(("emulator", stage.log.read_text()[-8000:]))
    return report
