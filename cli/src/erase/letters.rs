//! What the queues hold of a person. A letter is whole or gone: nothing can be blotted out in it.

use std::{fs, path::Path};

use anyhow::Context as _;
use aws_sdk_sqs::types::QueueAttributeName;
use redrive::dead_letters::{DeadLetters, Filter, Found};

use super::person::Person;
use crate::place::Target;

/// Dead letters that are looked at.
const MOST: usize = 10_000;

/// What was found in the queues, and files that `dead-letters` wrote.
#[derive(Debug, Default)]
pub struct Letters {
    /// Ids of dead letters that name the person.
    pub ids: Vec<String>,
    /// How many of them were deleted.
    pub deleted: usize,
    /// About how many messages wait in the retry queue.
    pub waiting: u64,
    /// Files in the data folder that name the person.
    pub files: Vec<String>,
}

/// Looks through the dead letters, and deletes those that name the person if `delete`.
pub(super) async fn look(
    target: &Target,
    person: &Person,
    data: &Path,
    delete: bool,
) -> anyhow::Result<Letters> {
    let queue = DeadLetters::new(target.aws.sqs.clone(), &target.storage);
    let filter = Filter {
        limit: MOST,
        ..Filter::default()
    };
    let (named, others): (Vec<Found>, Vec<Found>) = queue
        .hold(&filter)
        .await?
        .into_iter()
        .partition(|found| names(found, person));
    queue.release(&others).await;
    let mut letters = Letters {
        ids: named.iter().map(|found| found.id.clone()).collect(),
        waiting: waiting(target).await?,
        files: files(data, person),
        deleted: 0,
    };
    if delete {
        for found in &named {
            queue.delete(found).await?;
            letters.deleted += 1;
        }
    } else {
        queue.release(&named).await;
    }
    Ok(letters)
}

fn names(found: &Found, person: &Person) -> bool {
    match &found.letter {
        Ok(letter) => person.says(&letter.detail) || person.says(&String::from_utf8_lossy(&letter.body)),
        Err(none) => none.messages.iter().any(|message| person.says(message)),
    }
}

async fn waiting(target: &Target) -> anyhow::Result<u64> {
    let mut request = target
        .aws
        .sqs
        .get_queue_attributes()
        .queue_url(&target.storage.retry_queue_url);
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    for name in &names {
        request = request.attribute_names(name.clone());
    }
    let answer = request.send().await.context("the retry queue does not answer")?;
    let number = |name| -> Option<u64> { answer.attributes()?.get(name)?.parse().ok() };
    Ok(names.iter().filter_map(number).sum())
}

/// Copies that `dead-letters discard` and `export` left in the data folder.
fn files(data: &Path, person: &Person) -> Vec<String> {
    let Ok(folder) = fs::read_dir(data) else {
        return Vec::new();
    };
    folder
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl" || e == "json"))
        .filter(|path| fs::read_to_string(path).is_ok_and(|text| person.says(&text)))
        .map(|path| path.display().to_string())
        .collect()
}
