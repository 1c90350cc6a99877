//! The stage of one test: an embedded table and queues, a proxy before each, and functions that
//! know only the proxies.

use aws_sdk_sqs::types::Message;
use netcore_webhooks::local::{Local, QueueOptions, RunningInstance};
use serde_json::Value;

use crate::{
    binary::Function,
    fixtures,
    ledger::{Ledger, failures, sqs_event},
    proxy::Proxy,
};

/// A running stage. Everything on it ends when it is dropped.
pub struct Scene {
    /// Before the table.
    pub table: Proxy,
    /// Before both queues.
    pub queues: Proxy,
    /// What is kept, read past the proxies.
    pub ledger: Ledger,
    /// What functions are told: the proxies' addresses.
    pub place: RunningInstance,
    local: Local,
}

impl Scene {
    /// A fresh stage.
    pub async fn set() -> Self {
        Self::with(QueueOptions::default()).await
    }

    /// A fresh stage whose queues behave like this.
    pub async fn with(options: QueueOptions) -> Self {
        let local = Local::start(None, options)
            .await
            .expect("the embedded servers start");
        let table = Proxy::start(&local.place.dynamodb).await.expect("a free port");
        let queues = Proxy::start(&local.place.sqs).await.expect("a free port");
        let place = RunningInstance {
            dynamodb: table.url.clone(),
            sqs: queues.url.clone(),
            ..local.place.clone()
        };
        Self {
            ledger: Ledger::open(&local.place).await,
            table,
            queues,
            place,
            local,
        }
    }

    /// Starts a function that knows this stage and [`fixtures::AUTH`]; `more` adds to its
    /// environment or overrides it.
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
