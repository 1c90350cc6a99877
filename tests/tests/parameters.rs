//! Query parameters of the dashboard. A path accepts exactly the documented ones.

use std::collections::BTreeSet;

use http::Method;
use integration_tests::server::Server;
use serde_json::Value;

/// A documented path with values for its placeholders.
fn filled(path: &str) -> String {
    path.replace("{message_id}", "m-1")
        .replace("{number}", "919209209291")
        .replace("{id}", "unknown")
}

async fn error(server: &Server, method: &Method, path: &str) -> String {
    let headers = [("content-type", "application/json")];
    let answer = server
        .send(method.clone(), path, &headers, "{\"password\":\"\"}")
        .await;
    assert_eq!(answer.status, 400, "{method} {path}: {}", answer.body);
    answer.json()["error"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_path_rejects_unknown_and_repeated_parameters() {
    let server = Server::start().await;
    let document = server.get("/openapi.json").await.json();
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

            let unknown = error(&server, &method, &format!("{address}?919209209291x=1")).await;
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
                let repeated = error(&server, &method, &format!("{address}?{name}=1&{name}=1")).await;
                assert!(
                    repeated.starts_with(&format!("the parameter {name} is repeated; ")),
                    "{method} {path}: {repeated}"
                );
            }
            operations += 1;
        }
    }
    assert_eq!(operations, 12);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_parameter_is_named_in_the_error() {
    let server = Server::start().await;
    for (path, expected) in [
        ("/api/events?day=2025-6-1", "day must be a day, YYYY-MM-DD"),
        ("/api/summary?to=2025-06-31", "to must be a day, YYYY-MM-DD"),
        ("/api/events?limit=201", "limit must be a number from 1 to 200"),
        ("/api/events?format=xml", "format must be json or csv"),
        ("/api/dead-letters?content=all", "content must be masked or full"),
    ] {
        assert_eq!(error(&server, &Method::GET, path).await, expected, "{path}");
    }
    // An empty parameter is absent, and a trailing slash is ignored.
    for path in [
        "/api/events?day=&channel=&status=&cursor=&format=",
        "/api/session/",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    server.stop().await;
}
