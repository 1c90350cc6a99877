"""Requests that schemathesis creates from /openapi.json: the API answers each as its description says."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_the_api_answers_as_its_description_says(instance):
    instance.post(
        [
            {"message_id": "m-1", "channel": "RCS", "status": "Sent", "mobile": "919700000001", "event_time": 1704876828000},
            {"message_id": "m-1", "channel": "RCS", "status": "Read", "mobile": "919700000001", "event_time": 1704876829000},
        ]
    )
    command = [Path(sys.executable).parent / "schemathesis", "run", f"{instance.url}/openapi.json"]
    # Fixed requests: a failure is the same in every run. Links and states need no test: no response creates an object.
    options = ["--seed", "1", "--max-examples", "8", "--phases", "coverage,fuzzing", "--workers", "4", "--no-color"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": str(HERE)}
    run = subprocess.run(
        [*command, *options], cwd=instance.path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    # All operations were tested.
    selected, tested = (
        next(line.split(":")[1].split("/")[0].strip() for line in run.stdout.splitlines() if word in line)
        for word in ("Selected:", "Tested:")
    )
    assert selected == tested and int(tested) >= 11, run.stdout[-2000:]
