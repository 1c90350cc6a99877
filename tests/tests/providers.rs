//! A receiver needs entries in several places besides its row in `RECEIVERS`. These tests name each missing
//! place.

use std::path::Path;

use integration_tests::root;
use netcore_webhooks::simulate;
use receivers::RECEIVERS;
use webhook_ingest::{http::receiver::Receiver, provider};

/// The places where a receiver is missing.
fn missing(root: &Path, receiver: &Receiver) -> Vec<String> {
    let name = receiver.function;
    let text = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let has_files = |folder: &str| {
        let files = std::fs::read_dir(root.join(folder));
        files.is_ok_and(|mut files| files.next().is_some())
    };
    let binary = format!("functions/receivers/src/bin/{name}.rs");
    let fixtures = format!("tests/fixtures/{name}");
    let is_simulated = simulate::formats().any(|form| form.function == name);
    let is_documented = text("README.md").contains(&format!("| `{name}` |"));
    let is_deployed = text("template.yaml").contains(&format!("\n      Name: {name}\n"));
    [
        (root.join(&binary).exists(), binary),
        (has_files(&fixtures), format!("{fixtures}: its payloads")),
        (is_deployed, "template.yaml: its row in Functions".to_owned()),
        (
            is_documented,
            "README.md: its line in the table of functions".to_owned(),
        ),
        (is_simulated, "cli/src/simulate: its messages".to_owned()),
    ]
    .into_iter()
    .filter(|(is_there, _)| !is_there)
    .map(|(_, place)| format!("{name} lacks {place}"))
    .collect()
}

#[test]
fn every_receiver_is_in_all_places() {
    let missing: Vec<String> = RECEIVERS
        .iter()
        .flat_map(|receiver| missing(root(), receiver))
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn a_receiver_with_only_a_row_is_missing_in_five_places() {
    let forgotten = Receiver {
        function: "carrier-pigeon",
        ..RECEIVERS[0]
    };
    assert_eq!(
        missing(root(), &forgotten),
        [
            "carrier-pigeon lacks functions/receivers/src/bin/carrier-pigeon.rs",
            "carrier-pigeon lacks tests/fixtures/carrier-pigeon: its payloads",
            "carrier-pigeon lacks template.yaml: its row in Functions",
            "carrier-pigeon lacks README.md: its line in the table of functions",
            "carrier-pigeon lacks cli/src/simulate: its messages",
        ]
    );
}

#[test]
fn every_binary_and_every_format_has_a_row() {
    let files = std::fs::read_dir(root().join("functions/receivers/src/bin")).unwrap();
    for file in files {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            receivers::receiver(name).is_some(),
            "the binary {name} has no row in RECEIVERS (functions/receivers/src/lib.rs)"
        );
    }
    for format in provider::ALL {
        assert!(
            RECEIVERS
                .iter()
                .any(|receiver| receiver.formats.contains(&format)),
            "no row in RECEIVERS (functions/receivers/src/lib.rs) takes the format {format:?}"
        );
    }
    // A module missing in `provider::ALL` would be dead code, which the compiler reports only for private
    // modules.
    let modules = std::fs::read_to_string(root().join("shared/src/provider/mod.rs")).unwrap();
    let formats = modules
        .lines()
        .filter(|line| line.starts_with("pub mod "))
        .count();
    assert_eq!(
        formats,
        provider::ALL.len(),
        "provider::ALL lists every module with a FORMAT"
    );
}
