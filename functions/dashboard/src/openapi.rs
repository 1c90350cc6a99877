//! `/openapi.json`, generated from the types the answers are written from.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    answers::{DeadLetters, Done, Events, Fault, Health, Message, Session, Summary},
    sign_in::Password,
};

/// One operation.
struct Operation {
    method: &'static str,
    path: &'static str,
    does: &'static str,
    /// Name, whether it is a part of the path, and what it is.
    parameters: &'static [(&'static str, bool, &'static str)],
    /// The schema of what is sent, if anything is.
    sent: Option<Schema>,
    /// The schema of its answer, if it has one.
    answer: Option<Schema>,
}

type Schema = fn(&mut SchemaGenerator) -> Value;

const LIMIT: (&str, bool, &str) = ("limit", false, "Events on a page, 1 to 200; default 50.");
const CURSOR: (&str, bool, &str) = (
    "cursor",
    false,
    "The cursor of the page before. Roles that see no numbers send none.",
);
const FORMAT: (&str, bool, &str) = (
    "format",
    false,
    "`csv` for a part of a table: up to 10,000 lines, made from at most 20,000 events that are read. Where there is \
     more, the header `Link: <…>; rel=\"next\"` leads to the next part, whose lines continue this one's, and \
     `X-Truncated` is `true`.",
);

const OPERATIONS: &[Operation] = &[
    Operation {
        method: "get",
        path: "/api/messages/{message_id}",
        does: "A message: its events, its state, its journey over channels and the answers to it. 4.5 MB at most: \
               `truncated` says that something was left out, `cursor` leads to the rest of the events. The state \
               is folded from up to 2,000 events or 20 MB.",
        parameters: &[
            (
                "message_id",
                true,
                "The provider's id, or a `token`. Roles that see no numbers send no id that has a number in it.",
            ),
            CURSOR,
        ],
        sent: None,
        answer: Some(schema::<Message>),
    },
    Operation {
        method: "get",
        path: "/api/recipients/{number}",
        does: "A person's events, the newest first; 403 for roles that see no numbers. 4.5 MB at most.",
        parameters: &[
            ("number", true, "The number; what is no digit is ignored."),
            LIMIT,
            CURSOR,
            FORMAT,
        ],
        sent: None,
        answer: Some(schema::<Events>),
    },
    Operation {
        method: "get",
        path: "/api/events",
        does: "The events of a day, the newest first; 4.5 MB at most.",
        parameters: &[
            ("day", false, "UTC, `YYYY-MM-DD`; default today."),
            ("channel", false, "`RCS`, `SMS`, `WHATSAPP` or another word."),
            ("status", false, "`sent`, `delivered`, … or another word."),
            LIMIT,
            CURSOR,
            FORMAT,
        ],
        sent: None,
        answer: Some(schema::<Events>),
    },
    Operation {
        method: "get",
        path: "/api/summary",
        does: "Counts for an overview; its cost depends on the range only.",
        parameters: &[
            ("from", false, "First UTC day; default 29 days before `to`."),
            ("to", false, "Last UTC day; default today. At most 366 days."),
            ("bot", false, "Only this bot's."),
            ("tag", false, "Only those with this tag."),
            ("channel", false, "Only this channel's."),
        ],
        sent: None,
        answer: Some(schema::<Summary>),
    },
    Operation {
        method: "get",
        path: "/api/dead-letters",
        does: "Depths of the queues and a look at the newest dead letters.",
        parameters: &[(
            "content",
            false,
            "`full` shows bodies unmasked, to roles that may; default `masked`.",
        )],
        sent: None,
        answer: Some(schema::<DeadLetters>),
    },
    Operation {
        method: "post",
        path: "/api/dead-letters/{id}/redrive",
        does: "Sends a dead letter to the retry queue.",
        parameters: &[(
            "id",
            true,
            "SQS's id of the message, or `letter` of a letter in parts.",
        )],
        sent: Some(nothing),
        answer: Some(schema::<Done>),
    },
    Operation {
        method: "post",
        path: "/api/dead-letters/{id}/discard",
        does: "Deletes a dead letter; the answer holds it. One that is larger than an answer can be stays (409): \
               use the command `dead-letters discard`.",
        parameters: &[(
            "id",
            true,
            "SQS's id of the message, or `letter` of a letter in parts.",
        )],
        sent: Some(nothing),
        answer: Some(schema::<Done>),
    },
    Operation {
        method: "get",
        path: "/api/session",
        does: "Who is asking and what they may do.",
        parameters: &[],
        sent: None,
        answer: Some(schema::<Session>),
    },
    Operation {
        method: "post",
        path: "/api/session",
        does: "Signs in where there is a sign-in; the answer sets a cookie. Ten wrong passwords from one address in 15 \
               minutes, or 200 from all, then 429.",
        parameters: &[],
        sent: Some(schema::<Password>),
        answer: Some(schema::<Session>),
    },
    Operation {
        method: "delete",
        path: "/api/session",
        does: "Signs out: ends the session, also where its cookie was copied to, and takes the cookie away.",
        parameters: &[],
        sent: None,
        answer: None,
    },
    Operation {
        method: "get",
        path: "/healthz",
        does: "Whether the function runs.",
        parameters: &[],
        sent: None,
        answer: Some(schema::<Health>),
    },
];

/// The document, `OpenAPI` 3.1.
pub(crate) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let fault = schema::<Fault>(&mut generator);
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let described = described(operation, &fault, &mut generator);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(operation.method.to_owned(), described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "netcore-webhooks",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Events and states of RCS, SMS and WhatsApp messages. Times are epoch milliseconds, days are UTC.",
            "license": {"name": "Apache-2.0 OR MIT"},
        },
        "paths": paths,
        "components": {"schemas": generator.take_definitions(true)},
    })
}

fn described(operation: &Operation, fault: &Value, generator: &mut SchemaGenerator) -> Value {
    let parameters: Vec<Value> = operation
        .parameters
        .iter()
        .map(|(name, in_path, what)| {
            json!({
                "name": name,
                "in": if *in_path { "path" } else { "query" },
                "required": in_path,
                "description": what,
                "schema": {"type": "string"},
            })
        })
        .collect();
    let fault = json!({"description": "Why there is none.", "content": content(fault)});
    let responses = match operation.answer {
        Some(answer) => {
            let answer = json!({"description": "The answer.", "content": content(&answer(generator))});
            json!({"200": answer, "default": fault})
        }
        None => json!({"204": {"description": "Done."}, "default": fault}),
    };
    let mut described = Map::from_iter([
        ("summary".to_owned(), operation.does.into()),
        ("parameters".to_owned(), parameters.into()),
        ("responses".to_owned(), responses),
    ]);
    if let Some(sent) = operation.sent {
        let body = json!({"required": true, "content": content(&sent(generator))});
        described.insert("requestBody".to_owned(), body);
    }
    described.into()
}

fn content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

/// The body of a request that says it all in its path: another site cannot make a browser send JSON.
fn nothing(_: &mut SchemaGenerator) -> Value {
    json!({"type": "object", "description": "Empty."})
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}
