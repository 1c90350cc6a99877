#!/usr/bin/env python3
"""Checks template.yaml, with its loops expanded and after the SAM transform, in addition to the linters.

Each public URL has both required permissions, no policy has a wildcard resource,
no variable contains a secret, the code emits every metric of our namespace with this stack as
its dimension, the stream's consumer skips no record, indexes and URLs of existing stacks stay, ProtectData keeps tables and
queues, and every alarm names a section of the runbook. Each receiver has a URL on its alias, whose version changes with
every parameter of the function. Missing data raise the alarm on silence. A new account can make the stack.
The lists of functions, in the roles and in the dashboard, name all functions and no others.
All of this holds for all receivers together, for the default of Receivers, and for each receiver alone.

Usage: check-template.py [template.yaml [metrics.txt]]
"""

import copy
import json
import logging
import os
import re
import sys
from pathlib import Path

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.model.exceptions import InvalidDocumentException  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

from expand import expand  # noqa: E402

INFRA = Path(__file__).resolve().parent
NAMESPACE = "NetcoreWebhooks"
# Variables with the authentication of a public URL, and the condition under which it is public; None: always.
GUARDS = {"WEBHOOK_AUTH": None, "DASHBOARD_AUTH": "SignsIn"}
# The only permitted values of these variables, and values that their parameters must accept or refuse.
POLICIES = {
    "WEBHOOK_AUTH": {"Fn::If": ["AuthInParameterStore", {"Fn::Sub": "ssm:${WebhookAuthParameter}"},
                                {"Fn::Sub": "secretsmanager:${WebhookAuthSecretArn}"}]},
    "DASHBOARD_AUTH": {"Fn::If": ["SignsInByParameterStore", {"Fn::Sub": "ssm:${DashboardAuthParameter}"},
                                  {"Fn::If": ["SignsInBySecretsManager", {"Fn::Sub": "secretsmanager:${DashboardAuthSecretArn}"},
                                              {"Ref": "AWS::NoValue"}]}]},
}
SECRET_ARNS = ["", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:netcore/auth-AbCdEf",
               "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:auth-AbCdEf"]
REFERENCES = {
    "WebhookAuthParameter": ["/netcore-webhooks/auth", "/auth"],
    "WebhookAuthSecretArn": SECRET_ARNS,
    "DashboardAuthParameter": ["", "/netcore-webhooks/dashboard"],
    "DashboardAuthSecretArn": SECRET_ARNS,
}
INVALID_REFERENCES = ['{"accept":"anything"}', '{"accept":[{"type":"header","name":"x","values":["s"]}]}', "plain-secret",
                 "name", "/", "/a/", '/n{"accept":"anything"}', "*", "/*", "arn:aws:secretsmanager:*:123456789012:secret:auth-AbCdEf"]
# The streams of one log group. Its !GetAtt Arn is the same text.
LOG_STREAMS = re.compile(r"arn:\$\{AWS::Partition\}:logs:\$\{AWS::Region\}:\$\{AWS::AccountId\}:log-group:([^*?]+):\*")
ALARM_ARN = re.compile(r"arn:\$\{AWS::Partition\}:cloudwatch:\$\{AWS::Region\}:\$\{AWS::AccountId\}:alarm:(.+)")
# The objects of one prefix of the analytics bucket.
OBJECTS = re.compile(r"\$\{AnalyticsBucket\.Arn\}/[a-z]+/\*")
# Lambda's metrics that the dashboard shows for every function.
FUNCTION_METRICS = ["Errors", "Throttles", "ConcurrentExecutions"]
# The three free dashboards of an account have at most this many metrics: https://aws.amazon.com/cloudwatch/pricing/
MAX_METRICS = 50
# What X-Ray accepts only for all resources.
TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
# AWS documents it for CodeDeploy's role; GradualDeployment only.
DEPLOYMENTS = "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited"
# What Lambda does not keep in a version.
UNVERSIONED = {"ReservedConcurrentExecutions", "Tags"}
# The longest description of a version:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-version.html
MAX_DESCRIPTION = 256
# CloudWatch's longest alarm in seconds, with periods under an hour and with longer ones.
MAX_SHORT_PERIODS, MAX_LONG_PERIODS = 86_400, 604_800
# The dimensions of our metrics.
DIMENSIONS = {"Stack": "${AWS::StackName}"}
SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|PASSPHRASE|CREDENTIAL|PRIVATE|API_?KEY|AUTH$")


# Without this, every transform logs that its metrics were not published.
logging.getLogger("samtranslator.metrics.metrics").setLevel(logging.ERROR)
# And this, that a toggle of AWS's own is not known here.
logging.getLogger("samtranslator.feature_toggle.feature_toggle").setLevel(logging.ERROR)


class NoManagedPolicies:
    def load(self):
        return {}


def transformed(template, parameters=None):
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # The transform accepts only uploaded code.
            resource.setdefault("Properties", {})["CodeUri"] = "s3://bucket/code.zip"
    template.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    return transform(template, parameters or {}, NoManagedPolicies())


def of_type(resources, *types):
    return [(name, r["Properties"]) for name, r in resources.items() if r["Type"] in types]


def ref(value):
    return value.get("Ref") if isinstance(value, dict) else value


def as_list(value):
    return value if isinstance(value, list) else [value]


def authentication(auth_type):
    """Possible AuthTypes of a URL, each with its condition; None: always."""
    if isinstance(auth_type, str):
        return [(auth_type, None)]
    condition, public, private = auth_type.get("Fn::If", [None, auth_type, auth_type])
    return [(public, condition), (private, f"not {condition}")]


def function_urls(resources, problems):
    """A URL with AuthType NONE answers 403 without both permissions; other URLs must have neither."""
    permissions = [p["Properties"] | {"Condition": p.get("Condition")} for p in resources.values()
                   if p["Type"] == "AWS::Lambda::Permission"]
    urls = of_type(resources, "AWS::Lambda::Url")
    if not urls:
        problems.append("there is no function URL")
    for name, url in urls:
        # A function, or the alias of one: each has its own permissions.
        target = ref(url["TargetFunctionArn"])
        function = ref(resources[target]["Properties"]["FunctionName"]) if resources[target]["Type"] == "AWS::Lambda::Alias" else target
        guards = [GUARDS[v] for v in variables(resources[function]["Properties"]) if v in GUARDS]
        for auth_type, condition in authentication(url["AuthType"]):
            for_all = [p for p in permissions if ref(p["FunctionName"]) == target and p["Principal"] == "*"
                       and p["Condition"] in (None, condition, resources[name].get("Condition"))]
            through_url = any(p["Action"] == "lambda:InvokeFunctionUrl" and p.get("FunctionUrlAuthType") == "NONE"
                              for p in for_all)
            invoke = any(p["Action"] == "lambda:InvokeFunction" and p.get("InvokedViaFunctionUrl") is True
                         for p in for_all)
            if auth_type == "NONE":
                if not through_url:
                    problems.append(f"{name}: public, but without the permission lambda:InvokeFunctionUrl")
                if not invoke:
                    problems.append(f"{name}: public, but without the permission lambda:InvokeFunction")
            elif auth_type != "AWS_IAM":
                problems.append(f"{name}: AuthType must be the literal NONE or AWS_IAM, not {auth_type}")
            elif for_all:
                problems.append(f"{name}: AWS_IAM, but everybody may call {function}")
            # WEBHOOK_AUTH protects a URL that is always public, DASHBOARD_AUTH one that is public under a condition.
            if (condition in guards) != (auth_type == "NONE"):
                problems.append(f"{function}: a public URL and a variable with its authentication belong together")


def statements(resources):
    for name, role in of_type(resources, "AWS::IAM::Role"):
        for policy in role.get("Policies", []):
            for statement in as_list(policy["PolicyDocument"]["Statement"]):
                yield name, statement
    for name, policy in of_type(resources, "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::SQS::QueuePolicy",
                                "AWS::SNS::TopicPolicy", "AWS::Events::EventBusPolicy", "AWS::S3::BucketPolicy"):
        for statement in as_list(policy["PolicyDocument"]["Statement"]):
            yield name, statement


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def least_privilege(resources, problems):
    boundary = {"Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    for name, role in of_type(resources, "AWS::IAM::Role"):
        for arn in role.get("ManagedPolicyArns", []):
            if (name, plain(arn)) != ("DeploymentRole", DEPLOYMENTS):
                problems.append(f"{name}: the managed policy {arn} may have wildcards, which cannot be checked")
        if role.get("PermissionsBoundary") != boundary:
            problems.append(f"{name}: PermissionsBoundary does not limit it")
    for name, statement in statements(resources):
        if not isinstance(statement, dict) or "Effect" not in statement:
            problems.append(f"{name}: a statement behind an intrinsic function cannot be checked")
            continue
        if statement["Effect"] != "Allow":
            continue
        actions = as_list(statement.get("Action", "*"))
        if "NotAction" in statement or "NotResource" in statement:
            problems.append(f"{name}: NotAction and NotResource allow unlisted actions or resources")
        for action in actions:
            if "*" in action or "?" in action:
                problems.append(f"{name}: wildcard action {action}")
        for text in strings(statement.get("Resource", "*")):
            if set(actions) <= TRACES and text == "*":
                continue
            if ("*" in text or "?" in text) and not (LOG_STREAMS.fullmatch(text) or OBJECTS.fullmatch(text)):
                problems.append(f"{name}: wildcard resource {text} for {', '.join(actions)}")


def variables(function):
    return function.get("Environment", {}).get("Variables", {})


def no_plain_secrets(template, resources, problems):
    for parameter, accepted in REFERENCES.items():
        pattern = template["Parameters"][parameter]["AllowedPattern"]
        for value in accepted:
            if not re.fullmatch(pattern, value):
                problems.append(f"parameter {parameter} refuses the reference {value!r}")
        for value in INVALID_REFERENCES:
            if re.fullmatch(pattern, value):
                problems.append(f"parameter {parameter} accepts a value that is not a reference: {value}")
    for name, function in of_type(resources, "AWS::Lambda::Function"):
        for variable, value in variables(function).items():
            if variable in POLICIES:
                if value != POLICIES[variable]:
                    problems.append(f"{name}: {variable} must be the reference built from its parameters, and nothing else")
            elif SECRET_NAME.search(variable):
                problems.append(f"{name}: the variable {variable} looks like a secret in plain text")
            for text in strings(value):
                if '"accept"' in text or "whsec_" in text or "{{resolve:" in text:
                    problems.append(f"{name}: the variable {variable} contains a secret in plain text")


def dashboard_bodies(resources):
    """The dashboards' contents."""
    for name, dashboard in of_type(resources, "AWS::CloudWatch::Dashboard"):
        body = plain(dashboard["DashboardBody"])
        if not isinstance(body, str):
            unknown = sorted(set(re.findall(r'"Fn::If": \["(\w+)"', json.dumps(body))))
            raise ValueError(f"{name}: depends on {', '.join(unknown)}, which cannot be computed from Receivers")
        yield name, json.loads(body)


def shown_metrics(body):
    """The metrics of a dashboard's widgets, with "..." replaced by the values of the metric before."""
    for widget in body["widgets"]:
        before = []
        for metric in widget["properties"].get("metrics", []):
            if metric[0] == "...":
                texts = [text for text in metric[1:] if isinstance(text, str)]
                metric = [*before[:len(before) - len(texts)], *texts]
            before = [text for text in metric if isinstance(text, str)]
            yield metric


def own_metrics(resources):
    """Every use of a metric of our namespace: where, name, dimensions."""
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm"):
        for query in [alarm, *(query.get("MetricStat", {}).get("Metric", {}) for query in alarm.get("Metrics", []))]:
            if query.get("Namespace") == NAMESPACE:
                dimensions = {d["Name"]: d["Value"] for d in query.get("Dimensions", [])}
                yield name, query["MetricName"], {n: "${%s}" % ref(v) if isinstance(v, dict) else v for n, v in dimensions.items()}
    for name, body in dashboard_bodies(resources):
        for metric in shown_metrics(body):
            texts = [text for text in metric if isinstance(text, str)]
            if texts[:1] == [NAMESPACE]:
                yield name, texts[1], dict(zip(texts[2::2], texts[3::2]))


def metrics(template, resources, wanted, known, problems):
    used = list(own_metrics(resources))
    if not used:
        problems.append("no alarm or dashboard uses a metric of the namespace")
    for name, metric, dimensions in used:
        if metric not in known:
            problems.append(f"{name}: the metric {metric} is not in metrics.txt")
        if dimensions != DIMENSIONS:
            problems.append(f"{name}: the dimensions of {metric} are {dimensions}, not {DIMENSIONS}")
    for name, function in of_type(resources, "AWS::Lambda::Function"):
        if variables(function).get("STACK_NAME") != {"Ref": "AWS::StackName"}:
            problems.append(f"{name}: STACK_NAME, the dimension of its metrics, must be the stack's name")
    for name, body in dashboard_bodies(resources):
        shown = list(shown_metrics(body))
        # More receivers than the default may need a paid dashboard.
        if len(shown) > MAX_METRICS and len(wanted) <= len(template["Parameters"]["Receivers"]["Default"].split(",")):
            problems.append(f"{name}: shows {len(shown)} metrics, more than {MAX_METRICS}")
        if any(isinstance(metric[0], dict) for metric in shown):
            problems.append(f"{name}: an expression can read other stacks' metrics; name the metrics")


def streams(template, resources, problems):
    """The counters are right only if no record of a stream is skipped, and current only if its window is short."""
    mappings = [(name, m) for name, m in of_type(resources, "AWS::Lambda::EventSourceMapping") if "StartingPosition" in m]
    if not mappings:
        problems.append("no function reads the table's stream")
    for name, mapping in mappings:
        if mapping.get("MaximumRetryAttempts") != -1:
            problems.append(f"{name}: a stream's records must be retried until they expire")
        window = ref(mapping.get("MaximumBatchingWindowInSeconds"))
        if template["Parameters"].get(window, {}).get("MaxValue", 300) > 60:
            problems.append(f"{name}: the batching window {window} is not limited to a minute")
        age = mapping.get("MaximumRecordAgeInSeconds", -1)
        if age != -1 and "OnFailure" not in mapping.get("DestinationConfig", {}):
            problems.append(f"{name}: records that are dropped after {age} s need a destination on failure")
        if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            problems.append(f"{name}: without ReportBatchItemFailures one record blocks the whole batch")


def indexes(template, resources, problems):
    """The value true keeps the indexes of earlier stacks, because DynamoDB cannot change a projection. Limits:
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Projection.html
    """
    table = resources["EventsTable"]["Properties"]
    lists, projected = [table["GlobalSecondaryIndexes"]], 0
    while lists:
        value = lists.pop()
        if isinstance(value, list):
            lists += value
        elif "Fn::If" in value:
            lists += value["Fn::If"][1:]
        elif "IndexName" in value:
            name = "".join(word.capitalize() for word in value["IndexName"].split("-"))
            condition, lean, whole = value["Projection"].get("Fn::If", [None, value["Projection"], None])
            parameter = template["Parameters"].get(name, {})
            if (condition, whole) != (f"Lean{name}", {"ProjectionType": "ALL"}):
                problems.append(f"{name}: an index of a stack with the value true must keep all attributes")
            if lean["ProjectionType"] == "ALL" or parameter.get("Default") != "lean":
                problems.append(f"{name}: the index of a new stack must not contain whole items")
            if "true" not in parameter.get("AllowedValues", []):
                problems.append(f"{name}: existing stacks have the value true")
            attributes = len(lean.get("NonKeyAttributes", []))
            projected += attributes
            if attributes > 20:
                problems.append(f"{name}: projects {attributes} attributes; DynamoDB allows 20")
    if projected > 100:
        problems.append(f"the indexes project {projected} attributes; DynamoDB allows 100 for a table")


def data_protection(template, problems):
    """ProtectData must keep every queue and table that may contain the only copy of an event."""
    # RetainExceptOnCreate: a failed creation leaves nothing, if it may delete the tables.
    policies = {"DeletionPolicy": {"Fn::If": ["ProtectsData", "RetainExceptOnCreate", "Delete"]},
                "UpdateReplacePolicy": {"Fn::If": ["ProtectsData", "Retain", "Delete"]}}
    for name in ["EventsTable", "RollupsTable", "RetryQueue", "DeadLetterQueue"]:
        resource = template["Resources"][name]
        for attribute, policy in policies.items():
            if resource.get(attribute) != policy:
                problems.append(f"{name}: ProtectData does not decide its {attribute}")
        lock = {"Fn::If": ["LocksTables", True, False]}
        if resource["Type"] == "AWS::DynamoDB::Table" and resource["Properties"].get("DeletionProtectionEnabled") != lock:
            problems.append(f"{name}: ProtectData does not decide its deletion protection")
    parameter, conditions = template["Parameters"]["ProtectData"], template["Conditions"]
    if parameter["Default"] != "retain" or {"Ref": "ProtectData"} not in conditions["LocksTables"]["Fn::Equals"] or "true" not in conditions["LocksTables"]["Fn::Equals"]:
        problems.append("ProtectData: the failed creation of a new stack must leave nothing")
    if "true" not in parameter["AllowedValues"]:
        problems.append("ProtectData: existing stacks have the value true")


def runbook(resources, problems):
    headings = re.findall(r"^#+ (.+)$", (INFRA.parent / "docs" / "operate.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm"):
        section = re.search(r"docs/operate\.md#([a-z-]+)$", alarm.get("AlarmDescription", ""))
        if not section:
            problems.append(f"{name}: the description does not end with its section of docs/operate.md")
        elif section[1] not in anchors:
            problems.append(f"{name}: docs/operate.md has no section {section[1]}")


def plain(value):
    """The text of an Fn::Sub, or the value."""
    return value.get("Fn::Sub", value) if isinstance(value, dict) else value


def logs(resources, problems):
    """A function writes to its own log group, and its role may write only to the log groups of its functions."""
    names = {plain(group["LogGroupName"]): name for name, group in of_type(resources, "AWS::Logs::LogGroup")}
    permissions = {}
    for role, statement in statements(resources):
        if "logs:PutLogEvents" in as_list(statement.get("Action")):
            for resource in as_list(statement["Resource"]):
                if "Fn::GetAtt" in resource:
                    permissions.setdefault(role, set()).add(resource["Fn::GetAtt"][0])
                    continue
                streams = LOG_STREAMS.fullmatch(str(plain(resource)))
                group = names.get(streams[1]) if streams else None
                permissions.setdefault(role, set()).add(group)
                if not group:
                    problems.append(f"{role}: may write to the log group {plain(resource)}, which does not exist")
    for name, function in of_type(resources, "AWS::Lambda::Function"):
        role, group = function["Role"]["Fn::GetAtt"][0], ref(function["LoggingConfig"]["LogGroup"])
        if group not in permissions.get(role, set()):
            problems.append(f"{role}: {name} may not write to its log group {group}")


def referenced(text):
    """The resource that a variable of an Fn::Sub refers to; other texts unchanged."""
    return re.sub(r"^\$\{(\w+)(\.Arn)?\}$", r"\1", text)


def dashboard(resources, problems):
    """The dashboard shows every alarm and every function, and nothing that does not exist."""
    functions = {plain(function["FunctionName"]): name for name, function in of_type(resources, "AWS::Lambda::Function")}
    alarms = {plain(alarm["AlarmName"]): name for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm")}
    for name, body in dashboard_bodies(resources):
        listed, measured = set(), {metric: set() for metric in FUNCTION_METRICS}
        for widget in body["widgets"]:
            for text in widget["properties"].get("alarms", []):
                by_name = ALARM_ARN.fullmatch(text)
                alarm = alarms.get(by_name[1], by_name[1]) if by_name else referenced(text)
                listed.add(alarm)
                if alarm not in alarms.values():
                    problems.append(f"{name}: shows the alarm {alarm}, which does not exist")
        for metric in shown_metrics(body):
            if metric[0] == "AWS/Lambda":
                function = functions.get(metric[3], referenced(metric[3]))
                measured.setdefault(metric[1], set()).add(function)
                if function not in functions.values():
                    problems.append(f"{name}: shows {metric[1]} of {function}, which does not exist")
        for alarm in alarms.values():
            if alarm not in listed:
                problems.append(f"{name}: does not show {alarm}")
        for metric in FUNCTION_METRICS:
            for function in functions.values():
                if function not in measured[metric]:
                    problems.append(f"{name}: does not show {metric} of {function}")


def references(template, resources, problems):
    """Every reference has a target."""
    existing = {*resources, *template["Parameters"]}

    def visit(value, where):
        if isinstance(value, list):
            for item in value:
                visit(item, where)
        if not isinstance(value, dict):
            return
        for key, argument in value.items():
            names = []
            if key == "Ref":
                names = [argument]
            elif key == "Fn::GetAtt":
                names = [argument[0] if isinstance(argument, list) else argument.split(".")[0]]
            elif key == "Fn::Sub":
                text, own = argument if isinstance(argument, list) else (argument, {})
                names = [found.split(".")[0] for found in re.findall(r"\$\{([^!}][^}]*)\}", text) if found not in own]
            for name in names:
                if not name.startswith("AWS::") and name not in existing:
                    problems.append(f"{where}: refers to {name}, which does not exist")
            visit(argument, where)

    for section in [resources, template["Outputs"]]:
        for name, value in section.items():
            visit(value, name)


def parameters_of(template, value):
    """The parameters that a value depends on, also through conditions."""
    found, values = set(), [value]
    while values:
        value = values.pop()
        if isinstance(value, list):
            values += value
        if not isinstance(value, dict):
            continue
        for key, argument in value.items():
            values.append(argument)
            if key in ("Ref", "Condition"):
                values.append(template.get("Conditions", {}).get(argument) if key == "Condition" else None)
                found |= {argument} & set(template["Parameters"])
            elif key == "Fn::If":
                values.append(template.get("Conditions", {}).get(argument[0]))
            elif key == "Fn::Sub":
                text = argument[0] if isinstance(argument, list) else argument
                found |= set(re.findall(r"\$\{(\w+)\}", text)) & set(template["Parameters"])
    return found


def longest(template, value):
    """The length of the longest text of a value: a text, a parameter, an Fn::If or an Fn::Sub of these."""
    if isinstance(value, str):
        return len(value)
    [(function, argument)] = value.items()
    if function == "Ref":
        parameter = template["Parameters"][argument]
        if "AllowedValues" in parameter:
            return max(len(str(allowed)) for allowed in parameter["AllowedValues"])
        return parameter["MaxLength"] if "MaxLength" in parameter else len(str(parameter["MaxValue"]))
    if function == "Fn::If":
        return max(longest(template, branch) for branch in argument[1:])
    text, variables = argument if isinstance(argument, list) else (argument, {})
    names = re.findall(r"\$\{(\w+)\}", text)
    return len(re.sub(r"\$\{\w+\}", "", text)) + sum(longest(template, variables.get(name, {"Ref": name})) for name in names)


def aliases(template, resources, wanted, problems):
    """Each receiver's URL belongs to its alias, whose version is published when anything of the function changes. The URL
    of an earlier stack stays, with the logical id that it has there.
    """
    for name in wanted:
        alias = resources.get(f"{name}FunctionAliaslive", {}).get("Properties")
        if not alias:
            problems.append(f"{name}: has no alias live")
            continue
        version = resources[alias["FunctionVersion"]["Fn::GetAtt"][0]]
        if (version.get("DeletionPolicy"), version.get("UpdateReplacePolicy")) != ("Retain", "Retain"):
            problems.append(f"{name}: an update deletes the version that a rollback needs")
        function = {key: value for key, value in resources[f"{name}Function"]["Properties"].items() if key not in UNVERSIONED}
        used, described = parameters_of(template, function), parameters_of(template, version["Properties"].get("Description"))
        for parameter in sorted(used - described):
            problems.append(f"{name}: a change of {parameter} publishes no version")
        for parameter in sorted(described - used):
            problems.append(f"{name}: a change of {parameter} publishes a version that is the same, which Lambda refuses")
        if described and longest(template, version["Properties"]["Description"]) > MAX_DESCRIPTION:
            problems.append(f"{name}: the description of a version may have more than {MAX_DESCRIPTION} characters")
        live = resources.get(f"{name}LiveUrl", {}).get("Properties", {}).get("TargetFunctionArn")
        if live != {"Ref": f"{name}FunctionAliaslive"}:
            problems.append(f"{name}: its URL does not belong to the alias")
        earlier = resources.get(f"{name}FunctionUrl", {})
        if (earlier.get("Condition"), earlier.get("Properties", {}).get("TargetFunctionArn")) != ("KeepsUnqualifiedUrls", {"Ref": f"{name}Function"}):
            problems.append(f"{name}: an update replaces the URL of an earlier stack")
    if template["Parameters"]["UnqualifiedUrls"]["Default"] != "true":
        problems.append("UnqualifiedUrls: the update of an earlier stack deletes its URLs")


def gradual(template, resources, wanted, problems):
    """GradualDeployment moves each alias with CodeDeploy, and existing alarms stop it."""
    changed = transformed(template, {"GradualDeployment": "true"})["Resources"]
    for name in wanted:
        if "CodeDeployLambdaAliasUpdate" not in changed.get(f"{name}FunctionAliaslive", {}).get("UpdatePolicy", {}):
            problems.append(f"{name}: GradualDeployment does not move its alias")
            continue
        group = changed[f"{name}FunctionDeploymentGroup"]["Properties"]
        alarms = [ref(alarm["Name"]) for alarm in group.get("AlarmConfiguration", {}).get("Alarms", [])]
        if f"{name}UnavailableAlarm" not in alarms or not set(alarms) <= set(resources) or len(alarms) > 10:
            problems.append(f"{name}: the alarms {alarms} do not stop its deployment")
    if "CodeDeployServiceRole" in changed:
        problems.append("GradualDeployment must use DeploymentRole")


def silence(template, resources, problems):
    """A metric without data raises the alarm on silence, and CloudWatch accepts its time."""
    alarm = resources.get("SilenceAlarm", {}).get("Properties", {})
    wanted = {"MetricName": "Stored", "Statistic": "Sum", "Threshold": 1, "ComparisonOperator": "LessThanThreshold",
              "TreatMissingData": "breaching", "AlarmActions": [{"Ref": "AlarmTopic"}]}
    for name, value in wanted.items():
        if alarm.get(name) != value:
            problems.append(f"SilenceAlarm: {name} must be {value}")
    periods = template["Mappings"]["Silence"]
    allowed = [str(minutes) for minutes in template["Parameters"]["SilenceAfterMinutes"]["AllowedValues"]]
    if allowed != list(periods):
        problems.append("SilenceAfterMinutes: its values are not those of the mapping Silence")
    for minutes, row in periods.items():
        seconds = row["Period"] * row["Periods"]
        if minutes != "0" and seconds != int(minutes) * 60:
            problems.append(f"Silence: {row} is not {minutes} minutes")
        if seconds > (MAX_SHORT_PERIODS if row["Period"] < 3600 else MAX_LONG_PERIODS):
            problems.append(f"Silence: CloudWatch does not accept {row}")


def new_accounts(template, problems):
    """Lambda refuses any reservation in an account with a quota of 100 or less."""
    for name in ["ReceiverConcurrency", "DashboardConcurrency"]:
        if template["Parameters"][name]["Default"] != 0:
            problems.append(f"{name}: a new account refuses the default")


def receivers(template, resources, wanted, problems):
    """There is one function with WEBHOOK_AUTH for each name in the list, and each has an output with its URL."""
    found = {name.removesuffix("Function"): function for name, function in of_type(resources, "AWS::Lambda::Function")
             if "WEBHOOK_AUTH" in variables(function)}
    if list(found) != wanted:
        problems.append(f"Receivers are {wanted}, but the functions are {list(found)}")
    for name, function in found.items():
        words = plain(function["FunctionName"]).removeprefix("${AWS::StackName}-").split("-")
        if "".join(word.capitalize() for word in words) != name:
            problems.append(f"{name}: its function is named {plain(function['FunctionName'])}")
        if template["Outputs"].get(f"{name}Url", {}).get("Value") != {"Fn::GetAtt": [f"{name}LiveUrl", "FunctionUrl"]}:
            problems.append(f"{name}: no output with its URL")


def check_with(wanted, template, known):
    """The problems of the template with these receivers, its text without loops, and its resources after the transform."""
    expanded = expand(template, wanted)
    # The transform changes what it is given.
    resources = transformed(copy.deepcopy(expanded))["Resources"]
    problems = []
    function_urls(resources, problems)
    least_privilege(resources, problems)
    no_plain_secrets(expanded, resources, problems)
    metrics(template, resources, wanted, known, problems)
    streams(expanded, resources, problems)
    indexes(expanded, resources, problems)
    data_protection(expanded, problems)
    runbook(resources, problems)
    logs(resources, problems)
    dashboard(resources, problems)
    references(expanded, resources, problems)
    receivers(expanded, resources, wanted, problems)
    aliases(expanded, resources, wanted, problems)
    return problems, expanded, resources


def known_metrics(path):
    return {line.split()[0] for line in path.read_text().splitlines()}


def check(template, known):
    """The problems with the first list of receivers that has any, and the resources with all receivers. The other lists
    would repeat most of them.
    """
    everyone = [name for name, function in template["Mappings"]["Functions"].items() if "Url" in function]
    default = template["Parameters"]["Receivers"]["Default"].split(",")
    resources = {}
    try:
        problems, expanded, resources = check_with(everyone, template, known)
        # These do not depend on the list.
        silence(template, resources, problems)
        new_accounts(template, problems)
        if not problems:
            gradual(expanded, resources, everyone, problems)
        for some in [default, *([one] for one in everyone)]:
            if problems:
                break
            problems = [f"{problem} (Receivers={','.join(some)})" for problem in check_with(some, template, known)[0]]
    except ValueError as error:
        problems = [str(error)]
    except InvalidDocumentException as error:
        problems = [cause.message for cause in error.causes]
    return problems, resources


def main():
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else INFRA.parent / "template.yaml"
    known = known_metrics(Path(sys.argv[2]) if len(sys.argv) > 2 else INFRA / "metrics.txt")
    template = yaml_parse(path.read_text())
    problems, resources = check(template, known)
    for problem in problems:
        print(f"{path.name}: {problem}", file=sys.stderr)
    if problems:
        return 1
    public = sum(auth_type == "NONE" for _, url in of_type(resources, "AWS::Lambda::Url")
                 for auth_type, _ in authentication(url["AuthType"]))
    print(f"{path.name}: {public} URLs that are or may be public, with both permissions; no wildcard resource, "
          f"no plain secret, known metrics, no record skipped by the stream's consumer; {len(resources)} resources, "
          "and the same with the default of Receivers and with each receiver alone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
