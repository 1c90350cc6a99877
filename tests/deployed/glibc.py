"""Finds the newest glibc version that binaries need, from the version needs in their ELF sections.

Usage: glibc.py NEWEST FILE...     for example glibc.py 2.34 bootstrap
Exits with 1 and names the file if one needs a newer version: it would not start on Amazon Linux 2023.
"""

import re
import sys

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection


def number(version):
    return tuple(int(part) for part in version.split("."))


def needed(path):
    """The newest glibc version that a file needs; None if it needs none."""
    with open(path, "rb") as file:
        versions = [
            version.name.removeprefix("GLIBC_")
            for section in ELFFile(file).iter_sections() if isinstance(section, GNUVerNeedSection)
            for _, auxiliaries in section.iter_versions() for version in auxiliaries
            if re.fullmatch(r"GLIBC_[0-9.]+", version.name)
        ]
    return max(versions, key=number, default=None)


def main():
    newest, *files = sys.argv[1:]
    if not files:
        print("no file to check", file=sys.stderr)
        return 1
    failed = 0
    for path in files:
        version = needed(path)
        print(f"{path}: glibc {version or 'none'}")
        if version and number(version) > number(newest):
            print(f"{path} needs glibc {version}; the newest available version is {newest}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
