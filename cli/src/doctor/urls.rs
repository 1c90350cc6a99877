//! Checks of the deployed URLs from outside: HEAD, a request with a wrong and one with a right proof of identity.
//! The right one has an empty list as body, which a receiver authenticates and answers without storing anything.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use webhook_ingest::{auth::Policy, event::time};

use super::check::Check;
use crate::{
    account::Stack,
    http_client::{HttpClient, NoResponse, send},
    template::{Parameters, Template},
};

/// Timeout of a request; a cold start takes well under a second.
const WITHIN: Duration = Duration::from_secs(8);
/// A body without any event.
const EMPTY: &[u8] = b"[]";

const ADDRESS: &str = "url";
const WRONG: &str = "url-wrong-signature";
const RIGHT: &str = "url-right-signature";
const DASHBOARD: &str = "dashboard-url";
const FOREIGN_ADDRESS: &str = "403: this machine's address is not in the policy's sources";

/// What the checks of all URLs share.
pub(super) struct Urls<'u> {
    pub(super) name: &'u str,
    pub(super) stack: &'u Stack,
    pub(super) template: &'u Template,
    /// Those of the deployed stack.
    pub(super) parameters: &'u Parameters<'u>,
    /// `None` if it could not be read.
    pub(super) policy: Option<&'u Policy>,
    pub(super) client: &'u HttpClient,
}

impl Urls<'_> {
    /// The three checks of a receiver.
    pub(super) async fn receiver(&self, prefix: &str) -> Vec<Check> {
        let function = self.template.function(prefix).unwrap_or(prefix);
        let Some(url) = self.stack.outputs.get(&format!("{prefix}Url")) else {
            return vec![Check::failed(
                ADDRESS,
                function,
                format!("the stack has no output {prefix}Url"),
                "deploy the stack with this receiver",
            )];
        };
        let subject = format!("{function} {url}");
        let head = self.address(&subject, function, url).await;
        if head.action.is_some() {
            return vec![head];
        }
        vec![
            head,
            self.wrong(&subject, function, url).await,
            self.right(&subject, url).await,
        ]
    }

    async fn address(&self, subject: &str, function: &str, url: &str) -> Check {
        match send(self.client, Method::HEAD, url, &[], Bytes::new(), WITHIN).await {
            Ok((StatusCode::OK, _)) => Check::ok(ADDRESS, subject, "answers HEAD with 200"),
            answer => {
                let (found, action) = self.fault(function, &answer);
                Check::failed(ADDRESS, subject, format!("HEAD: {found}"), action)
            }
        }
    }

    /// What is wrong with an answer that no receiver gives, and what to do.
    fn fault(&self, function: &str, answer: &Result<(StatusCode, Bytes), NoResponse>) -> (String, String) {
        let log = format!("/aws/lambda/{}-{function}", self.name);
        match answer {
            Err(why) => (
                why.as_str().to_owned(),
                "check the URL, DNS and the connection to the Internet".to_owned(),
            ),
            Ok((status, _)) => (
                status.to_string(),
                match status.as_u16() {
                    403 => "allow public function URLs: the URL needs lambda:InvokeFunctionUrl and lambda:InvokeFunction, and an organization's policy can forbid them".to_owned(),
                    404 => "deploy the stack again: the URL belongs to no function".to_owned(),
                    429 => "raise ReceiverConcurrency or the account's quota: Lambda throttles the function".to_owned(),
                    _ => format!("read the log group {log}: the function did not start or failed"),
                },
            ),
        }
    }

    /// A request with the headers of the policy's first scheme, each with a changed value.
    async fn wrong(&self, subject: &str, function: &str, url: &str) -> Check {
        let headers = self
            .policy
            .map(|policy| policy.sign(EMPTY, time::now()))
            .unwrap_or_default();
        let headers = headers.into_iter().map(|(name, value)| (name, changed(&value)));
        let headers = headers.collect();
        let of_sender = receivers::receiver(function)
            .and_then(|receiver| receiver.senders.first().map(|sender| sender.unauthenticated))
            .unwrap_or(StatusCode::UNAUTHORIZED);
        let expected = match self.parameters.text("AuthErrorStatus") {
            "" => of_sender.as_str(),
            status => status,
        };
        match send(
            self.client,
            Method::POST,
            url,
            &json(headers),
            EMPTY.into(),
            WITHIN,
        )
        .await
        {
            Ok((status, _)) if status.as_str() == expected => {
                Check::ok(WRONG, subject, format!("refused with {expected}"))
            }
            Ok((status, _)) if status.is_success() => Check::failed(
                WRONG,
                subject,
                format!("accepted with {status}: anyone can write events"),
                "repair the policy; a function reads it again within AuthRefreshSeconds",
            ),
            Ok((StatusCode::FORBIDDEN, _)) => Check::not_checked(WRONG, subject, FOREIGN_ADDRESS),
            Ok((status, _)) => Check::failed(
                WRONG,
                subject,
                format!("{status} instead of {expected}"),
                "read the function's log group",
            ),
            Err(why) => Check::not_checked(WRONG, subject, why.as_str()),
        }
    }

    async fn right(&self, subject: &str, url: &str) -> Check {
        let Some(policy) = self.policy else {
            return Check::not_checked(
                RIGHT,
                subject,
                "the policy of the deployed stack could not be read",
            );
        };
        let headers = policy.sign(EMPTY, time::now());
        let signed = policy.signed_url(url);
        if headers.is_empty() && signed == url {
            return Check::not_checked(
                RIGHT,
                subject,
                "only the sender can sign for the policy's first scheme",
            );
        }
        match send(
            self.client,
            Method::POST,
            &signed,
            &json(headers),
            EMPTY.into(),
            WITHIN,
        )
        .await
        {
            Ok((StatusCode::OK, body)) => {
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                match body.get("received").and_then(Value::as_u64) {
                    Some(0) => Check::ok(
                        RIGHT,
                        subject,
                        "accepted; the body was empty, and nothing is stored",
                    ),
                    _ => Check::failed(
                        RIGHT,
                        subject,
                        "200, but not the answer of a receiver",
                        "check that the URL belongs to this stack",
                    ),
                }
            }
            Ok((StatusCode::FORBIDDEN, _)) if self.parameters.text("AuthErrorStatus") != "403" => {
                Check::not_checked(RIGHT, subject, FOREIGN_ADDRESS)
            }
            Ok((status, _)) => Check::failed(
                RIGHT,
                subject,
                format!("refused with {status}"),
                "wait AuthRefreshSeconds after a change of the policy, then read the function's log group",
            ),
            Err(why) => Check::not_checked(RIGHT, subject, why.as_str()),
        }
    }

    /// The dashboard must not show events to a stranger.
    pub(super) async fn dashboard(&self) -> Check {
        let Some(url) = self.stack.outputs.get("DashboardUrl") else {
            return Check::failed(
                DASHBOARD,
                "dashboard",
                "the stack has no output DashboardUrl",
                "deploy the stack again",
            );
        };
        let api = format!("{}/api/session", url.trim_end_matches('/'));
        let subject = format!("dashboard {url}");
        match send(self.client, Method::GET, &api, &[], Bytes::new(), WITHIN).await {
            Ok((StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED, _)) => Check::ok(
                DASHBOARD,
                subject,
                "refuses callers without a signature or session",
            ),
            Ok((StatusCode::OK, _)) => Check::failed(
                DASHBOARD,
                subject,
                "answers anyone",
                "set DashboardAccess to AWS_IAM or SIGN_IN and deploy",
            ),
            answer => {
                let (found, action) = self.fault("dashboard", &answer);
                Check::failed(DASHBOARD, subject, found, action)
            }
        }
    }
}

/// The headers of a JSON body.
fn json(mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    headers
}

/// The value with another letter or digit in its middle, so that it has the same form and a wrong content.
fn changed(value: &str) -> String {
    let middle = value.chars().count() / 2;
    let other = |c: char| if c == 'a' { 'b' } else { 'a' };
    value
        .chars()
        .enumerate()
        .map(|(at, c)| if at == middle { other(c) } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_value_differs_in_one_character() {
        assert_eq!(changed("sha256=0123"), "sha25a=0123");
        assert_eq!(changed("xaay"), "xaby");
        assert_eq!(changed("a"), "b");
        assert_eq!(changed(""), "");
    }
}
