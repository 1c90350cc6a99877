//! The dashboard's parameters: what a path takes is what its document says, and nothing else is taken.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

use std::collections::BTreeSet;

use http::Method;
use integration_tests::instance::Instance;
use serde_json::Value;

/// A path of the document with something in the place of what varies.
fn filled(path: &str) -> String {
    path.replace("{message_id}", "m-1")
        .replace("{number}", "919209209291")
        .replace("{id}", "unknown")
}

async fn error(instance: &Instance, method: &Method, path: &str) -> String {
    let headers = [("content-type", "application/json")];
    let answer = instance
        .send(method.clone(), path, &headers, "{\"password\":\"\"}")
        .await;
    assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text);
    answer.json()["error"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_path_names_a_parameter_that_it_does_not_take() {
    let instance = Instance::start().await;
    let document = instance.get("/openapi.json").await.json();
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let none = Vec::new();
            let parameters = operation["parameters"].as_array().unwrap_or(&none);
            let of_query = |parameter: &&Value| parameter["in"] == "query";
            let documented: BTreeSet<&str> = parameters
                .iter()
                .filter(of_query)
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let method: Method = method.to_uppercase().parse().unwrap();
            let address = filled(path);

            let unknown = error(&instance, &method, &format!("{address}?919209209291x=1")).await;
            let (named, takes) = unknown.split_once("; this path takes ").unwrap();
            assert_eq!(named, "unknown parameter \"*********291x\"", "{path}");
            let takes: BTreeSet<&str> = takes.split(", ").collect();
            let expected = if documented.is_empty() {
                BTreeSet::from(["no parameters"])
            } else {
                documented.clone()
            };
            assert_eq!(takes, expected, "{method} {path}");

            for name in documented {
                let repeated = error(&instance, &method, &format!("{address}?{name}=1&{name}=1")).await;
                assert!(
                    repeated.starts_with(&format!("the parameter {name} is repeated; ")),
                    "{method} {path}: {repeated}"
                );
            }
            operations += 1;
        }
    }
    assert_eq!(operations, 11);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_cannot_be_read_is_named() {
    let instance = Instance::start().await;
    for (path, expected) in [
        ("/api/events?day=2025-6-1", "day must be a day, YYYY-MM-DD"),
        ("/api/summary?to=2025-06-31", "to must be a day, YYYY-MM-DD"),
        ("/api/events?limit=201", "limit must be a number from 1 to 200"),
        ("/api/events?format=xml", "format must be json or csv"),
        ("/api/dead-letters?content=all", "content must be masked or full"),
    ] {
        assert_eq!(error(&instance, &Method::GET, path).await, expected, "{path}");
    }
    // Empty is absent, and a slash at the end of a path says nothing.
    for path in [
        "/api/events?day=&channel=&status=&cursor=&format=",
        "/api/session/",
    ] {
        let answer = instance.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    instance.stop().await;
}
