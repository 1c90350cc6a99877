#!/usr/bin/env python3
"""Compares dashboard.json with the API's OpenAPI document: every path, parameter and field must exist.

Usage: check.py openapi.json [dashboard.json]
"""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def queries(dashboard):
    """All queries, each as (panel title, query)."""
    return [(panel["title"], target) for panel in dashboard["panels"] for target in panel.get("targets", [])]


def resolved(schema, document):
    """A schema with its reference resolved and without null."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        elif "anyOf" in schema:
            schema = next(choice for choice in schema["anyOf"] if choice.get("type") != "null")
        else:
            return schema


def field(schema, selector, document):
    """The schema of the field that a selector such as `retry.visible` selects; None if there is no such field."""
    for name in filter(None, selector.split(".")):
        properties = resolved(schema, document).get("properties", {})
        if name not in properties:
            return None
        schema = properties[name]
    return resolved(schema, document)


def problems(dashboard, document):
    """Everything that the dashboard uses and the API lacks."""
    found = []
    for title, query in queries(dashboard):
        operation = document["paths"].get(query["url"], {}).get("get")
        if operation is None:
            found.append(f"{title}: the API has no {query['url']}")
            continue
        known = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
        for parameter in query["url_options"]["params"]:
            if parameter["key"] not in known:
                found.append(f"{title}: {query['url']} has no parameter {parameter['key']}")
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        rows = field(answer, query["root_selector"], document)
        if rows is None:
            found.append(f"{title}: the answer has no {query['root_selector']}")
            continue
        row = resolved(rows["items"], document) if rows.get("type") == "array" else rows
        for column in query["columns"]:
            if field(row, column["selector"], document) is None:
                found.append(f"{title}: {query['root_selector'] or 'the answer'} has no field {column['selector']}")
    if not queries(dashboard):
        found.append("no panel has a query")
    return found


def main():
    document = json.loads(Path(sys.argv[1]).read_text())
    dashboard = json.loads(Path(sys.argv[2] if len(sys.argv) > 2 else FOLDER / "dashboard.json").read_text())
    found = problems(dashboard, document)
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(f"{len(queries(dashboard))} queries match the API")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
