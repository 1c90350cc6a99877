//! `/openapi.json`, generated from the types the answers are written from.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::answers::{DeadLetters, Done, Events, Fault, Health, Message, Session, Summary};

/// One operation.
struct Operation {
    method: &'static str,
    path: &'static str,
    does: &'static str,
    /// Name, whether it is a part of the path, and what it is.
    parameters: &'static [(&'static str, bool, &'static str)],
    /// The schema of its answer.
    answer: fn(&mut SchemaGenerator) -> Value,
}

const LIMIT: (&str, bool, &str) = ("limit", false, "Events on a page, 1 to 200; default 50.");
const CURSOR: (&str, bool, &str) = ("cursor", false, "The cursor of the page before.");
const FORMAT: (&str, bool, &str) = ("format", false, "`csv` for a table of up to 10,000 events.");

const OPERATIONS: &[Operation] = &[
    Operation {
        method: "get",
        path: "/api/messages/{message_id}",
        does: "A message: its events, its state, its journey over channels and the answers to it.",
        parameters: &[("message_id", true, "The provider's id.")],
        answer: schema::<Message>,
    },
    Operation {
        method: "get",
        path: "/api/recipients/{number}",
        does: "A person's events, the newest first.",
        parameters: &[
            ("number", true, "The number; what is no digit is ignored."),
            LIMIT,
            CURSOR,
            FORMAT,
        ],
        answer: schema::<Events>,
    },
    Operation {
        method: "get",
        path: "/api/events",
        does: "The events of a day, the newest first.",
        parameters: &[
            ("day", false, "UTC, `YYYY-MM-DD`; default today."),
            ("channel", false, "`RCS`, `SMS`, `WHATSAPP` or another word."),
            ("status", false, "`sent`, `delivered`, … or another word."),
            LIMIT,
            CURSOR,
            FORMAT,
        ],
        answer: schema::<Events>,
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
        answer: schema::<Summary>,
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
        answer: schema::<DeadLetters>,
    },
    Operation {
        method: "post",
        path: "/api/dead-letters/{id}/redrive",
        does: "Sends a dead letter to the retry queue.",
        parameters: &[("id", true, "SQS's id of the message.")],
        answer: schema::<Done>,
    },
    Operation {
        method: "post",
        path: "/api/dead-letters/{id}/discard",
        does: "Deletes a dead letter; the answer holds it.",
        parameters: &[("id", true, "SQS's id of the message.")],
        answer: schema::<Done>,
    },
    Operation {
        method: "get",
        path: "/api/session",
        does: "Who is asking and what they may do.",
        parameters: &[],
        answer: schema::<Session>,
    },
    Operation {
        method: "get",
        path: "/healthz",
        does: "Whether the function runs.",
        parameters: &[],
        answer: schema::<Health>,
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
            "description": "What became of RCS, SMS and WhatsApp messages. Times are epoch milliseconds, days are UTC.",
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
    json!({
        "summary": operation.does,
        "parameters": parameters,
        "responses": {
            "200": {"description": "The answer.", "content": {"application/json": {"schema": (operation.answer)(generator)}}},
            "default": {"description": "Why there is none.", "content": {"application/json": {"schema": fault}}},
        },
    })
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}
