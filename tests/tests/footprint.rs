//! A function holds a large batch once, not several times over: 6 MB fit a function of 128 MB with
//! room, even unoptimised.

use integration_tests::{
    binary::{Answer, Function},
    fixtures::{LARGE_BODY_BUDGET, body, events, post},
    proxy::Treatment::{Hang, Pass},
    scene::Scene,
};

const EVENTS: usize = 12_000;
const MOST_KIB: usize = 64 * 1024;
const LARGE_BODY_KIB: usize = 6 * 1024;
/// As template.yaml sets it.
const ALLOCATOR: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "262144");
#[expect(clippy::print_stdout, reason = "the figures, for `--nocapture`")]
async fn large_batch(scene: &Scene) -> (Function, Answer) {
    let receiver = scene
        .function("event-webhook", &[LARGE_BODY_BUDGET, ALLOCATOR])
        .await;
    let batch = body(&events(0, EVENTS));
    assert!((5_900_000..=6_291_456).contains(&batch.len()), "{}", batch.len());
    let answer = receiver.request(&post(&batch)).await;
    let peak = receiver.peak_memory_kib();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.count("received"), EVENTS);
    assert_eq!(answer.count("stored") + answer.count("queued"), EVENTS);
    println!("{peak} KiB after one");
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
    let warm = peak_after(&receiver, 5).await;
    let warmer = peak_after(&receiver, 3).await;
    println!("{warm} KiB after six, {warmer} KiB after nine");
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
