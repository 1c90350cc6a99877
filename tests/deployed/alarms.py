"""The stack's alarms on the emulator, which extracts no metrics from log lines, sends none of SQS's, and evaluates no
missing data. This module does both from the deployed definitions, as CloudWatch documents it:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import json
import time
from datetime import datetime, timezone

from stack import STACK

NAMESPACE = "NetcoreWebhooks"
OPERATORS = {"GreaterThanThreshold": lambda value, limit: value > limit, "LessThanThreshold": lambda value, limit: value < limit}


class Alarms:
    """Its time stands still, so that no period ends between a value and the alarm on it."""

    def __init__(self, stack):
        self.stack, self.now = stack, time.time()
        self.cloudwatch = stack.client("cloudwatch")
        # Number of log lines of each function that were read.
        self.read = {}

    def put(self, namespace, metric, dimensions, value, age=0):
        """Sends one value. `age`: seconds before now."""
        self.cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{
            "MetricName": metric, "Value": value, "Timestamp": datetime.fromtimestamp(self.now - age, timezone.utc),
            "Dimensions": [{"Name": name, "Value": text} for name, text in dimensions.items()]}])

    def lines(self):
        """The metrics of log lines since the last call, as (name, value)."""
        found = []
        for function in self.stack.functions():
            lines = self.stack.logged(function)
            for line in map(json.loads, filter(lambda text: text.startswith("{"), lines[self.read.get(function, 0):])):
                for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
                    assert (directive["Namespace"], directive["Dimensions"], line["Stack"]) == (NAMESPACE, [["Stack"]], STACK)
                    found += [(metric["Name"], line[metric["Name"]]) for metric in directive["Metrics"]]
            self.read[function] = len(lines)
        return found

    def extract(self):
        """Sends the metrics of log lines since the last call, and returns the sum of each."""
        sums = {}
        for name, value in self.lines():
            sums[name] = sums.get(name, 0) + value
        for name, value in sums.items():
            self.put(NAMESPACE, name, {"Stack": STACK}, value)
        return sums

    def measure(self, output, sent=0):
        """Sends SQS's metrics of a queue: its depth, and the number of messages that were sent to it."""
        url = self.stack.outputs[output]
        dimensions = {"QueueName": url.rsplit("/", 1)[1]}
        self.put("AWS/SQS", "ApproximateNumberOfMessagesVisible", dimensions, self.stack.depth(output))
        if sent:
            self.put("AWS/SQS", "NumberOfMessagesSent", dimensions, sent)

    def definition(self, name):
        [alarm] = self.cloudwatch.describe_alarms(AlarmNames=[f"{STACK}-{name}"])["MetricAlarms"]
        return alarm

    def is_on(self, name, later=0):
        """Whether the alarm is on, `later` seconds from now if no further data come."""
        alarm = self.definition(name)
        period, periods = alarm["Period"], alarm["EvaluationPeriods"]
        # The current period, and those before it.
        last = (self.now + later) // period
        first = last - periods + 1
        points = self.cloudwatch.get_metric_statistics(
            Namespace=alarm["Namespace"], MetricName=alarm["MetricName"], Dimensions=alarm["Dimensions"], Period=period,
            StartTime=first * period, EndTime=(last + 1) * period, Statistics=[alarm["Statistic"]])["Datapoints"]
        values = {point["Timestamp"].timestamp() // period: point[alarm["Statistic"]] for point in points}
        breaches = OPERATORS[alarm["ComparisonOperator"]]
        missing = {"breaching": True, "notBreaching": False}[alarm["TreatMissingData"]]
        over = [breaches(values[at], alarm["Threshold"]) if at in values else missing
                for at in (first + number for number in range(periods))]
        return sum(over) >= alarm.get("DatapointsToAlarm", periods)
