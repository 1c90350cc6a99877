//! Published prices of services that receive webhooks.

use serde::Serialize;

/// A service's price for a number of events.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Service {
    /// Service and plan.
    pub name: &'static str,
    /// US dollars a month at the lowest published price per event, and at the highest. The volumes at which the
    /// price falls are not published.
    pub usd: [f64; 2],
    /// Days for which the plan keeps an event.
    pub retention_days: u32,
    /// What the price contains.
    pub includes: &'static str,
    /// The service's page that states the price.
    pub source: &'static str,
    /// Day on which the page stated it.
    pub seen: &'static str,
}

/// A plan: a base price with some events, and prices of further events.
struct Plan {
    name: &'static str,
    base: f64,
    events: f64,
    /// US dollars per further event, lowest and highest.
    further: [f64; 2],
    retention_days: u32,
    includes: &'static str,
    source: &'static str,
}

/// Both pages were transcribed on this day: <https://github.com/api-evangelist/hookdeck> and
/// <https://github.com/api-evangelist/svix>, `plans/`.
const SEEN: &str = "2026-09-20";
const HOOKDECK: &str = "https://hookdeck.com/pricing";
const SVIX: &str = "https://www.svix.com/pricing/";

const PLANS: [Plan; 4] = [
    Plan {
        name: "Hookdeck Team",
        base: 39.0,
        events: 1e4,
        further: [0.33 / 1e5, 1.0 / 1e5],
        retention_days: 7,
        includes: "5 events a second and destination",
        source: HOOKDECK,
    },
    Plan {
        name: "Hookdeck Growth",
        base: 499.0,
        events: 1e4,
        further: [0.33 / 1e5, 1.0 / 1e5],
        retention_days: 30,
        includes: "5 events a second and destination",
        source: HOOKDECK,
    },
    Plan {
        name: "Svix Free",
        base: 0.0,
        events: 5e4,
        further: [1e-4, 1e-4],
        retention_days: 30,
        includes: "200 messages a second",
        source: SVIX,
    },
    Plan {
        name: "Svix Professional",
        base: 490.0,
        events: 5e4,
        further: [1e-4, 1e-4],
        retention_days: 90,
        includes: "800 messages a second",
        source: SVIX,
    },
];

/// The prices of these services for a number of events a month.
pub(super) fn services(events: f64) -> Vec<Service> {
    PLANS
        .iter()
        .map(|plan| Service {
            name: plan.name,
            usd: plan
                .further
                .map(|price| plan.base + (events - plan.events).max(0.0) * price),
            retention_days: plan.retention_days,
            includes: plan.includes,
            source: plan.source,
            seen: SEEN,
        })
        .collect()
}
