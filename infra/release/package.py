#!/usr/bin/env python3
"""Makes the package that deploys without Rust: the functions as zips, a template that refers to them, and deploy.sh.

Usage: package.py BINARIES ARCHITECTURE FOLDER
       package.py --version     prints the version of the workspace
       package.py --changes     prints the section of this version in CHANGELOG.md
       package.py --template    prints the template of the package for arm64

BINARIES has a folder per function with the binary `bootstrap`, as `cargo lambda build` writes it.
FOLDER receives netcore-webhooks-<version>-aws-<architecture>.zip. The same binaries give the same bytes.

The name of a function's zip contains a hash of it, so that an update replaces exactly the functions whose code differs: with
the same name, CloudFormation would see no change; with another name of the same code, Lambda would refuse to publish a version.
"""

import hashlib
import io
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
    Default: netcore-webhooks/functions/
    Description: Beginning of the keys of the functions in this bucket. The rest of a key is the name of the zip in the folder functions of this package.
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


RECEIVER = r"^      Name: ([a-z-]+)\n      Code: functions/receivers$"
OTHER = r"^      CodeUri: functions/([a-z-]+)$"


def functions_of(template):
    return re.findall(RECEIVER, template, re.MULTILINE) + re.findall(OTHER, template, re.MULTILINE)


def packaged(template, architecture, names):
    """The template with the locations of zips instead of source folders. `names`: the zip of each function."""
    template = replaced(r"^Parameters:\n", PARAMETERS, template, 1)
    template = replaced(
        r"^          CodeUri: !FindInMap \[Functions, !Ref Receiver, Code\]$",
        '          CodeUri:\n            Bucket: !Ref CodeBucket\n            Key: !Sub ["${CodePrefix}${Code}", { Code: !FindInMap [Functions, !Ref Receiver, Code] }]',
        template, 1)
    others = len(re.findall(OTHER, template, re.MULTILINE))
    template = replaced(
        OTHER, lambda found: f"      CodeUri: {{ Bucket: !Ref CodeBucket, Key: !Sub '${{CodePrefix}}{names[found[1]]}' }}", template, others)
    template = replaced(
        RECEIVER, lambda found: f"      Name: {found[1]}\n      Code: {names[found[1]]}", template, len(names) - others)
    # Nothing is built from this template.
    template = replaced(r"^( +)BuildMethod: rust-cargolambda\n\1BuildProperties:\n(?:\1 .*\n)+", "", template, others + 1)
    # A resource whose metadata were only those has none.
    template = re.sub(r"^( +)Metadata:\n(?!\1 )", "", template, flags=re.MULTILINE)
    template = replaced(
        r"^  Architecture:\n    Type: String\n    Default: arm64\n    AllowedValues: \[arm64, x86_64\]$",
        f"  Architecture:\n    Type: String\n    Default: {architecture}\n    AllowedValues: [{architecture}]", template, 1)
    template = replaced(
        r"Architecture must be arm64 or x86_64\.", f"This package has functions for {architecture}.", template, 1)
    template = replaced(
        r"^    ParameterGroups:\n", "    ParameterGroups:\n      - Label: { default: Code }\n        Parameters: [CodeBucket, CodePrefix]\n", template, 1)
    return template


def add(archive, name, data, mode=0o644, compression=zipfile.ZIP_DEFLATED):
    entry = zipfile.ZipInfo(name, TIME)
    entry.compress_type = compression
    entry.create_system = 3
    entry.external_attr = (0o100000 | mode) << 16
    archive.writestr(entry, data)


def zipped(binary):
    """The zip of a function, as Lambda expects it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        add(archive, "bootstrap", binary, 0o755)
    return data.getvalue()


def main(binaries, architecture, folder):
    template = (ROOT / "template.yaml").read_text()
    zips = {function: zipped((Path(binaries) / function / "bootstrap").read_bytes()) for function in functions_of(template)}
    names = {function: f"{function}-{hashlib.sha256(data).hexdigest()[:16]}.zip" for function, data in zips.items()}
    name = f"netcore-webhooks-{version()}-aws-{architecture}"
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.zip"
    unfinished = folder / f"{name}.zip.part"
    with zipfile.ZipFile(unfinished, "w") as package:
        add(package, f"{name}/template.yaml", packaged(template, architecture, names))
        script = (ROOT / "infra" / "release" / "deploy.sh").read_text()
        add(package, f"{name}/deploy.sh", script.replace("@VERSION@", version()).replace("@ARCHITECTURE@", architecture), 0o755)
        for license in ["LICENSE-APACHE", "LICENSE-MIT"]:
            add(package, f"{name}/{license}", (ROOT / license).read_bytes())
        for function, data in sorted(zips.items()):
            # It is compressed already.
            add(package, f"{name}/functions/{names[function]}", data, compression=zipfile.ZIP_STORED)
    unfinished.rename(target)
    print(target)


if __name__ == "__main__":
    if sys.argv[1:] == ["--version"]:
        print(version())
    elif sys.argv[1:] == ["--changes"]:
        print(changes())
    elif sys.argv[1:] == ["--template"]:
        text = (ROOT / "template.yaml").read_text()
        print(packaged(text, "arm64", {function: f"{function}-0123456789abcdef.zip" for function in functions_of(text)}), end="")
    elif len(sys.argv) != 4 or sys.argv[2] not in ("arm64", "x86_64"):
        sys.exit(__doc__)
    else:
        main(*sys.argv[1:])
