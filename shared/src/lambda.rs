//! The Lambda side of a function: logs, metrics, environment, and the runtime loop.

use std::process::ExitCode;

use lambda_http::{Error, Request, service_fn};

use crate::{
    aws::{Aws, Patience},
    config::{ReceiverConfig, environment},
    logging, metrics,
    receiver::{Ingest, Receiver},
};

/// Runs a receiver until the platform ends it. Serves several requests at once where the platform
/// asks for it (`AWS_LAMBDA_MAX_CONCURRENCY`).
pub fn run(receiver: Receiver) -> ExitCode {
    logging::start();
    block_on(async move {
        let config = ReceiverConfig::read(environment)?;
        let aws = Aws::from_environment(config.storage.roots, Patience::within(config.ack_budget)).await;
        let ingest = Ingest::start(receiver, config, &aws).await?;
        let collector = metrics::start();
        lambda_http::run_concurrent(service_fn(move |request: Request| {
            let ingest = ingest.clone();
            async move {
                let response = ingest.handle(request).await;
                if let Some(collector) = collector {
                    metrics::flush(collector);
                }
                Ok::<_, Error>(response)
            }
        }))
        .await
    })
}

/// Runs a function's future on one thread: a function has a fraction of a core, and one thread
/// starts sooner and holds less memory than several.
pub fn block_on(function: impl Future<Output = Result<(), Error>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(function),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function cannot start");
            ExitCode::FAILURE
        }
    }
}
