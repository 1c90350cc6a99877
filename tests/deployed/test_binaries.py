"""The output of `sam build`: one binary per function, and all start on Amazon Linux 2023."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from glibc import needed, number

BUILD = Path(os.environ["DEPLOYED_BUILD"])
ROOT = Path(__file__).parents[2]
# https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html
NEWEST = "2.34"


def binaries():
    return sorted(BUILD.glob("*/bootstrap"))


def check(newest, *files):
    return subprocess.run([sys.executable, Path(__file__).with_name("glibc.py"), newest, *files], text=True,
                          capture_output=True)


def test_every_function_has_a_binary():
    programs = [*(ROOT / "functions").glob("*/src/main.rs"), *(ROOT / "functions").glob("*/src/bin/*.rs")]
    assert len(binaries()) == len(programs)


def test_all_binaries_differ():
    """In a loop of the template, SAM CLI may use one binary for all functions."""
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in binaries()}) == len(binaries())


def test_no_binary_needs_a_newer_glibc():
    result = check(NEWEST, *binaries())
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("glibc 2.") == len(binaries())


def test_the_check_detects_a_newer_glibc():
    binary = binaries()[0]
    major, minor = number(needed(binary))
    assert check(f"{major}.{minor}", binary).returncode == 0
    result = check(f"{major}.{minor - 1}", binary)
    assert result.returncode == 1 and f"needs glibc {major}.{minor}" in result.stderr
    assert check(NEWEST).returncode == 1
