//! Runs a function on Lambda: logs, metrics, environment, and the runtime loop.

use std::process::ExitCode;

use lambda_http::RequestExt as _;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use crate::{
    http::{
        function_url::{FunctionUrlRequest, response},
        receiver::{Ingest, Receiver},
    },
    operations::{
        clients::{Aws, Timeouts},
        config::{ReceiverConfig, environment},
        logging, metrics,
    },
};

/// Runs a receiver until the platform stops it. Handles several requests at once if the platform sets
/// `AWS_LAMBDA_MAX_CONCURRENCY`.
pub fn run(receiver: Receiver) -> ExitCode {
    logging::start();
    block_on(async move {
        let config = ReceiverConfig::read(environment)?;
        let aws = Aws::from_environment(config.storage.roots, Timeouts::within(config.ack_budget)).await;
        metrics::start(config.storage.stack_name.clone());
        let ingest = Ingest::start(receiver, config, &aws).await?;
        lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<FunctionUrlRequest>| {
            let ingest = ingest.clone();
            async move {
                let FunctionUrlRequest(request) = event.payload;
                let answer = ingest.handle(request.with_lambda_context(event.context)).await;
                Ok::<_, Error>(response(answer))
            }
        }))
        .await
    })
}

/// Runs a function's future on one thread. A function has a fraction of a core, and one thread starts faster
/// and needs less memory than several.
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
