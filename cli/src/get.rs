//! `get`: prints the timeline of a message, or the latest events of a person: a phone number, a user id or an
//! e-mail address, and the ids that are linked to it. Other texts are searched for, as on the page.

use std::fmt::{self, Write as _};

use anyhow::{Context as _, anyhow, bail};
use dashboard::{Dashboard, DashboardConfig};
use http::{HeaderMap, Method};
use jiff::Timestamp;
use lambda_http::{Body, RequestExt as _};
use serde::Serialize;
use serde_json::Value;
use webhook_ingest::event::person;

use crate::{function_url, target::Target};

/// What a text names: the response of the dashboard's API. The JSON names its kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// A message: `/api/messages/{message_id}`.
    Message(Value),
    /// The latest events of a person: `/api/recipients/{id}`.
    Person(Value),
    /// Results of a search: `/api/search`.
    Search(Value),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Message(message) => formatted(message),
            Self::Person(person) => list(person),
            Self::Search(answer) => results(answer),
        };
        f.write_str(&without_control_characters(&text))
    }
}

/// Calls the dashboard's API in this process. A text that is neither a message id nor a complete id of a person is
/// searched for.
///
/// # Errors
/// If nothing is found, or the table does not answer.
pub async fn find(target: &Target, name: &str) -> anyhow::Result<Found> {
    let config = DashboardConfig::of_terminal(target.storage.clone(), target.rollups_table.clone());
    let dashboard = Dashboard::start(&config, &target.aws).await?;
    if let Some(found) = known(&dashboard, name).await? {
        return Ok(found);
    }
    let missing = || anyhow!("nothing is stored for {name}: no message, person, request id or callback data");
    let answer = get(&dashboard, "/api/search", &format!("q={}", encoded(name))).await?;
    let answer = answer.map_err(|_| missing())?;
    let found = answer.get("found").and_then(Value::as_array).map(Vec::as_slice);
    match found.unwrap_or_default() {
        [] => Err(missing()),
        [one] => {
            let only = ["message_id", "recipient"]
                .iter()
                .find_map(|name| one.get(*name)?.as_str());
            match only {
                Some(only) => known(&dashboard, only).await?.ok_or_else(missing),
                None => Ok(Found::Search(answer)),
            }
        }
        _ => Ok(Found::Search(answer)),
    }
}

/// The timeline of a message with this id, or the latest events of this person.
async fn known(dashboard: &Dashboard, name: &str) -> anyhow::Result<Option<Found>> {
    if let Ok(message) = get(dashboard, &format!("/api/messages/{}", encoded(name)), "").await? {
        return Ok(Some(Found::Message(message)));
    }
    let Some(id) = person::parse(name) else {
        return Ok(None);
    };
    let answer = get(dashboard, &format!("/api/recipients/{}", encoded(&id)), "").await?;
    let answer = answer.map_err(|missing| anyhow!("no message has this id, and {missing}"))?;
    let events = answer
        .get("events")
        .and_then(Value::as_array)
        .context("the response has no events")?;
    let is_empty = events.is_empty();
    Ok((!is_empty).then_some(Found::Person(answer)))
}

/// The results of a search, one on a line.
fn results(answer: &Value) -> String {
    let mut out = String::new();
    let found = answer.get("found").and_then(Value::as_array);
    for entry in found.into_iter().flatten() {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let at = entry.get("event_time").and_then(Value::as_i64);
        let _ = writeln!(
            out,
            "{:<9} {:<20}  {:<10} {}",
            text("kind"),
            at.map(utc).unwrap_or_default(),
            text("state"),
            [text("message_id"), text("name"), text("recipient")]
                .join(" ")
                .trim()
        );
    }
    match answer.get("left_out").and_then(Value::as_u64) {
        Some(left_out @ 1..) => {
            let _ = writeln!(out, "… and {left_out} more");
        }
        _ if answer.get("truncated").and_then(Value::as_bool) == Some(true) => {
            let _ = writeln!(out, "… and possibly more");
        }
        _ => {}
    }
    out
}

/// The response; the inner error is what a 404 says.
async fn get(dashboard: &Dashboard, path: &str, query: &str) -> anyhow::Result<Result<Value, String>> {
    let here = std::net::Ipv4Addr::LOCALHOST.into();
    let event = function_url::event(&Method::GET, path, query, &HeaderMap::new(), b"", here).to_string();
    let request =
        lambda_http::request::from_str(&event)?.with_lambda_context(lambda_runtime::Context::default());
    let response = dashboard.clone().handle(request).await;
    let body: Value = match response.body() {
        Body::Text(text) => serde_json::from_str(text)?,
        _ => Value::Null,
    };
    let error = || {
        let error = body.get("error").and_then(Value::as_str);
        error.unwrap_or("the table does not answer").to_owned()
    };
    match response.status().as_u16() {
        200 => Ok(Ok(body)),
        404 => Ok(Err(error())),
        _ => bail!(error()),
    }
}

fn formatted(message: &Value) -> String {
    let mut out = String::new();
    let text = |name: &str| {
        message
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or("-")
            .to_owned()
    };
    let _ = writeln!(out, "message   {}", text("message_id"));
    let _ = writeln!(out, "recipient {}", people(message).join(", "));
    let since = message
        .get("state_time")
        .and_then(Value::as_i64)
        .map(utc)
        .unwrap_or_default();
    let _ = writeln!(
        out,
        "state     {} on {} since {since}",
        text("state"),
        text("channel")
    );
    let _ = writeln!(out);
    for event in message
        .get("events")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let _ = writeln!(out, "  {}", row(event));
    }
    if message.get("cursor").is_some() {
        let _ = writeln!(
            out,
            "  … more events than one response contains; the JSON API lists all of them"
        );
    }
    let journey = message
        .get("journey")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if journey.len() > 1 {
        let _ = writeln!(out, "\njourney");
        for leg in &journey {
            let of = |name: &str| leg.get(name).and_then(Value::as_str).unwrap_or("-");
            let _ = writeln!(
                out,
                "  {:<9} {:<10} {}",
                of("channel"),
                of("state"),
                of("message_id")
            );
        }
    }
    out
}

/// The ids of the person that the message's events name.
fn people(message: &Value) -> Vec<&str> {
    let events = message.get("events").and_then(Value::as_array);
    let recipient = message.get("recipient").and_then(Value::as_str).unwrap_or("-");
    let further = events
        .into_iter()
        .flatten()
        .filter_map(|event| event.get("identities")?.as_array())
        .flatten()
        .filter_map(Value::as_str);
    let mut ids = vec![recipient];
    for id in further {
        if ids.len() < person::MAX_IDS && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn list(person: &Value) -> String {
    let ids = person.get("ids").and_then(Value::as_array);
    let ids: Vec<&str> = ids.into_iter().flatten().filter_map(Value::as_str).collect();
    let mut out = format!("latest events of {}, the newest first\n\n", ids.join(", "));
    let events = person.get("events").and_then(Value::as_array);
    for event in events.into_iter().flatten() {
        let id = event.get("message_id").and_then(Value::as_str).unwrap_or("-");
        let _ = writeln!(out, "  {}  {id}", row(event));
    }
    out
}

/// Providers choose ids, channels and texts: control characters must not reach the terminal.
pub(crate) fn without_control_characters(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect()
}

/// Time, channel, status and detail of an event.
pub(crate) fn row(event: &Value) -> String {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    let at = event
        .get("event_time")
        .and_then(Value::as_i64)
        .map(utc)
        .unwrap_or_default();
    let late = if event.get("late").is_some() {
        "  (late)"
    } else {
        ""
    };
    let detail = match text("remarks") {
        "" => event
            .pointer("/click/text")
            .or_else(|| event.pointer("/click/url"))
            .or_else(|| event.pointer("/content/text"))
            .and_then(Value::as_str)
            .unwrap_or_default(),
        remarks => remarks,
    };
    let detail: String = detail
        .chars()
        .map(|c| if c == '\n' { ' ' } else { c })
        .take(80)
        .collect();
    format!(
        "{at}  {:<9} {:<10} {detail}{late}",
        text("channel"),
        text("status")
    )
    .trim_end()
    .to_owned()
}

fn utc(at: i64) -> String {
    Timestamp::from_millisecond(at)
        .map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
        .unwrap_or_default()
}

fn encoded(segment: &str) -> String {
    segment
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
