#!/usr/bin/env python3
"""Expands the loops (Fn::ForEach) of template.yaml, as the transform AWS::LanguageExtensions does.

The checks need single resources. cfn-lint's transform expands the loops and resolves the mappings.
Then this script evaluates conditions, branches, joins and substitutions that depend only on Receivers.
Values that depend on other parameters stay unchanged.

Usage: expand.py template.yaml expanded.json [Receivers]
"""

import copy
import json
import re
import sys
from pathlib import Path

from cfnlint.decode import convert_dict
from cfnlint.template import Template
from cfnlint.template.transforms._language_extensions import language_extension
from samtranslator.yaml_helper import yaml_parse

NO_VALUE = {"Ref": "AWS::NoValue"}
LIST = "Receivers"


def expand(template, receivers=None):
    """A copy of the template without loops; `receivers` replaces the default of the parameter."""
    template = copy.deepcopy(template)
    parameter = template.get("Parameters", {}).get(LIST)
    if parameter and receivers is not None:
        parameter["Default"] = ",".join(receivers)
    problems, expanded = language_extension(Template("template.yaml", convert_dict(template), ["us-east-1"]))
    if problems:
        raise ValueError("; ".join(problem.message for problem in problems))
    expanded = json.loads(json.dumps(expanded))
    known = {LIST: [name.strip() for name in parameter["Default"].split(",")]} if parameter else {}
    conditions = {name: simple(value, known, {}) for name, value in expanded.get("Conditions", {}).items()}
    for section in ["Resources", "Outputs"]:
        expanded[section] = simple(expanded.get(section, {}), known, conditions)
    # Evaluated conditions are no longer used.
    for name in [name for name, value in conditions.items() if isinstance(value, bool)]:
        del expanded["Conditions"][name]
    if "Fn::FindInMap" not in json.dumps(expanded):
        expanded.pop("Mappings", None)
    return expanded


def text_of(value):
    """The value as a part of the text of an Fn::Sub; None if that is not possible."""
    if isinstance(value, str):
        return value.replace("${", "${!")
    if isinstance(value, dict) and isinstance(value.get("Fn::Sub"), str):
        return value["Fn::Sub"]
    return None


def filled_in(text, variables):
    """An Fn::Sub with known variables replaced; a plain text if no variables are left."""
    texts = {name: text_of(value) for name, value in variables.items()}
    text = re.sub(r"\$\{(\w+)\}", lambda found: found[0] if texts.get(found[1]) is None else texts[found[1]], text)
    left = {name: value for name, value in variables.items() if texts[name] is None}
    if left:
        return {"Fn::Sub": [text, left]}
    return {"Fn::Sub": text} if re.search(r"\$\{[^!]", text) else text.replace("${!", "${")


def simple(value, known, conditions):
    """The value, reckoned as far as it depends on known parameters and conditions alone."""
    if isinstance(value, list):
        return [item for item in (simple(item, known, conditions) for item in value) if item != NO_VALUE]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        members = {name: simple(member, known, conditions) for name, member in value.items()}
        return {name: member for name, member in members.items() if member != NO_VALUE}
    [(function, argument)] = value.items()
    if function == "Ref":
        return known.get(argument, value)
    if function == "Fn::If":
        taken = conditions.get(argument[0])
        if isinstance(taken, bool):
            return simple(argument[1 if taken else 2], known, conditions)
        # A branch may be !Ref AWS::NoValue: its place must stay.
        return {function: [argument[0]] + [simple(branch, known, conditions) for branch in argument[1:]]}
    argument = simple(argument, known, conditions)
    if function == "Fn::Sub":
        text, variables = argument if isinstance(argument, list) else (argument, {})
        return filled_in(text, variables)
    if function == "Fn::Join" and isinstance(argument[1], list):
        if all(isinstance(item, str) for item in argument[1]):
            return argument[0].join(argument[1])
    if function == "Fn::Split" and isinstance(argument[1], str):
        return argument[1].split(argument[0])
    if function == "Fn::Length" and isinstance(argument, list):
        return len(argument)
    if function == "Fn::Equals" and all(isinstance(side, (str, int)) for side in argument):
        return str(argument[0]) == str(argument[1])
    if function == "Fn::Not" and isinstance(argument[0], bool):
        return not argument[0]
    return {function: argument}


def main():
    receivers = sys.argv[3].split(",") if len(sys.argv) > 3 else None
    expanded = expand(yaml_parse(Path(sys.argv[1]).read_text()), receivers)
    Path(sys.argv[2]).write_text(json.dumps(expanded, indent=2) + "\n")


if __name__ == "__main__":
    main()
