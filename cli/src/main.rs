//! The command `netcore-webhooks`.

use std::{
    fmt::Display,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use netcore_webhooks::{
    cost,
    counting::{self, Counting},
    dead_letters::{self, Selection},
    doctor, erase, export,
    formats::Formats,
    get, init, listen,
    local::LocalOptions,
    manual, restore,
    serve::{self, DEFAULT_ADDRESS, Options, POLICY, Server},
    sign, simulate, stdout,
    target::{Needs, Target},
};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use webhook_ingest::dead_letters::DeadLetters;
use webhook_ingest::{
    event::time,
    operations::{config::environment, logging},
};

/// Receives RCS, SMS and WhatsApp webhooks, stores their events and shows the messages' states.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Data folder of the local instance.
    #[arg(long, global = true, default_value = ".local")]
    data: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run every function in one process on this machine (the default).
    Serve(Serve),
    /// Sign a file with the policy and print the curl command that posts it.
    Sign {
        /// File to post.
        file: PathBuf,
        /// URL to post to; default: event-webhook of the local instance.
        #[arg(long)]
        url: Option<String>,
        /// Policy, or a reference to it; default: the policy of the local instance.
        #[arg(long, env = "WEBHOOK_AUTH", hide_env_values = true)]
        auth: Option<String>,
    },
    /// Print the timeline of a message, or the latest events of a person; search by what a customer's system knows.
    Get {
        /// Message id, phone number, its last digits, whatsapp:<user id>, mailto:<address>, request id or callback data.
        name: String,
        /// Print the response of the API as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Manage the dashboard's counters.
    #[command(subcommand)]
    Rollups(Counters),
    /// Simulate the providers, then check that every event is stored exactly once.
    Simulate(simulate::Options),
    /// Delete all data of a person; without --yes, only print what would be deleted.
    Erase(erase::Options),
    /// Write the events of a range of days to files for analysis, one file a day.
    Export(export::Options),
    /// Copy the events of a restored table into the events table, and count again.
    Restore(restore::Options),
    /// Print the monthly AWS bill, by part.
    Cost(cost::Options),
    /// Print what each function takes, with examples, and how it answers its senders.
    Formats {
        /// Only this function.
        function: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a secret and the policy for a sender, and store it in SSM if asked.
    Init(init::Options),
    /// Check the account before a deployment and the stack after it. Exit code 1: a check failed; 2: one was not possible.
    Doctor(doctor::Options),
    /// Print the events that a stack stores, and post them to a URL on this machine.
    Listen(listen::Options),
    /// Manage the messages in the dead-letter queue.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page in roff, or write the pages of all commands to a folder.
    Man {
        /// Folder for the pages.
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Serve {
    /// Address to listen on.
    #[arg(long, default_value_t = DEFAULT_ADDRESS)]
    listen: SocketAddr,
    /// Keep all data in memory.
    #[arg(long)]
    memory: bool,
}

#[derive(Subcommand)]
enum Counters {
    /// Count all events of the table again; readers use the previous counters until it is complete.
    Rebuild {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Merge the pending counts into the counters now, for queries of the counters' table.
    Merge {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum DeadLettersCommand {
    /// Print one line for each dead letter, with phone numbers redacted.
    List {
        #[command(flatten)]
        filter: Selection,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print dead letters with their bodies, as JSON.
    Show(Selection),
    /// Send dead letters to the retry queue; the function `redrive` then stores them.
    Redrive(Selection),
    /// Write dead letters to a file, one JSON object per line.
    Export {
        #[command(flatten)]
        filter: Selection,
        /// New file; it must not exist.
        #[arg(long)]
        to: PathBuf,
        /// Delete them from the queue after they are written to disk.
        #[arg(long)]
        remove: bool,
    },
    /// Delete dead letters, after writing them to a file in the data folder.
    Discard {
        #[command(flatten)]
        filter: Selection,
        /// Delete; without this option, only print what would be deleted.
        #[arg(long)]
        yes: bool,
    },
}

/// Exit status after Ctrl-C, as a shell reports a process that SIGINT killed.
const INTERRUPTED: u8 = 128 + 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // aws_config warns that a machine outside EC2 has no metadata service; the commands say what is missing.
    logging::start_terminal("warn,webhook_ingest=info,redrive=info,dynoxide=error,aws_config=error");
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if stdout::is_closed_pipe(&error) => ExitCode::from(stdout::CLOSED_PIPE),
        Err(error) if error.is::<simulate::Interrupted>() => ExitCode::from(INTERRUPTED),
        Err(error) => match error.downcast_ref::<doctor::Ended>() {
            Some(ended) => ExitCode::from(ended.0),
            None => failed(&error),
        },
    }
}

#[expect(clippy::print_stderr, reason = "errors go to standard error")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let data = cli.data;
    let default = Serve {
        listen: DEFAULT_ADDRESS,
        memory: false,
    };
    match cli.command.unwrap_or(Command::Serve(default)) {
        Command::Serve(options) => serve(&data, options).await,
        Command::Sign { file, url, auth } => {
            let auth = match auth {
                Some(auth) => auth,
                None => std::fs::read_to_string(data.join(POLICY))
                    .context("no policy: give --auth, or start `netcore-webhooks serve` once to make one")?,
            };
            let url = url.unwrap_or_else(|| format!("{}/lambda-url/event-webhook/", serve::url(&data)));
            stdout::print_line(sign::curl_line(&file, &auth, &url).await?)
        }
        Command::Get { name, json } => {
            let target = Target::find(&data, Needs::Table).await?;
            print(&get::find(&target, &name).await?, json)
        }
        Command::Rollups(Counters::Rebuild { json }) => rebuild(&data, json).await,
        Command::Rollups(Counters::Merge { json }) => merge(&data, json).await,
        Command::Simulate(options) => simulate(options, &data).await,
        Command::Erase(options) => {
            let show = |found: &erase::Report| {
                if options.json {
                    stdout::print_json_line(&found.to_json())
                } else {
                    stdout::print(found)
                }
            };
            let report = erase::run(&options, &data, show).await?;
            match report.done {
                None => Ok(()),
                Some(done) if options.json => stdout::print_json_line(&done.to_json()),
                Some(done) => stdout::print(done),
            }
        }
        Command::Export(options) => print(&export::run(&options, &data).await?, options.json),
        Command::Restore(options) => {
            let report = Box::pin(restore::run(&options, &data)).await?;
            let printed = print(&report, options.json);
            match report.refused() {
                0 => printed,
                refused => anyhow::bail!("{} refused {refused} items; the others are copied", report.to),
            }
        }
        Command::Cost(options) => {
            let json = options.json;
            print(&cost::bill(&options), json)
        }
        Command::Formats { function, json } => print(&Formats::of(function.as_deref())?, json),
        Command::Init(options) => print(&init::run(&options).await?, options.json),
        Command::Doctor(options) => doctor(&options).await,
        Command::Listen(options) => listen(&options, &data).await,
        Command::DeadLetters(command) => dead_letters(&data, command).await,
        Command::Completions { shell } => {
            let script = manual::completions(Cli::command(), shell);
            stdout::print(String::from_utf8_lossy(&script))
        }
        Command::Man { output: None } => {
            stdout::print(String::from_utf8_lossy(&manual::page(Cli::command())?))
        }
        Command::Man { output: Some(folder) } => manual::pages(Cli::command(), &folder),
    }
}

/// Prints a result as a text or as JSON.
fn print<T: Display + Serialize>(result: &T, json: bool) -> anyhow::Result<()> {
    if json {
        stdout::print_json(result)
    } else {
        stdout::print(result)
    }
}

async fn doctor(options: &doctor::Options) -> anyhow::Result<()> {
    let report = doctor::run(options).await?;
    if options.json {
        stdout::print_json(&report.checks)?;
    } else {
        stdout::print(&report)?;
    }
    match report.exit_code() {
        0 => Ok(()),
        code => Err(doctor::Ended(code).into()),
    }
}

/// Messages for people go to standard error: standard output has only events.
#[expect(clippy::print_stderr, reason = "see above")]
async fn listen(options: &listen::Options, data: &Path) -> anyhow::Result<()> {
    let signals = StopSignals::listen()?;
    let mut summary = listen::Summary::default();
    let mut is_ready = false;
    let ready = || {
        is_ready = true;
        eprintln!("listening; Ctrl-C stops");
    };
    let ended = listen::run(options, data, &mut summary, signals.received(), ready).await;
    if is_ready {
        eprintln!("{}", summary.line(options.forward_to.is_some()));
    }
    ended
}

async fn simulate(options: simulate::Options, data: &Path) -> anyhow::Result<()> {
    let json = options.json;
    let simulation = simulate::Simulation::prepare(options, data).await?;
    // From now on, Ctrl-C no longer ends the process at once: the report says how to repeat the simulation.
    let mut interrupts = signal(SignalKind::interrupt()).context("Ctrl-C cannot be received")?;
    let interrupted = |report: simulate::Interrupted| {
        print(&report, json)?;
        Err(report.into())
    };
    let stop = async {
        interrupts.recv().await;
    };
    let sent = simulation.send_until(stop).await?;
    if sent.is_interrupted {
        return interrupted(simulation.interrupted("sending", &sent));
    }
    let partial = simulation.interrupted("reading back", &sent);
    let report = tokio::select! {
        report = simulation.reconcile(sent) => report?,
        _ = interrupts.recv() => return interrupted(partial),
    };
    let printed = if json {
        stdout::print_json(&simulate::Summary::from(&report))
    } else {
        stdout::print(&report)
    };
    match report.differences().len() {
        0 => printed,
        n => anyhow::bail!("stored and sent events differ in {n} points"),
    }
}

async fn serve(data: &Path, options: Serve) -> anyhow::Result<()> {
    let server = Server::start(Options {
        listen: options.listen,
        data: (!options.memory).then(|| data.to_owned()),
        auth: environment("WEBHOOK_AUTH"),
        local: LocalOptions::default(),
    })
    .await?;
    // Before `ready`: a signal that arrives earlier would end the process at once.
    let signals = StopSignals::listen()?;
    let printed = stdout::print(addresses(&server));
    if printed.is_ok() {
        signals.received().await;
        // The output may have no reader by now; the requests in progress are finished anyway.
        let _ = stdout::print_line("stopping: finishing the requests in progress");
    }
    server.stop().await;
    printed
}

/// The addresses of a running instance, for the user and for AWS tools. Ends with the line `ready`.
fn addresses(server: &Server) -> String {
    let base = &server.local.instance.url;
    let mut lines = vec!["Receivers".to_owned()];
    for receiver in receivers::RECEIVERS {
        lines.push(format!("  {base}/lambda-url/{}/", receiver.function));
    }
    lines.push(format!("Dashboard\n  {base}/"));
    lines.push(format!("API\n  {base}/api/messages/<message id>"));
    lines.push(
        "Tables and queues for any AWS tool: export these variables. The key is a secret, new at each start"
            .to_owned(),
    );
    for (name, value) in server.local.instance.environment() {
        if name.starts_with("AWS_") {
            lines.push(format!("  {name}={value}"));
        }
    }
    lines.push(format!("Try it\n  {}", sample(&server.auth, base)));
    lines.push("ready\n".to_owned());
    lines.join("\n")
}

/// A curl command that posts an event with the current time.
fn sample(auth: &str, base: &str) -> String {
    let now = time::now();
    let body = serde_json::json!([{
        "message_id": "try-1", "mobile": "919999999999", "status": "Sent", "channel": "RCS",
        "event_time": now / 1000,
    }])
    .to_string();
    let url = format!("{base}/lambda-url/event-webhook/");
    let (headers, url) = match webhook_ingest::auth::Policy::parse(auth) {
        Ok(policy) => (policy.sign(body.as_bytes(), now), policy.signed_url(&url)),
        // The policy is a reference to a secret, which must not be printed.
        Err(_) => (Vec::new(), url),
    };
    sign::line(&headers, &body, &url)
}

/// The signals that end `serve` and `listen`: SIGTERM of a supervisor, and SIGINT of Ctrl-C.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on, the signals no longer end the process.
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("the signals that end the command cannot be received");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn received(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn rebuild(data: &Path, json: bool) -> anyhow::Result<()> {
    let target = Target::find(data, Needs::Counters).await?;
    let rebuilt = Counting::prepare(&target)?.run(None).await?;
    if json {
        return stdout::print_json(&serde_json::json!({
            "events": rebuilt.events,
            "skipped": rebuilt.skipped,
            "removed": rebuilt.removed,
        }));
    }
    stdout::print_line(format_args!(
        "counted {} events again; removed {} old counters and dedup markers",
        rebuilt.events, rebuilt.removed
    ))?;
    if rebuilt.skipped > 0 {
        stdout::print_line(format_args!(
            "skipped {} items of the table that are not events",
            rebuilt.skipped
        ))?;
    }
    Ok(())
}

async fn merge(data: &Path, json: bool) -> anyhow::Result<()> {
    let target = Target::find(data, Needs::Counters).await?;
    let merged = counting::merge(&target).await?;
    if json {
        return stdout::print_json(&serde_json::json!({
            "batches": merged.batches,
            "items": merged.items,
        }));
    }
    stdout::print_line(format_args!(
        "merged the pending counts of {} batches into {} items",
        merged.batches, merged.items
    ))
}

async fn dead_letters(data: &Path, command: DeadLettersCommand) -> anyhow::Result<()> {
    let target = Target::find(data, Needs::Queues).await?;
    let table = target.events_table();
    let queue = DeadLetters::new(target.aws.sqs, &target.storage).with_table(table);
    match command {
        DeadLettersCommand::List { filter, json } => {
            let found = queue.hold(&filter.into()).await?;
            queue.release(&found).await;
            let rows: Vec<dead_letters::Row> = found.iter().map(dead_letters::Row::of).collect();
            if json {
                return stdout::print_json(&rows);
            }
            let now = time::now();
            stdout::print_line(format_args!(
                "{:<8}  {:>7}  {:<10}  {:<16}  {:>9}  detail",
                "id", "age", "reason", "function", "bytes"
            ))?;
            for row in &rows {
                stdout::print_line(row.line(now))?;
            }
        }
        DeadLettersCommand::Show(filter) => {
            let found = queue.hold(&filter.into()).await?;
            queue.release(&found).await;
            for dead_letter in &found {
                stdout::print_json(&dead_letter.to_json())?;
            }
        }
        DeadLettersCommand::Redrive(filter) => {
            let found = queue.hold(&filter.into()).await?;
            let all = found.len();
            stdout::print_line(format_args!(
                "{} of {all} dead letters sent to the retry queue",
                queue.redrive(found).await?.sent
            ))?;
        }
        DeadLettersCommand::Export { filter, to, remove } => {
            let found = queue.hold(&filter.into()).await?;
            let exported = dead_letters::export(&queue, found, &to, remove).await?;
            stdout::print_line(format_args!(
                "{} dead letters written to {}",
                exported.written,
                to.display()
            ))?;
        }
        DeadLettersCommand::Discard { filter, yes: false } => {
            let found = queue.hold(&filter.into()).await?;
            queue.release(&found).await;
            stdout::print_line(format_args!(
                "{} dead letters would be deleted; add --yes to do it",
                found.len()
            ))?;
        }
        DeadLettersCommand::Discard { filter, yes: true } => {
            let found = queue.hold(&filter.into()).await?;
            let (exported, file) = dead_letters::discard(&queue, found, data).await?;
            stdout::print_line(format_args!(
                "{} dead letters deleted; they are saved in {}",
                exported.deleted,
                file.display()
            ))?;
            let stay = exported.written - exported.deleted;
            if stay > 0 {
                stdout::print_line(format_args!(
                    "{stay} stay in the queue, because some of their parts are currently missing"
                ))?;
            }
        }
    }
    Ok(())
}
