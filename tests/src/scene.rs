//! The stage of one test: an embedded table and queues, a proxy before each, and functions that
//! know only the proxies.

use netcore_webhooks::local::{Local, Place, QueueOptions};

use crate::{binary::Function, fixtures, ledger::Ledger, proxy::Proxy};

/// A running stage. Everything on it ends when it is dropped.
pub struct Scene {
    /// Before the table.
    pub table: Proxy,
    /// Before both queues.
    pub queues: Proxy,
    /// What is kept, read past the proxies.
    pub ledger: Ledger,
    /// What functions are told: the proxies' addresses.
    pub place: Place,
    _local: Local,
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
        let place = Place {
            dynamodb: table.url.clone(),
            sqs: queues.url.clone(),
            ..local.place.clone()
        };
        Self {
            ledger: Ledger::open(&local.place).await,
            table,
            queues,
            place,
            _local: local,
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
}
