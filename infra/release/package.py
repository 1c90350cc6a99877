#!/usr/bin/env python3
"""Makes the package that deploys without Rust: the functions as zips, a template that refers to them, and deploy.sh.

Usage: package.py BINARIES ARCHITECTURE FOLDER
       package.py --version     prints the version of the workspace
       package.py --changes     prints the section of this version in CHANGELOG.md
       package.py --template    prints the template of the package for arm64

BINARIES has a folder per function with the binary `bootstrap`, as `cargo lambda build` writes it.
FOLDER receives netcore-webhooks-<version>-aws-<architecture>.zip. The same binaries give the same bytes.
"""

import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Zip has no time zone and begins in 1980; a fixed time makes packages comparable.
TIME = (1980, 1, 1, 0, 0, 0)

PARAMETERS = """Parameters:
  CodeBucket:
    Type: String
    Description: Name of the S3 bucket with the functions of this package, in the region of the stack. deploy.sh creates and fills it.
    AllowedPattern: ^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$
    ConstraintDescription: CodeBucket must be the name of an S3 bucket.
  CodePrefix:
    Type: String
    Default: netcore-webhooks/VERSION/ARCHITECTURE/
    Description: What the keys of the functions in this bucket begin with, such as netcore-webhooks/VERSION/ARCHITECTURE/ for netcore-webhooks/VERSION/ARCHITECTURE/redrive.zip.
    AllowedPattern: ^([A-Za-z0-9._-]+/)*$
    ConstraintDescription: CodePrefix must be empty, or end with a slash.
"""


def version():
    workspace = (ROOT / "Cargo.toml").read_text()
    return re.search(r'^\[workspace\.package\]\n(?:.*\n)*?version = "([^"]+)"', workspace, re.MULTILINE)[1]


def changes():
    section = re.search(rf"^## {re.escape(version())}\b.*\n((?:(?!## ).*\n?)*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    if section is None:
        raise SystemExit(f"CHANGELOG.md has no section {version()}")
    return section[1].strip()


def replaced(pattern, replacement, text, count):
    """The text with `count` replacements; anything else means that template.yaml has another form than this script expects."""
    text, found = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if found != count:
        raise SystemExit(f"template.yaml: {found} places match {pattern!r} instead of {count}; change package.py")
    return text


def packaged(template, architecture):
    """The template with the locations of zips instead of source folders, and the names of its functions."""
    receivers = re.findall(r"^      Name: ([a-z-]+)\n      Code: functions/receivers$", template, re.MULTILINE)
    others = re.findall(r"^      CodeUri: functions/([a-z-]+)$", template, re.MULTILINE)
    functions = receivers + others

    template = replaced(r"^Parameters:\n", PARAMETERS.replace("VERSION", version()).replace("ARCHITECTURE", architecture), template, 1)
    template = replaced(
        r"^          CodeUri: !FindInMap \[Functions, !Ref Receiver, Code\]$",
        '          CodeUri:\n            Bucket: !Ref CodeBucket\n            Key: !Sub ["${CodePrefix}${Name}.zip", { Name: !FindInMap [Functions, !Ref Receiver, Name] }]',
        template, 1)
    template = replaced(
        r"^      CodeUri: functions/([a-z-]+)$", r"      CodeUri: { Bucket: !Ref CodeBucket, Key: !Sub '${CodePrefix}\1.zip' }", template, len(others))
    template = replaced(r"^      Code: functions/receivers\n", "", template, len(receivers))
    # Nothing is built from this template.
    template = replaced(r"^( +)BuildMethod: rust-cargolambda\n\1BuildProperties:\n(?:\1 .*\n)+", "", template, len(others) + 1)
    # A resource whose metadata were only those has none.
    template = re.sub(r"^( +)Metadata:\n(?!\1 )", "", template, flags=re.MULTILINE)
    template = replaced(
        r"^  Architecture:\n    Type: String\n    Default: arm64\n    AllowedValues: \[arm64, x86_64\]$",
        f"  Architecture:\n    Type: String\n    Default: {architecture}\n    AllowedValues: [{architecture}]", template, 1)
    template = replaced(
        r"Architecture must be arm64 or x86_64\.", f"This package has functions for {architecture}.", template, 1)
    template = replaced(
        r"^    ParameterGroups:\n", "    ParameterGroups:\n      - Label: { default: Code }\n        Parameters: [CodeBucket, CodePrefix]\n", template, 1)
    return template, functions


def add(archive, name, data, mode=0o644):
    entry = zipfile.ZipInfo(name, TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3
    entry.external_attr = (0o100000 | mode) << 16
    archive.writestr(entry, data)


def main(binaries, architecture, folder):
    template, functions = packaged((ROOT / "template.yaml").read_text(), architecture)
    name = f"netcore-webhooks-{version()}-aws-{architecture}"
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.zip"
    unfinished = folder / f"{name}.zip.part"
    with zipfile.ZipFile(unfinished, "w") as package:
        add(package, f"{name}/template.yaml", template)
        script = (ROOT / "infra" / "release" / "deploy.sh").read_text()
        add(package, f"{name}/deploy.sh", script.replace("@VERSION@", version()).replace("@ARCHITECTURE@", architecture), 0o755)
        for license in ["LICENSE-APACHE", "LICENSE-MIT"]:
            add(package, f"{name}/{license}", (ROOT / license).read_bytes())
        for function in sorted(functions):
            inner = unfinished.with_suffix(".function")
            with zipfile.ZipFile(inner, "w") as archive:
                add(archive, "bootstrap", (Path(binaries) / function / "bootstrap").read_bytes(), 0o755)
            add(package, f"{name}/functions/{function}.zip", inner.read_bytes())
            inner.unlink()
    unfinished.rename(target)
    print(target)


if __name__ == "__main__":
    if sys.argv[1:] == ["--version"]:
        print(version())
    elif sys.argv[1:] == ["--changes"]:
        print(changes())
    elif sys.argv[1:] == ["--template"]:
        print(packaged((ROOT / "template.yaml").read_text(), "arm64")[0], end="")
    elif len(sys.argv) != 4 or sys.argv[2] not in ("arm64", "x86_64"):
        sys.exit(__doc__)
    else:
        main(*sys.argv[1:])
