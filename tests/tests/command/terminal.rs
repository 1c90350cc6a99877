//! Control codes and colors reach only a terminal that takes them: not a pipe, not with `NO_COLOR`, not with
//! `TERM=dumb`.

use std::{fs::File, io::Read as _, os::fd::AsFd as _, process::Stdio};

use integration_tests::{
    command::{TIMEOUT, Workdir},
    function,
};
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use tokio::time::timeout;

const ESCAPE: char = '\u{1b}';

/// The output of a command on a terminal, of both streams.
async fn on_terminal(workdir: &Workdir, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let side = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let stream = || Stdio::from(side.as_fd().try_clone_to_owned().unwrap());
    let mut command = workdir.command(&function::command());
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .stdout(stream())
        .stderr(stream());
    let mut child = command.spawn().unwrap();
    drop(command);
    drop(side);
    let reading = tokio::task::spawn_blocking(move || {
        let mut output = Vec::new();
        // On Linux, a terminal whose other side is closed reports an error instead of the end.
        let _ = File::from(terminal).read_to_end(&mut output);
        output
    });
    timeout(TIMEOUT, child.wait()).await.unwrap().unwrap();
    String::from_utf8(timeout(TIMEOUT, reading).await.unwrap().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn colors_reach_only_a_terminal_that_wants_them() {
    let workdir = Workdir::new();
    let help = ["--help"];
    let wrong = ["no-such-command"];
    let xterm = ("TERM", "xterm-256color");
    for arguments in [help, wrong] {
        let colored = on_terminal(&workdir, &arguments, &[xterm]).await;
        assert!(colored.contains(ESCAPE), "{colored}");
        for plain in [&[xterm, ("NO_COLOR", "1")][..], &[("TERM", "dumb")]] {
            let printed = on_terminal(&workdir, &arguments, plain).await;
            assert!(!printed.contains(ESCAPE), "{plain:?} {printed:?}");
        }
        let piped = workdir.run(&arguments).await;
        assert!(!(piped.stdout + &piped.stderr).contains(ESCAPE));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_reaches_only_a_terminal_that_can_show_it() {
    let workdir = Workdir::new();
    let serve = workdir.serve().await;
    // Slower than the refresh of a bar.
    let simulate = [
        "simulate",
        "--messages",
        "20",
        "--rate",
        "60",
        "--url",
        &serve.url,
        "--malformed",
        "0",
    ];
    let shown = on_terminal(&workdir, &simulate, &[("TERM", "xterm")]).await;
    assert!(shown.contains(ESCAPE) && shown.contains("sending"), "{shown:?}");
    assert!(shown.contains("each event is stored exactly once"), "{shown:?}");
    let dumb = on_terminal(&workdir, &simulate, &[("TERM", "dumb")]).await;
    assert!(!dumb.contains(ESCAPE) && !dumb.contains("sending"), "{dumb:?}");
    assert!(dumb.contains("each event is stored exactly once"), "{dumb:?}");
    let piped = workdir.run(&simulate).await;
    assert!(
        !(piped.stdout.clone() + &piped.stderr).contains(ESCAPE),
        "{}",
        piped.stdout
    );
}
