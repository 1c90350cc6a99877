//! The simulated providers, one row each.

use super::{
    Receivers,
    event::{PostFormat, Provider, SimulatedEvent},
    gateway, netcore,
    people::{OutgoingMessage, World},
    random::Random,
    sms, whatsapp,
};

/// All simulated providers.
static PROVIDERS: [&Provider; 4] = [
    &netcore::PROVIDER,
    &whatsapp::PROVIDER,
    &gateway::PROVIDER,
    &sms::PROVIDER,
];

/// All formats in which a simulation posts events.
pub fn formats() -> impl Iterator<Item = PostFormat> {
    PROVIDERS
        .into_iter()
        .flat_map(|provider| provider.formats.iter().copied())
}

/// Events of `messages` messages.
pub(super) fn all(
    messages: usize,
    fallback: f64,
    world: &World,
    receivers: &Receivers,
    random: &mut Random,
) -> Vec<SimulatedEvent> {
    /// Bounds the loop: with some `--url` values, only few messages have events to send.
    const TRIES: usize = 60;
    let mut all = Vec::new();
    let mut simulated = 0;
    for _ in 0..messages.saturating_mul(TRIES) {
        if simulated == messages {
            break;
        }
        let outgoing = world.next_message(random);
        let before = all.len();
        all.extend(
            simulate(&outgoing, fallback, random)
                .into_iter()
                .filter(|event| event.at <= outgoing.until)
                .filter_map(|event| receivers.route(event)),
        );
        simulated += usize::from(all.len() > before);
    }
    all
}

fn simulate(outgoing: &OutgoingMessage, fallback: f64, random: &mut Random) -> Vec<SimulatedEvent> {
    let provider = random.weighted(&PROVIDERS.map(|provider| (provider.weight, Some(provider))));
    provider.map_or_else(Vec::new, |provider| {
        (provider.simulate)(outgoing, fallback, random)
    })
}
