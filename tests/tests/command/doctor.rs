//! `doctor` checks an account and a stack. The URLs are those of `serve`; the other services are a stand-in.

use integration_tests::{
    account::{Account, Reply},
    command::{ServeProcess, Workdir},
};
use serde_json::{Value, json};

/// Prefix of the logical ids and name of each receiver.
const RECEIVERS: [(&str, &str); 9] = [
    ("EventWebhook", "event-webhook"),
    ("FallbackSms", "fallback-sms"),
    ("IncomingWebhook", "incoming-webhook"),
    ("DeliveryStatus", "delivery-status"),
    ("RcsCallback", "rcs-callback"),
    ("EmailEvent", "email-event"),
    ("SmsDelivery", "sms-delivery"),
    ("RbmEvent", "rbm-event"),
    ("WhatsappCloud", "whatsapp-cloud"),
];
const SIGN_IN: &str = r#"{"key":"0123456789abcdef0123456789abcdef","sign_in":[{"role":"agent","password":"correct horse battery"}]}"#;
const AUTH: &str = "/netcore-webhooks/auth";

/// An account with a healthy stack `netcore-webhooks`.
struct Healthy {
    workdir: Workdir,
    account: Account,
    serve: ServeProcess,
}

impl Healthy {
    async fn start() -> Self {
        let workdir = Workdir::new();
        let account = Account::start().await;
        let serve = workdir.serve_with(&[], &[("DASHBOARD_AUTH", SIGN_IN)]).await;
        account.put(AUTH, "SecureString", &workdir.read(".local/webhook-auth.json"));
        account.put("/netcore-webhooks/dashboard", "SecureString", SIGN_IN);
        account.outputs(
            "GetCallerIdentity",
            json!({"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/u", "UserId": "U"}),
        );
        account.outputs(
            "GetAccountSettings",
            json!({"AccountLimit": {"ConcurrentExecutions": 2000, "UnreservedConcurrentExecutions": 460}}),
        );
        let mapping =
            |arn: &str| json!({"EventSourceArn": arn, "State": "Enabled", "LastProcessingResult": "OK"});
        account.outputs(
            "ListEventSourceMappings",
            json!({"EventSourceMappings": [mapping("arn:stream"), mapping("arn:retry")]}),
        );
        account.outputs("DescribeTable", json!({"Table": {
            "TableStatus": "ACTIVE", "StreamSpecification": {"StreamEnabled": true},
            "GlobalSecondaryIndexes": [{"IndexName": "day-index", "IndexStatus": "ACTIVE"}], "DeletionProtectionEnabled": true,
        }}));
        account.outputs(
            "DescribeTimeToLive",
            json!({"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED"}}),
        );
        account.outputs(
            "DescribeContinuousBackups",
            json!({"ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"},
            }}),
        );
        account.outputs("GetQueueAttributes", json!({"Attributes": {
            "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0",
        }}));
        account.outputs(
            "GetMetricStatistics",
            json!({"Datapoints": [
                {"Timestamp": 1_795_219_200, "Maximum": 7200.0}, {"Timestamp": 1_795_219_260, "Maximum": 0.0},
            ]}),
        );
        account.outputs(
            "ListSubscriptionsByTopic",
            json!({"Subscriptions": [{"SubscriptionArn": "arn:aws:sns:ap-south-1:1:t:2"}]}),
        );
        account.outputs("ListStackResources", json!({"StackResourceSummaries": [
            {"ResourceType": "AWS::CloudWatch::Alarm", "PhysicalResourceId": "netcore-webhooks-dead-letters", "LogicalResourceId": "A", "ResourceStatus": "CREATE_COMPLETE"},
            {"ResourceType": "AWS::SQS::Queue", "PhysicalResourceId": "q", "LogicalResourceId": "Q", "ResourceStatus": "CREATE_COMPLETE"},
        ]}));
        account.outputs("DescribeAlarms", alarm("OK"));
        let healthy = Self {
            workdir,
            account,
            serve,
        };
        healthy.stack("UPDATE_COMPLETE", &json!({}));
        healthy
    }

    /// The stack with this status and these outputs instead of the right ones.
    fn stack(&self, status: &str, outputs: &Value) {
        let names: Vec<&str> = RECEIVERS.iter().map(|(prefix, _)| *prefix).collect();
        let parameters = json!([
            {"ParameterKey": "Receivers", "ParameterValue": names.join(",")},
            {"ParameterKey": "ReceiverConcurrency", "ParameterValue": "170"},
            {"ParameterKey": "DashboardConcurrency", "ParameterValue": "10"},
            {"ParameterKey": "DashboardAccess", "ParameterValue": "SIGN_IN"},
            {"ParameterKey": "DashboardAuthParameter", "ParameterValue": "/netcore-webhooks/dashboard"},
        ]);
        let mut all = json!({
            "DashboardUrl": format!("{}/", self.serve.url),
            "EventsTableName": "events", "RollupsTableName": "rollups",
            "EventsTableStreamArn": "arn:stream", "RetryQueueArn": "arn:retry",
            "RetryQueueUrl": format!("{}/1/retry", self.account.url),
            "DeadLetterQueueUrl": format!("{}/1/dead", self.account.url),
            "AlarmTopicArn": "arn:aws:sns:ap-south-1:1:t",
        });
        for (prefix, name) in RECEIVERS {
            all[format!("{prefix}Url")] = format!("{}/lambda-url/{name}/", self.serve.url).into();
        }
        for (name, value) in outputs.as_object().unwrap() {
            all[name] = value.clone();
        }
        let outputs: Vec<Value> = all
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| json!({"OutputKey": name, "OutputValue": value}))
            .collect();
        self.account.outputs("DescribeStacks", json!({"Stacks": [{
            "StackName": "netcore-webhooks", "StackStatus": status, "Parameters": parameters, "Outputs": outputs,
        }]}));
    }

    /// Runs `doctor --json`; its exit code and checks.
    async fn doctor(&self, more: &[&str]) -> (i32, Vec<Value>) {
        let arguments = [&["doctor", "--json"], more].concat();
        let output = self
            .workdir
            .run_with(&arguments, &self.account.environment())
            .await;
        assert_eq!(output.stderr, "");
        let checks: Vec<Value> = serde_json::from_str(&output.stdout).unwrap();
        for secret in [
            self.serve.token(),
            "correct horse".to_owned(),
            "quoted-by-the-service".to_owned(),
        ] {
            assert!(!output.stdout.contains(&secret), "{}", output.stdout);
        }
        (output.code.unwrap(), checks)
    }
}

fn alarm(state: &str) -> Value {
    json!({"MetricAlarms": [{
        "AlarmName": "netcore-webhooks-dead-letters", "StateValue": state, "ActionsEnabled": true, "AlarmActions": ["arn:t"],
    }]})
}

/// `(check, result)` of all checks that are not ok, sorted and without repetitions.
fn problems(checks: &[Value]) -> Vec<(String, String)> {
    let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    let mut found: Vec<(String, String)> = checks
        .iter()
        .filter(|check| check["result"] != "ok")
        .map(|check| (text(check, "check"), text(check, "result")))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn one(check: &str, result: &str) -> Vec<(String, String)> {
    vec![(check.to_owned(), result.to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_stack_has_no_problem_and_nothing_is_stored_by_the_checks() {
    let healthy = Healthy::start().await;
    let (code, checks) = healthy.doctor(&[]).await;
    // The age of the prices depends on the day of the test.
    let mut found = problems(&checks);
    found.retain(|(check, _)| check != "prices");
    assert_eq!(found, [], "{checks:#?}");
    assert_eq!(code, 0);
    let of = |name: &str| checks.iter().filter(|check| check["check"] == name).count();
    for name in ["url", "url-wrong-signature", "url-right-signature"] {
        assert_eq!(of(name), 9, "{name}");
    }
    for (name, count) in [
        ("table", 2),
        ("table-recovery", 2),
        ("queue-depth", 2),
        ("event-source", 2),
        ("alarms", 1),
        ("dashboard-url", 1),
        ("prices", 1),
    ] {
        assert_eq!(of(name), count, "{name}");
    }
    let storage = healthy.workdir.storage().await;
    assert_eq!(storage.count().await, 0);
    assert_eq!(storage.take_dead_messages().await.len(), 0);
    let text = healthy
        .workdir
        .run_with(&["doctor"], &healthy.account.environment())
        .await
        .ok();
    assert!(text.contains("0 failed, 0 not checked"), "{text}");
    // Read operations only.
    for call in healthy.account.calls() {
        assert!(
            call.starts_with("Get") || call.starts_with("List") || call.starts_with("Describe"),
            "{call}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn each_fault_of_a_stack_is_found() {
    let healthy = Healthy::start().await;
    let account = &healthy.account;
    let again = |operation: &str, output: Value| account.outputs(operation, output);
    let found = async || {
        let (code, checks) = healthy.doctor(&[]).await;
        let mut found = problems(&checks);
        found.retain(|(check, _)| check != "prices");
        (code, found)
    };
    let table = |change: Value| {
        let mut table = json!({"TableStatus": "ACTIVE", "StreamSpecification": {"StreamEnabled": true}, "DeletionProtectionEnabled": true});
        for (name, value) in change.as_object().unwrap() {
            table[name] = value.clone();
        }
        json!({ "Table": table })
    };
    let mapping = |arn: &str, state: &str, result: &str| {
        json!({"EventSourceMappings": [
            {"EventSourceArn": arn, "State": state, "LastProcessingResult": result},
            {"EventSourceArn": "arn:retry", "State": "Enabled", "LastProcessingResult": "OK"},
        ]})
    };
    let depth = json!({"Attributes": {"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesNotVisible": "1", "ApproximateNumberOfMessagesDelayed": "0"}});
    let cases = [
        (
            "DescribeTable",
            table(json!({"TableStatus": "ARCHIVED"})),
            "table",
            "failed",
        ),
        (
            "DescribeTable",
            table(json!({"StreamSpecification": {"StreamEnabled": false}})),
            "table",
            "failed",
        ),
        (
            "DescribeTable",
            table(json!({"DeletionProtectionEnabled": false})),
            "table",
            "warning",
        ),
        (
            "DescribeTable",
            table(json!({"GlobalSecondaryIndexes": [{"IndexName": "day-index", "IndexStatus": "CREATING"}]})),
            "table",
            "warning",
        ),
        (
            "DescribeTimeToLive",
            json!({"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}),
            "table-time-to-live",
            "failed",
        ),
        (
            "DescribeContinuousBackups",
            json!({"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"}}}),
            "table-recovery",
            "failed",
        ),
        ("GetQueueAttributes", depth, "queue-depth", "warning"),
        (
            "GetMetricStatistics",
            json!({"Datapoints": [{"Timestamp": 1_795_219_200, "Maximum": 3601.0}]}),
            "queue-age",
            "warning",
        ),
        (
            "ListEventSourceMappings",
            mapping("arn:stream", "Disabled", "OK"),
            "event-source",
            "failed",
        ),
        (
            "ListEventSourceMappings",
            mapping("arn:stream", "Enabled", "PROBLEM: Function call failed"),
            "event-source",
            "failed",
        ),
        (
            "ListEventSourceMappings",
            mapping("arn:another-stream", "Enabled", "OK"),
            "event-source",
            "failed",
        ),
        (
            "ListSubscriptionsByTopic",
            json!({"Subscriptions": []}),
            "alarm-subscription",
            "warning",
        ),
        (
            "ListSubscriptionsByTopic",
            json!({"Subscriptions": [{"SubscriptionArn": "PendingConfirmation"}]}),
            "alarm-subscription",
            "failed",
        ),
        ("DescribeAlarms", alarm("ALARM"), "alarms", "failed"),
        (
            "GetAccountSettings",
            json!({"AccountLimit": {"ConcurrentExecutions": 1640, "UnreservedConcurrentExecutions": 99}}),
            "concurrency",
            "failed",
        ),
    ];
    for (operation, output, check, result) in cases {
        let before = match operation {
            "DescribeTable" => table(json!({})),
            "DescribeTimeToLive" => json!({"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED"}}),
            "DescribeContinuousBackups" => {
                json!({"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}})
            }
            "GetQueueAttributes" => {
                json!({"Attributes": {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0"}})
            }
            "GetMetricStatistics" => json!({"Datapoints": []}),
            "ListEventSourceMappings" => mapping("arn:stream", "Enabled", "OK"),
            "ListSubscriptionsByTopic" => {
                json!({"Subscriptions": [{"SubscriptionArn": "arn:aws:sns:ap-south-1:1:t:2"}]})
            }
            "DescribeAlarms" => alarm("OK"),
            _ => {
                json!({"AccountLimit": {"ConcurrentExecutions": 2000, "UnreservedConcurrentExecutions": 460}})
            }
        };
        again(operation, output.clone());
        let code = i32::from(result == "failed");
        assert_eq!(found().await, (code, one(check, result)), "{operation} {output}");
        again(operation, before);
    }

    // URLs: nobody there, and one that is not protected.
    healthy.stack(
        "UPDATE_COMPLETE",
        &json!({"SmsDeliveryUrl": "http://127.0.0.1:1/"}),
    );
    assert_eq!(found().await, (1, one("url", "failed")));
    healthy.stack("UPDATE_ROLLBACK_FAILED", &json!({}));
    assert_eq!(found().await, (1, one("stack", "failed")));
    healthy.stack("UPDATE_COMPLETE", &json!({}));

    // The functions still have another policy than the one in SSM.
    let rotated =
        r#"{"accept":[{"type":"header","name":"x-netcore-token","values":["another-token-of-the-tests"]}]}"#;
    account.put(AUTH, "SecureString", rotated);
    assert_eq!(found().await, (1, one("url-right-signature", "failed")));
    let (both, calls) = (["policy", "url-right-signature"], account);
    for (kind, value, result) in [
        ("SecureString", r#"{"accept":"anything"}"#, "failed"),
        (
            "SecureString",
            r#"{"accept":[{"type":"header","name":"x","values":["short"]}]}"#,
            "failed",
        ),
        (
            "SecureString",
            r#"{"accept":[{"type":"header","name":"x","values":["short"],"allow_weak":true}]}"#,
            "warning",
        ),
        ("String", rotated, "warning"),
    ] {
        calls.put(AUTH, kind, value);
        let (_, found) = found().await;
        assert!(
            found.contains(&(both[0].to_owned(), result.to_owned())),
            "{value}: {found:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_accepts_anything_is_found() {
    let healthy = Healthy::start().await;
    let open = Workdir::new();
    let serve = open
        .serve_with(&["--memory"], &[("WEBHOOK_AUTH", r#"{"accept":"anything"}"#)])
        .await;
    let url = format!("{}/lambda-url/event-webhook/", serve.url);
    // Its dashboard is open as well.
    healthy.stack(
        "UPDATE_COMPLETE",
        &json!({"EventWebhookUrl": url, "DashboardUrl": format!("{}/", serve.url)}),
    );
    let (code, checks) = healthy.doctor(&[]).await;
    let failed: Vec<&Value> = checks
        .iter()
        .filter(|check| check["result"] == "failed")
        .collect();
    let names: Vec<&str> = failed
        .iter()
        .map(|check| check["check"].as_str().unwrap())
        .collect();
    assert_eq!((code, names), (1, vec!["url-wrong-signature", "dashboard-url"]));
    assert!(
        failed[0]["found"]
            .as_str()
            .unwrap()
            .contains("anyone can write events")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_or_a_silent_service_stops_no_other_check() {
    let healthy = Healthy::start().await;
    for operation in [
        "GetAccountSettings",
        "DescribeTable",
        "ListSubscriptionsByTopic",
        "DescribeAlarms",
        "GetQueueAttributes",
    ] {
        let code = match operation {
            "ListSubscriptionsByTopic" => "AuthorizationError",
            "DescribeAlarms" => "AccessDenied",
            _ => "AccessDeniedException",
        };
        healthy.account.replies(operation, Reply::Error(code));
    }
    healthy.account.replies("DescribeTimeToLive", Reply::Hangs);
    let (code, checks) = healthy.doctor(&[]).await;
    assert_eq!(code, 2, "{checks:#?}");
    let found = |name: &str| {
        let check = checks.iter().find(|check| check["check"] == name).unwrap();
        assert_eq!(check["result"], "not_checked", "{check}");
        check["found"].as_str().unwrap().to_owned()
    };
    for (name, permission) in [
        ("concurrency", "lambda:GetAccountSettings"),
        ("table", "dynamodb:DescribeTable"),
        ("alarm-subscription", "sns:ListSubscriptionsByTopic"),
        ("alarms", "cloudwatch:DescribeAlarms"),
        ("queue-depth", "sqs:GetQueueAttributes"),
    ] {
        assert_eq!(found(name), format!("permission {permission} is missing"));
    }
    assert_eq!(
        found("table-time-to-live"),
        "dynamodb:DescribeTimeToLive failed: no answer in time"
    );
    let recovery = checks
        .iter()
        .find(|check| check["check"] == "table-recovery")
        .unwrap();
    assert_eq!(recovery["result"], "ok");
    // A failure decides before what was not checked.
    healthy
        .account
        .outputs("ListEventSourceMappings", json!({"EventSourceMappings": []}));
    assert_eq!(healthy.doctor(&[]).await.0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_deployment_the_account_is_checked() {
    let workdir = Workdir::new();
    let account = Account::start().await;
    let doctor = async |more: &[&str]| {
        let arguments = [&["doctor", "--json"], more].concat();
        let output = workdir.run_with(&arguments, &account.environment()).await;
        let checks: Vec<Value> = serde_json::from_str(&output.stdout).unwrap();
        let mut found = problems(&checks);
        found.retain(|(check, _)| check != "prices");
        (output.code.unwrap(), found, checks)
    };
    account.replies("GetCallerIdentity", Reply::Error("ExpiredToken"));
    let (code, found, _) = doctor(&[]).await;
    let expected = [one("credentials", "failed"), one("stack", "not_checked")].concat();
    assert_eq!((code, found), (1, expected));
    assert_eq!(account.calls(), ["GetCallerIdentity"]);

    account.outputs("GetCallerIdentity", json!({"Account": "123456789012"}));
    account.replies("DescribeStacks", Reply::Error("ValidationError"));
    account.outputs(
        "GetAccountSettings",
        json!({"AccountLimit": {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}}),
    );
    let reserving = [
        "--parameter-overrides",
        "ReceiverConcurrency=170",
        "DashboardConcurrency=10",
    ];
    let (code, found, checks) = doctor(&reserving).await;
    assert_eq!(
        (code, found),
        (
            1,
            [one("concurrency", "failed"), one("policy", "failed")].concat()
        )
    );
    let action = |name: &str| {
        checks.iter().find(|check| check["check"] == name).unwrap()["action"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(action("concurrency").contains("ReceiverConcurrency=0 and DashboardConcurrency=0"));
    assert_eq!(
        action("policy"),
        format!("run `netcore-webhooks init --ssm {AUTH}`")
    );

    // What it says, done.
    workdir
        .run_with(&["init", "--ssm", AUTH], &account.environment())
        .await
        .ok();
    let none = [
        "--parameter-overrides",
        "ReceiverConcurrency=0",
        "DashboardConcurrency=0",
    ];
    let (code, found, _) = doctor(&none).await;
    assert_eq!((code, found), (0, one("concurrency", "warning")));

    let long = "a".repeat(48);
    let (code, found, _) = doctor(&[&none[..], &["--stack", &long]].concat()).await;
    assert_eq!(code, 1);
    assert!(
        found.contains(&("stack-name".to_owned(), "failed".to_owned())),
        "{found:?}"
    );
    let sign_in = [
        "--parameter-overrides",
        "DashboardAccess=SIGN_IN",
        "DashboardAuthParameter=/none",
        "ReceiverConcurrency=0",
        "DashboardConcurrency=0",
    ];
    let (_, found, _) = doctor(&sign_in).await;
    assert!(
        found.contains(&("dashboard-passwords".to_owned(), "failed".to_owned())),
        "{found:?}"
    );
    let error = workdir
        .run_with(
            &["doctor", "--parameter-overrides", "Typo=1"],
            &account.environment(),
        )
        .await
        .error();
    assert!(error.contains("template.yaml has no parameter Typo"), "{error}");
}
