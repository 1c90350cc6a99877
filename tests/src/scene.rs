//! What one test runs on: embedded tables and queues, a proxy in front of each, and the functions' real
//! binaries, which know only the proxies.

use aws_sdk_sqs::types::Message;
use netcore_webhooks::local::{Local, QueueOptions, RunningInstance};
use serde_json::Value;

use crate::{
    binary::Function,
    fixtures,
    ledger::{Ledger, failures, sqs_event},
    proxy::Proxy,
};

/// The tables, the queues and their proxies. All of them end when this is dropped.
pub struct Scene {
    /// The proxy in front of the tables.
    pub table: Proxy,
    /// The proxy in front of both queues.
    pub queues: Proxy,
    /// What the tables and queues hold, read past the proxies.
    pub ledger: Ledger,
    /// What the functions are told: the addresses of the proxies.
    pub place: RunningInstance,
    local: Local,
}

impl Scene {
    /// Empty tables and queues, with proxies that let everything pass.
    pub async fn set() -> Self {
        Self::with(QueueOptions::default()).await
    }

    /// The same with queues that behave like this.
    pub async fn with(options: QueueOptions) -> Self {
        let local = Local::start(None, options)
            .await
            .expect("the embedded servers start");
        let table = Proxy::start(&local.instance.dynamodb).await.expect("a free port");
        let queues = Proxy::start(&local.instance.sqs).await.expect("a free port");
        let place = RunningInstance {
            dynamodb: table.url.clone(),
            sqs: queues.url.clone(),
            ..local.instance.clone()
        };
        Self {
            ledger: Ledger::open(&local.instance).await,
            table,
            queues,
            place,
            local,
        }
    }

    /// Starts a function with the addresses of the proxies and the policy [`fixtures::AUTH`]. `more` adds to
    /// its environment or overrides it.
    pub async fn function(&self, name: &str, more: &[(&str, &str)]) -> Function {
        let mut environment: Vec<(&str, String)> = self.place.environment();
        environment.push(("WEBHOOK_AUTH", fixtures::AUTH.to_owned()));
        environment.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Function::start(name, environment).await
    }

    /// All records of the events table's stream, in order, as Lambda delivers them.
    pub fn stream(&self) -> Vec<Value> {
        self.local.stream().expect("the stream is read")
    }

    /// Hands the retry queue to `redrive` as the event source mapping does, until nothing is
    /// visible in it. Returns how often `redrive` gave a message back.
    pub async fn drain(&self, redrive: &Function) -> usize {
        let mut returned = 0;
        loop {
            let messages = self.ledger.receive().await;
            if messages.is_empty() {
                return returned;
            }
            let reply = redrive.invoke(&sqs_event(&messages)).await;
            let failed = failures(&reply.payload);
            returned += failed.len();
            let done: Vec<Message> = messages
                .into_iter()
                .filter(|message| !failed.iter().any(|id| Some(id.as_str()) == message.message_id()))
                .collect();
            self.ledger.delete(&done).await;
        }
    }
}
