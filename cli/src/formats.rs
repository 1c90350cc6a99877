//! `formats`: what each function takes, with examples, and how it answers its senders. Made from the rows of the
//! functions and their test payloads.

use std::fmt;

use anyhow::bail;
use receivers::RECEIVERS;
use serde::Serialize;
use serde_json::value::RawValue;
use webhook_ingest::{
    http::{receiver::Receiver, sender::Sender},
    provider::FormatId,
};

/// Folder of `tests/fixtures` and a payload of it. A folder belongs to the function whose name begins its name.
static EXAMPLES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/examples.rs"));

/// What the functions take.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Formats(Vec<FunctionRow>);

#[derive(Debug, Serialize)]
struct FunctionRow {
    function: &'static str,
    provider: &'static str,
    methods: Vec<&'static str>,
    formats: Vec<FormatRow>,
    senders: Vec<SenderRow>,
    /// The status for a body without any event, which is in the dead-letter queue.
    reject_status: u16,
    /// The status for missing, wrong or stale authentication.
    auth_error_status: u16,
    examples: Vec<&'static RawValue>,
}

#[derive(Debug, Serialize)]
struct FormatRow {
    name: &'static str,
    /// The field that holds the records; `null` for an array or a single object.
    envelope: Option<&'static str>,
    id: &'static str,
    fields: Vec<&'static str>,
    /// Other names of these fields, in any letter case.
    aliases: Vec<(&'static str, &'static [&'static str])>,
}

#[derive(Debug, Serialize)]
struct SenderRow {
    name: &'static str,
    waits_seconds: Option<u16>,
    retries: &'static str,
    client_error: &'static str,
}

impl Formats {
    /// All functions, or the one with this name.
    ///
    /// # Errors
    /// If no function has the name.
    pub fn of(function: Option<&str>) -> anyhow::Result<Self> {
        let wanted = RECEIVERS
            .iter()
            .filter(|receiver| function.is_none_or(|name| receiver.function == name));
        let functions: Vec<FunctionRow> = wanted.map(FunctionRow::of).collect();
        if functions.is_empty() {
            let known: Vec<&str> = RECEIVERS.iter().map(|receiver| receiver.function).collect();
            bail!("unknown function; the functions are {}", known.join(", "));
        }
        Ok(Self(functions))
    }
}

impl FunctionRow {
    fn of(receiver: &Receiver) -> Self {
        let statuses = receiver.default_statuses();
        let takes_parameters = receiver.formats.iter().any(|format| format.parameters);
        Self {
            function: receiver.function,
            provider: receiver.provider,
            methods: if takes_parameters {
                vec!["POST JSON", "POST form", "GET query"]
            } else {
                vec!["POST JSON"]
            },
            formats: receiver.formats.iter().copied().map(FormatRow::of).collect(),
            senders: receiver
                .senders
                .iter()
                .map(|sender| SenderRow::of(sender))
                .collect(),
            reject_status: statuses.rejected.as_u16(),
            auth_error_status: statuses.unauthenticated.as_u16(),
            examples: examples(receiver.function),
        }
    }
}

/// The examples of a function.
fn examples(function: &str) -> Vec<&'static RawValue> {
    let owner = |folder: &str| {
        let names = RECEIVERS.iter().map(|receiver| receiver.function);
        names
            .filter(|name| folder.starts_with(name))
            .max_by_key(|name| name.len())
    };
    EXAMPLES
        .iter()
        .filter(|(folder, _)| owner(folder) == Some(function))
        .filter_map(|(_, body)| serde_json::from_str(body).ok())
        .collect()
}

impl FormatRow {
    fn of(format: FormatId) -> Self {
        Self {
            name: format.name.as_str(),
            envelope: format.envelope,
            id: format.id_field(),
            fields: format.documented_fields().collect(),
            aliases: format.aliases().to_vec(),
        }
    }
}

impl SenderRow {
    fn of(sender: &Sender) -> Self {
        Self {
            name: sender.name,
            waits_seconds: sender.waits_seconds,
            retries: sender.retries,
            client_error: sender.client_error,
        }
    }
}

impl fmt::Display for Formats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, function) in self.0.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            function.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for FunctionRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.function, self.provider)?;
        writeln!(f, "  takes     {}", self.methods.join(", "))?;
        for format in &self.formats {
            let records = match format.envelope {
                Some(envelope) => format!("{{\"{envelope}\": [records]}}"),
                None => "[records], or one record".to_owned(),
            };
            writeln!(f, "  format    {}: {records}", format.name)?;
            writeln!(f, "  fields    {} (id: {})", format.fields.join(", "), format.id)?;
            for (field, aliases) in &format.aliases {
                writeln!(f, "            {field} is also {}", aliases.join(", "))?;
            }
        }
        for sender in &self.senders {
            let waits = match sender.waits_seconds {
                Some(seconds) => format!("waits {seconds} s"),
                None => "waiting time not documented".to_owned(),
            };
            writeln!(f, "  sender    {}: {waits}", sender.name)?;
            writeln!(f, "            sends again: {}", sender.retries)?;
            writeln!(f, "            after a 4xx: {}", sender.client_error)?;
        }
        writeln!(f, "  answers   200 for events, and for an empty list")?;
        writeln!(
            f,
            "            {} for a body without events, which is in the dead-letter queue (REJECT_STATUS)",
            self.reject_status
        )?;
        writeln!(
            f,
            "            {} for missing or wrong authentication (AUTH_ERROR_STATUS)",
            self.auth_error_status
        )?;
        for example in &self.examples {
            writeln!(f, "  example")?;
            for line in example.get().lines() {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}
