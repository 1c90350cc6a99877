//! `init` makes a policy, prints what a sender needs, and stores it in SSM without overwriting anything.

use integration_tests::{
    account::{Account, Reply},
    command::Workdir,
};
use serde_json::{Value, json};

const NAME: &str = "/netcore-webhooks/auth";

fn policy(account: &Account, name: &str) -> Value {
    serde_json::from_str(&account.parameter(name).unwrap().value).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_of_init_works_as_webhook_auth() {
    let workdir = Workdir::new();
    let first: Value = serde_json::from_str(&workdir.run(&["init", "--json"]).await.ok()).unwrap();
    let second: Value = serde_json::from_str(&workdir.run(&["init", "--json"]).await.ok()).unwrap();
    assert_ne!(first["policy"], second["policy"], "a secret is random");
    assert_eq!(first["secrets_shown"], true);
    let settings = first["settings"].as_array().unwrap();
    assert_eq!(
        settings[0],
        json!({"field": "header name", "value": "x-netcore-token"})
    );
    let token = settings[1]["value"].as_str().unwrap();
    assert_eq!(settings[1]["field"], "header value");
    assert_eq!(token.len(), 64, "256 bits, hexadecimal");

    let auth = first["policy"].to_string();
    let serve = workdir
        .serve_with(&["--memory"], &[("WEBHOOK_AUTH", &auth)])
        .await;
    let url = format!("{}/lambda-url/event-webhook/", serve.url);
    let post =
        |header: String| format!("curl -s -o /dev/null -w '%{{http_code}}' '{url}' -H '{header}' -d '[]'");
    assert_eq!(
        workdir.paste(&post(format!("x-netcore-token: {token}"))).await,
        "200"
    );
    assert_eq!(
        workdir.paste(&post("x-netcore-token: another".to_owned())).await,
        "401"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_sender_is_read_from_a_file() {
    let workdir = Workdir::new();
    let error = workdir.run(&["init", "--sender", "meta"]).await.error();
    assert!(
        error.contains("--secret-file") && error.contains("app secret"),
        "{error}"
    );
    workdir.write("secret", "0123456789-app-secret\n");
    let report = workdir
        .run(&["init", "--sender", "meta", "--secret-file", "secret", "--json"])
        .await
        .ok();
    let report: Value = serde_json::from_str(&report).unwrap();
    let scheme = &report["policy"]["accept"][0];
    assert_eq!(scheme["secrets"], json!(["0123456789-app-secret"]));
    // Meta's form needs the verify token only.
    assert_eq!(
        report["settings"],
        json!([{"field": "verify token", "value": scheme["verify_token"]}])
    );

    workdir.write("weak", "short");
    let error = workdir
        .run(&["init", "--sender", "svix", "--secret-file", "weak"])
        .await
        .error();
    assert!(
        error.contains("16 characters") && !error.contains("short\""),
        "{error}"
    );
    let error = workdir
        .run(&["init", "--sender", "sinch", "--header", "x"])
        .await
        .error();
    assert!(error.contains("--header does not apply"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ssm_keeps_the_secret_off_the_terminal_and_is_never_overwritten_unasked() {
    let workdir = Workdir::new();
    let account = Account::start().await;
    account.replies("DescribeStacks", Reply::Error("ValidationError"));
    let environment = account.environment();

    let output = workdir.run_with(&["init", "--ssm"], &environment).await;
    assert_eq!(output.stderr, "");
    let output = output.ok();
    let stored = account.parameter(NAME).unwrap();
    assert_eq!((stored.kind.as_str(), stored.version), ("SecureString", 1));
    let token = policy(&account, NAME)["accept"][0]["values"][0]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        !output.contains(&token) && !output.contains(&token[..8]),
        "{output}"
    );
    assert!(
        output.contains("<secret>") && output.contains("netcore-webhooks doctor"),
        "{output}"
    );

    // The parameter exists: nothing changes, and the error shows no secret.
    let refused = workdir.run_with(&["init", "--ssm", "--show"], &environment).await;
    assert_eq!(account.parameter(NAME).unwrap(), stored);
    let error = refused.error();
    assert!(
        error.contains("SecureString, version 1 of 2026-11-21, accepts header x-netcore-token"),
        "{error}"
    );
    assert!(
        error.contains("--add") && error.contains("--overwrite"),
        "{error}"
    );
    assert!(!error.contains(&token), "{error}");

    // --add keeps the first secret.
    let arguments = [
        "init", "--sender", "hmac", "--ssm", NAME, "--add", "--show", "--json",
    ];
    let added: Value = serde_json::from_str(&workdir.run_with(&arguments, &environment).await.ok()).unwrap();
    assert_eq!(
        added["stored"],
        json!({"parameter": NAME, "version": 2, "region": "ap-south-1"})
    );
    let both = policy(&account, NAME);
    assert_eq!(both["accept"][0]["values"], json!([token]));
    assert_eq!(both["accept"][1], added["policy"]["accept"][0]);
    assert_eq!(both["accept"][1]["type"], "hmac");

    let arguments = [
        "init",
        "--ssm",
        NAME,
        "--overwrite",
        "--kms-key",
        "arn:aws:kms:ap-south-1:1:key/2",
    ];
    let output = workdir.run_with(&arguments, &environment).await.ok();
    let replaced = account.parameter(NAME).unwrap();
    assert_eq!(
        (replaced.version, replaced.key.as_deref()),
        (3, Some("arn:aws:kms:ap-south-1:1:key/2"))
    );
    assert!(!replaced.value.contains(&token));
    assert!(
        output.contains("WebhookAuthKeyArn=arn:aws:kms:ap-south-1:1:key/2"),
        "{output}"
    );

    // The parameter keeps its key.
    for (option, version) in [("--add", 4), ("--overwrite", 5)] {
        workdir
            .run_with(&["init", "--ssm", NAME, option], &environment)
            .await
            .ok();
        let kept = account.parameter(NAME).unwrap();
        assert_eq!(
            (kept.version, kept.key.as_deref()),
            (version, Some("arn:aws:kms:ap-south-1:1:key/2"))
        );
    }
    account.replies("DescribeParameters", Reply::Error("AccessDeniedException"));
    let refused = workdir
        .run_with(&["init", "--ssm", NAME, "--add"], &environment)
        .await;
    let error = refused.error();
    assert!(
        error.contains("permission ssm:DescribeParameters is missing")
            && error.contains("pass it with --kms-key"),
        "{error}"
    );
    assert_eq!(account.parameter(NAME).unwrap().version, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parameter_of_a_deployed_stack_is_used() {
    let workdir = Workdir::new();
    let account = Account::start().await;
    let stack = |parameters: Value| {
        account.outputs("DescribeStacks", json!({"Stacks": [{"StackName": "s", "StackStatus": "CREATE_COMPLETE", "Parameters": parameters}]}));
    };
    stack(json!([{"ParameterKey": "WebhookAuthParameter", "ParameterValue": "/s/auth"}]));
    let output = workdir
        .run_with(&["init", "--ssm", "--stack", "s"], &account.environment())
        .await
        .ok();
    assert!(account.parameter("/s/auth").is_some(), "{output}");
    assert!(
        output.contains("doctor --stack s --parameter-overrides WebhookAuthParameter=/s/auth"),
        "{output}"
    );

    stack(json!([{"ParameterKey": "WebhookAuthSecretArn", "ParameterValue": "arn:aws:secretsmanager:x"}]));
    let error = workdir
        .run_with(&["init", "--ssm", "--stack", "s"], &account.environment())
        .await
        .error();
    assert!(error.contains("reads its policy from Secrets Manager"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_without_the_services_text() {
    let workdir = Workdir::new();
    let account = Account::start().await;
    account.replies("PutParameter", Reply::Error("AccessDeniedException"));
    let error = workdir
        .run_with(&["init", "--ssm", NAME], &account.environment())
        .await
        .error();
    assert!(
        error.contains("permission ssm:PutParameter is missing"),
        "{error}"
    );
    account.replies("PutParameter", Reply::Error("ValidationException"));
    let error = workdir
        .run_with(&["init", "--ssm", NAME], &account.environment())
        .await
        .error();
    assert!(
        error.contains("ssm:PutParameter failed: ValidationException"),
        "{error}"
    );
    assert!(!error.contains("quoted-by-the-service"), "{error}");

    // A policy that accepts anything is not extended silently.
    account.put("/open", "SecureString", r#"{"accept":"anything"}"#);
    let error = workdir
        .run_with(&["init", "--ssm", "/open", "--add"], &account.environment())
        .await
        .error();
    assert!(error.contains("accepts anything"), "{error}");
}
