#!/usr/bin/env python3
"""Checks that examples/package.tf is HCL, sets only parameters that the template of the package has, and uploads the functions to
the keys where this template expects them.

Usage: check-terraform.py TEMPLATE
"""

import re
import sys
from pathlib import Path

import hcl2

EXAMPLE = Path(__file__).resolve().parent / "examples" / "package.tf"


def resource(content, kind, name):
    [found] = [block[f'"{kind}"'][f'"{name}"'] for block in content["resource"] if f'"{name}"' in block.get(f'"{kind}"', {})]
    return found


def main(template):
    text = Path(template).read_text()
    section = re.search(r"^Parameters:\n((?:[ #].*\n|\n)+)", text, re.MULTILINE)[1]
    known = set(re.findall(r"^  (\w+):$", section, re.MULTILINE))
    prefix = re.search(r"^  CodePrefix:\n(?:    .*\n)*?    Default: (.*)$", section, re.MULTILINE)[1]
    with EXAMPLE.open() as file:
        content = hcl2.load(file)
    parameters = resource(content, "aws_cloudformation_stack", "netcore_webhooks")["parameters"].keys() - {"__is_block__"}
    key = resource(content, "aws_s3_object", "function")["key"].strip('"')
    problems = [f"the template has no parameter {name}" for name in sorted(parameters - known)]
    if "CodeBucket" not in parameters:
        problems.append("CodeBucket is missing")
    if key != f"{prefix}${{each.value}}":
        problems.append(f"the functions are at {key}, and the template looks for them at {prefix}")
    if problems:
        sys.exit("\n".join(f"{EXAMPLE.name}: {problem}" for problem in problems))
    print(f"{EXAMPLE.name}: {len(parameters)} parameters of {len(known)}")


if __name__ == "__main__":
    main(sys.argv[1])
