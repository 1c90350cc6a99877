//! A function holds a large batch once, not several times over: 6 MB fit a function of 128 MB with
//! room, even unoptimised.

use std::time::Duration;

use integration_tests::{
    binary::{Answer, Function},
    fixtures::{body, events, post},
    proxy::Treatment::{Hang, Pass},
    scene::Scene,
};

const EVENTS: usize = 12_000;
const MOST_KIB: usize = 64 * 1024;
const LARGE_BODY_KIB: usize = 6 * 1024;
/// `ACK_BUDGET_MS` by default, what the contract adds to it, and what an unoptimised function
/// beside the tables it calls needs to read and write 6 MB of JSON.
const IN_TIME: Duration = Duration::from_secs(4);

async fn large_batch(scene: &Scene) -> (Function, Answer) {
    let receiver = scene.function("event-webhook", &[]).await;
    let batch = body(&events(0, EVENTS));
    assert!((5_900_000..=6_291_456).contains(&batch.len()), "{}", batch.len());
    let answer = receiver.request(&post(&batch)).await;
    let peak = receiver.peak_memory_kib();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.count("received"), EVENTS);
    assert_eq!(answer.count("stored") + answer.count("queued"), EVENTS);
    assert!(answer.took <= IN_TIME, "answered after {:?}", answer.took);
    assert!(peak < MOST_KIB, "held {peak} KiB");
    (receiver, answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_megabytes_fit_with_the_table_well_and_with_the_table_hanging() {
    let scene = Scene::set().await;
    scene.table.always(Pass);
    let (_, answer) = large_batch(&scene).await;
    assert!(answer.count("stored") > 0, "{}", answer.body);

    let scene = Scene::set().await;
    scene.table.always(Hang);
    let (receiver, answer) = large_batch(&scene).await;
    assert_eq!(answer.count("queued"), EVENTS);

    // Nor does it grow: a process that had a few of them has all it needs for more.
    let warm = peak_after(&receiver, 6).await;
    let warmer = peak_after(&receiver, 4).await;
    assert!(warmer < MOST_KIB, "held {warmer} KiB");
    assert!(
        warmer <= warm + LARGE_BODY_KIB,
        "grew from {warm} to {warmer} KiB"
    );
}

async fn peak_after(receiver: &Function, requests: usize) -> usize {
    for _ in 0..requests {
        let answer = receiver.request(&post(&body(&events(0, EVENTS)))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    receiver.peak_memory_kib()
}
