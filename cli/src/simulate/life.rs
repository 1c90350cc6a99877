//! The simulated providers, one row each.

use super::{
    Cast,
    chance::Chance,
    gateway,
    happening::{Form, Happening, Life},
    netcore,
    people::{Sending, World},
    whatsapp,
};

/// All simulated providers.
static LIVES: [&Life; 3] = [&netcore::LIFE, &whatsapp::LIFE, &gateway::LIFE];

/// All formats in which a simulation posts events.
pub fn forms() -> impl Iterator<Item = Form> {
    LIVES.into_iter().flat_map(|life| life.forms.iter().copied())
}

/// Events of `messages` messages.
pub(super) fn all(
    messages: usize,
    fallback: f64,
    world: &World,
    cast: &Cast,
    chance: &mut Chance,
) -> Vec<Happening> {
    /// Bounds the loop: with some `--url` values, only few messages have events to send.
    const TRIES: usize = 60;
    let mut all = Vec::new();
    let mut lived = 0;
    for _ in 0..messages.saturating_mul(TRIES) {
        if lived == messages {
            break;
        }
        let sending = world.sending(chance);
        let told = all.len();
        all.extend(
            live(&sending, fallback, chance)
                .into_iter()
                .filter(|happening| happening.at <= sending.until)
                .filter_map(|happening| cast.told(happening)),
        );
        lived += usize::from(all.len() > told);
    }
    all
}

fn live(sending: &Sending, fallback: f64, chance: &mut Chance) -> Vec<Happening> {
    let life = chance.weighed(&LIVES.map(|life| (life.weight, Some(life))));
    life.map_or_else(Vec::new, |life| (life.live)(sending, fallback, chance))
}
