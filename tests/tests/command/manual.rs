//! Completions and manual pages name every command and option, and shells accept the scripts.

use std::{fs, process::Command as StdCommand};

use integration_tests::command::Workdir;

/// The commands in the help.
async fn commands(workdir: &Workdir) -> Vec<String> {
    let help = workdir.run(&["--help"]).await.ok();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.map_while(|line| line.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_know_every_command() {
    let workdir = Workdir::new();
    let commands = commands(&workdir).await;
    assert!(commands.len() > 10, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = workdir.run(&["completions", shell]).await.ok();
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
        for option in ["write-units", "nobody-erased", "events-per-month"] {
            assert!(script.contains(option), "{shell}: {option}");
        }
        if shell == "bash" {
            workdir.write("script", &script);
            // The function that bash calls when a user types the beginning of a command and the tab key.
            let complete = "source ./script && set -- $(complete -p netcore-webhooks) && \
                 while [ $1 != -F ]; do shift; done && COMP_WORDS=(netcore-webhooks res) COMP_CWORD=1 && \
                 $2 netcore-webhooks res netcore-webhooks; echo ${COMPREPLY[@]}";
            let output = StdCommand::new("bash")
                .args(["-c", complete])
                .current_dir(workdir.path())
                .output()
                .unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            assert_eq!(
                printed.trim(),
                "restore",
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    assert_eq!(workdir.run(&["completions", "csh"]).await.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_page_for_every_command() {
    let workdir = Workdir::new();
    let page = workdir.run(&["man"]).await.ok();
    assert!(page.contains(".TH netcore-webhooks 1"), "{page}");
    assert!(page.contains("restore"), "{page}");
    assert_eq!(workdir.run(&["man", "--output", "pages"]).await.ok(), "");
    for command in commands(&workdir).await {
        let page = workdir.path().join(format!("pages/netcore-webhooks-{command}.1"));
        let text = fs::read_to_string(page).unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(text.contains(".SH"), "{command}");
    }
    let restore = workdir.read("pages/netcore-webhooks-restore.1");
    assert!(restore.contains("write\\-units"), "{restore}");
}
