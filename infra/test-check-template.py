#!/usr/bin/env python3
"""Inserts one fault at a time into a copy of template.yaml, and verifies that check-template.py reports it."""

import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

checks = importlib.import_module("check-template")

INFRA = Path(__file__).resolve().parent
TEMPLATE = (INFRA.parent / "template.yaml").read_text()
KNOWN = checks.known_metrics(INFRA / "metrics.txt")

# (text in the template, faulty replacement, expected part of the report)
FAULTS = [
    ("          AuthType: NONE\n", "          AuthType: !Ref FanOut\n", "must be the literal NONE or AWS_IAM"),
    ("      AuthType: !If [SignsIn, NONE, AWS_IAM]\n", "      AuthType: NONE\n", "public, but without the permission"),
    ("      AuthType: !If [SignsIn, NONE, AWS_IAM]\n", "      AuthType: !If [DashboardRedrives, NONE, AWS_IAM]\n",
     "a public URL and a variable with its authentication belong together"),
    ("      AuthType: !If [SignsIn, NONE, AWS_IAM]\n", "      AuthType: !Ref DashboardAccess\n", "must be the literal NONE or AWS_IAM"),
    ("    Type: AWS::Lambda::Permission\n    Condition: SignsIn\n", "    Type: AWS::Lambda::Permission\n",
     "AWS_IAM, but everybody may call DashboardFunction"),
    ("          Action: lambda:InvokeFunction\n", "          Action: lambda:GetFunction\n",
     "EventWebhookLiveUrl: public, but without the permission lambda:InvokeFunction"),
    ("          Action: lambda:InvokeFunctionUrl\n", "          Action: lambda:GetFunction\n",
     "EventWebhookLiveUrl: public, but without the permission lambda:InvokeFunctionUrl"),
    ("          FunctionName: !Ref { \"Fn::Sub\": \"${Receiver}Function.Alias\" }\n", "          FunctionName: !Ref { \"Fn::Sub\": \"${Receiver}Function\" }\n",
     "EventWebhookLiveUrl: public, but without the permission lambda:InvokeFunctionUrl"),
    ("        Condition: KeepsUnqualifiedUrls\n        Properties:\n          FunctionName:", "        Condition: SignsIn\n        Properties:\n          FunctionName:",
     "EventWebhookFunctionUrl: public, but without the permission lambda:InvokeFunctionUrl"),
    ("          AutoPublishAlias: live\n", "          AutoPublishAlias: beta\n", "EventWebhook: has no alias live"),
    ("          TargetFunctionArn: !Ref { \"Fn::Sub\": \"${Receiver}Function.Alias\" }\n", "          TargetFunctionArn: !Ref { \"Fn::Sub\": \"${Receiver}Function\" }\n",
     "EventWebhook: its URL does not belong to the alias"),
    ("        Type: AWS::Lambda::Url\n        Condition: KeepsUnqualifiedUrls\n", "        Type: AWS::Lambda::Url\n        Condition: SignsIn\n",
     "EventWebhook: an update replaces the URL of an earlier stack"),
    ("      ${Receiver}FunctionUrl:\n", "      ${Receiver}EarlierUrl:\n", "EventWebhook: an update replaces the URL of an earlier stack"),
    ("  UnqualifiedUrls:\n    Type: String\n    Default: \"true\"\n", "  UnqualifiedUrls:\n    Type: String\n    Default: \"false\"\n",
     "UnqualifiedUrls: the update of an earlier stack deletes its URLs"),
    ("        UpdateReplacePolicy: Retain\n        Metadata:\n", "        Metadata:\n", "an update deletes the version that a rollback needs"),
    (" ${RetentionDays} ${LateAfterHours} ", " ${LateAfterHours} ", "EventWebhook: a change of RetentionDays publishes no version"),
    ("- Policy: !If [AuthInParameterStore, !Ref WebhookAuthParameter, !Ref WebhookAuthSecretArn]", "- Policy: !Ref WebhookAuthParameter",
     "EventWebhook: a change of WebhookAuthSecretArn publishes no version"),
    ("\"${Policy} ${LogFilter} ", "\"${Policy} ${LogFilter} ${LogRetentionDays} ", "a change of LogRetentionDays publishes a version that is the same"),
    ("    MaxLength: 64\n", "    MaxLength: 256\n", "the description of a version may have more than 256 characters"),
    ("            Enabled: !Ref GradualDeployment\n", "            Enabled: false\n", "GradualDeployment does not move its alias"),
    ("              - !Ref { \"Fn::Sub\": \"${Receiver}UnavailableAlarm\" }\n", "", "do not stop its deployment"),
    ("            Role: !GetAtt DeploymentRole.Arn\n", "", "GradualDeployment must use DeploymentRole"),
    ("service-role/AWSCodeDeployRoleForLambdaLimited", "AdministratorAccess", "may have wildcards"),
    ("          - { Effect: Allow, Action: [xray:PutTraceSegments, xray:PutTelemetryRecords], Resource: \"*\" }\n",
     "          - { Effect: Allow, Action: [xray:PutTraceSegments, sqs:SendMessage], Resource: \"*\" }\n", "wildcard resource *"),
    ("      PermissionsBoundary: !If [HasPermissionsBoundary, !Ref PermissionsBoundary, !Ref AWS::NoValue]\n", "", "PermissionsBoundary does not limit it"),
    ("      TreatMissingData: breaching\n", "      TreatMissingData: notBreaching\n", "SilenceAlarm: TreatMissingData must be breaching"),
    ("      MetricName: Stored\n", "      MetricName: Received\n", "SilenceAlarm: MetricName must be Stored"),
    ("    \"4320\": { Period: 3600, Periods: 72 }\n", "    \"4320\": { Period: 60, Periods: 4320 }\n", "CloudWatch does not accept"),
    ("    \"60\": { Period: 60, Periods: 60 }\n", "    \"60\": { Period: 60, Periods: 6 }\n", "is not 60 minutes"),
    ("    AllowedValues: [\"0\", \"5\", ", "    AllowedValues: [\"0\", ", "its values are not those of the mapping Silence"),
    ("  ReceiverConcurrency:\n    Type: Number\n    Default: 0\n", "  ReceiverConcurrency:\n    Type: Number\n    Default: 170\n", "a new account refuses the default"),
    ("      DeletionProtectionEnabled: !If [LocksTables, true, false]\n", "      DeletionProtectionEnabled: !If [ProtectsData, true, false]\n",
     "EventsTable: ProtectData does not decide its deletion protection"),
    ("    Default: retain\n", "    Default: \"true\"\n", "ProtectData: the failed creation of a new stack must leave nothing"),
    ("    AllowedValues: [retain, \"true\", \"false\"]\n", "    AllowedValues: [retain, \"false\"]\n", "ProtectData: existing stacks have the value true"),
    ("          WEBHOOK_AUTH: !If", "          NO_AUTH: !If", "a public URL and a variable with its authentication belong together"),
    ("            - !Sub ssm:${DashboardAuthParameter}\n", "            - !Ref DashboardAuthParameter\n", "DASHBOARD_AUTH must be the reference"),
    ("            MaximumRetryAttempts: -1\n", "            MaximumRetryAttempts: 3\n", "must be retried until they expire"),
    ("            DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt DeadLetterQueue.Arn } }\n", "",
     "need a destination on failure"),
    ("            FunctionResponseTypes: [ReportBatchItemFailures]\n            BisectBatchOnFunctionError: true\n",
     "            BisectBatchOnFunctionError: true\n", "one record blocks the whole batch"),
    ("            MaximumBatchingWindowInSeconds: !Ref ProjectorWindowSeconds\n", "            MaximumBatchingWindowInSeconds: 300\n",
     "is not limited to a minute"),
    ("  ProjectorWindowSeconds:\n    Type: Number\n    Default: 55\n    MinValue: 0\n    MaxValue: 60\n",
     "  ProjectorWindowSeconds:\n    Type: Number\n    Default: 55\n    MinValue: 0\n    MaxValue: 300\n", "is not limited to a minute"),
    ("!If [LeanRecipientIndex, { ProjectionType: KEYS_ONLY }, { ProjectionType: ALL }]", "{ ProjectionType: KEYS_ONLY }",
     "RecipientIndex: an index of a stack with the value true must keep all attributes"),
    ("                - { ProjectionType: INCLUDE, NonKeyAttributes: [channel, status] }\n", "                - { ProjectionType: ALL }\n",
     "DayIndex: the index of a new stack must not contain whole items"),
    ("NonKeyAttributes: [channel, status]", f"NonKeyAttributes: {[f'a{number}' for number in range(21)]}", "projects 21 attributes"),
    ("    Default: lean\n    AllowedValues: [lean, \"true\", \"false\"]\n", "    Default: lean\n    AllowedValues: [lean, \"false\"]\n",
     "RecipientIndex: existing stacks have the value true"),
    ("    Default: lean\n", "    Default: \"true\"\n", "RecipientIndex: the index of a new stack must not contain whole items"),
    ("      Role: !GetAtt RedriveRole.Arn\n", "", "the managed policy arn"),
    ("                Action: [dynamodb:PutItem, dynamodb:PartiQLInsert]\n                Resource: !GetAtt EventsTable.Arn\n",
     "                Action: [dynamodb:PutItem, dynamodb:PartiQLInsert]\n                Resource: \"*\"\n", "wildcard resource *"),
    ("${EventsTable.Arn}/index/day-index", "${EventsTable.Arn}/index/*", "wildcard resource ${EventsTable.Arn}/index/*"),
    ("${AnalyticsBucket.Arn}/events/*", "${AnalyticsBucket.Arn}/*", "wildcard resource ${AnalyticsBucket.Arn}/*"),
    ("                Action: [dynamodb:PutItem, dynamodb:PartiQLInsert]\n", "                Action: dynamodb:*\n", "wildcard action dynamodb:*"),
    ('WEBHOOK_AUTH: !If [AuthInParameterStore, !Sub "ssm:${WebhookAuthParameter}", !Sub "secretsmanager:${WebhookAuthSecretArn}"]',
     "WEBHOOK_AUTH: '{\"accept\":\"anything\"}'", "nothing else"),
    ("        RUST_LOG: !Ref LogFilter\n", "        API_TOKEN: abc\n", "API_TOKEN looks like a secret"),
    ("AllowedPattern: ^(/[A-Za-z0-9_.-]{1,128}){1,15}$", "AllowedPattern: .*", "accepts a value that is not a reference"),
    ("AllowedPattern: ^(/[A-Za-z0-9_.-]{1,128}){1,15}$", "AllowedPattern: ^[a-z]+$", "refuses the reference"),
    ("MetricName: TableThrottles\n", "MetricName: Throttled\n", "the metric Throttled is not in metrics.txt"),
    ("Dimensions: [{ Name: Stack, Value: !Ref AWS::StackName }]", "Dimensions: [{ Name: Function, Value: redrive }]",
     "the dimensions of Stored are {'Function': 'redrive'}"),
    ("Dimensions: [{ Name: Stack, Value: !Ref AWS::StackName }]", "Dimensions: [{ Name: Stack, Value: netcore-webhooks }]",
     "the dimensions of Stored are {'Stack': 'netcore-webhooks'}"),
    ('"Late", "Stack", "${AWS::StackName}"', '"Late", "Stack", "netcore-webhooks"', "the dimensions of Late are"),
    ("        STACK_NAME: !Ref AWS::StackName\n", "", "RedriveFunction: STACK_NAME"),
    ('["NetcoreWebhooks", "Late", "Stack", "${AWS::StackName}", {', '[{"expression": "SUM(SEARCH(\'{NetcoreWebhooks,Stack} Late\', \'Sum\', 60))"}], ["NetcoreWebhooks", "Late", "Stack", "${AWS::StackName}", {',
     "an expression can read other stacks' metrics"),
    ('["NetcoreWebhooks", "Late", ', '["NetcoreWebhooks", "RefusedBatches", "Stack", "${AWS::StackName}"], ["NetcoreWebhooks", "Late", ', "more than 50"),
    ("  RetryQueue:\n    Type: AWS::SQS::Queue\n    DeletionPolicy: !If [ProtectsData, RetainExceptOnCreate, Delete]\n",
     "  RetryQueue:\n    Type: AWS::SQS::Queue\n    DeletionPolicy: Delete\n", "RetryQueue: ProtectData does not decide its DeletionPolicy"),
    ("  RetryQueue:\n    Type: AWS::SQS::Queue\n    DeletionPolicy: !If [ProtectsData, RetainExceptOnCreate, Delete]\n",
     "  RetryQueue:\n    Type: AWS::SQS::Queue\n    DeletionPolicy: !If [ProtectsData, Retain, Delete]\n", "RetryQueue: ProtectData does not decide its DeletionPolicy"),
    ("docs/operate.md#dead-letters", "docs/operate.md#dead-mail", "no section dead-mail"),
    ("                  - !If [HasFallbackSms, !Sub 'arn:${AWS::Partition}:logs:", "                  - !If [HasFallbackSms, !Sub 'arn:${AWS::Partition}:xray:",
     "FallbackSmsFunction may not write to its log group FallbackSmsLog"),
    ("log-group:/aws/lambda/${AWS::StackName}-fallback-sms:*'", "log-group:/aws/lambda/${AWS::StackName}-*:*'", "wildcard resource"),
    ("                  - !If [HasRcsCallback, !Sub", "                  - !If [HasEventWebhook, !Sub", "which does not exist (Receivers=EventWebhook)"),
    ("  HasRcsCallback: !Not", "  HasRcsCallbacks: !Not", "depends on HasRcsCallback"),
    ("  HasRcsCallback: !Not [!Equals [{ Fn::Length: !Split [RcsCallback,", "  HasRcsCallback: !Not [!Equals [{ Fn::Length: !Split [EventWebhook,",
     "which does not exist (Receivers=EventWebhook)"),
    ("${DeliveryStatusAlarms}${RcsCallbackAlarms}", "${DeliveryStatusAlarms}", "OperatorDashboard: does not show RcsCallbackUnavailableAlarm"),
    ('"${Alarm}-unavailable", ', "", "OperatorDashboard: does not show EventWebhookUnavailableAlarm"),
    ('${DeliveryStatusFaults}${RcsCallbackFaults}', "${DeliveryStatusFaults}", "OperatorDashboard: does not show Throttles of RcsCallbackFunction"),
    ('"FunctionName", "${AWS::StackName}-rcs-callback", {"stat": "Maximum"}', '"FunctionName", "${AWS::StackName}-rcs", {"stat": "Maximum"}',
     "shows ConcurrentExecutions of ${AWS::StackName}-rcs, which does not exist"),
    ('                  "${RedriveErrorsAlarm.Arn}",\n', "", "OperatorDashboard: does not show RedriveErrorsAlarm"),
    ("      Name: rcs-callback\n", "      Name: rcs\n", "its function is named ${AWS::StackName}-rcs"),
    ("    - ${Receiver}Url:\n", "    - ${Receiver}Address:\n", "no output with its URL"),
    ('Value: !Ref { "Fn::Sub": "${Receiver}Function" }', 'Value: !Ref { "Fn::Sub": "${Receiver}" }', "refers to EventWebhook, which does not exist"),
    ('["NetcoreWebhooks", "Stored"', '["NetcoreWebhooks", "Saved"', "the metric Saved is not in metrics.txt"),
]


def undetected(number):
    """The report for a fault that the check does not find; None if it finds it."""
    old, new, message = FAULTS[number]
    if old not in TEMPLATE:
        return f"the template no longer has {old.strip()!r}: adapt this fault"
    problems, _ = checks.check(checks.yaml_parse(TEMPLATE.replace(old, new, 1)), KNOWN)
    if not any(message in problem for problem in problems):
        return f"not detected: {new.strip()!r} (expected {message!r})\n" + "\n".join(problems)
    return None


def not_reported():
    """The report if the command does not print a problem and fail; None if it does."""
    old, new, message = FAULTS[0]
    with tempfile.TemporaryDirectory() as folder:
        broken = Path(folder) / "template.yaml"
        broken.write_text(TEMPLATE.replace(old, new, 1))
        result = subprocess.run([sys.executable, INFRA / "check-template.py", broken], capture_output=True, text=True)
    if result.returncode != 1 or message not in result.stderr:
        return f"check-template.py ended with {result.returncode} and printed: {result.stderr}"
    return None


def main():
    # Forked processes have the modules already, whose import takes longer than a check.
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("fork")) as pool:
        reports = list(pool.map(undetected, range(len(FAULTS))))
    missed = [text for text in reports if text]
    failed = [*missed, *filter(None, [not_reported()])]
    print(*failed, sep="\n", file=sys.stderr, end="\n" if failed else "")
    print(f"check-template.py detected {len(FAULTS) - len(missed)} of {len(FAULTS)} faults")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
