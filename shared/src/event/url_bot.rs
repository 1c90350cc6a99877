//! The bot that a receiver's URL names, `…/?bot=732`, for senders whose records name none.
//!
//! It is stored as `bot_id` if the record has no bot, and marked, so that it takes no part in the comparison of two
//! deliveries or in rebuilding the provider's record. The same event sent to two URLs is a duplicate, and keeps the bot
//! of the first.

/// The name of the URL's parameter.
pub const PARAMETER: &str = "bot";
/// The most bytes of a bot.
pub const MAX_BYTES: usize = 64;

/// Whether a text is a valid bot: 1 to 64 bytes, without control characters, and not blank at its ends. Events to a URL
/// with another value are stored without a bot: a fault of the URL must not lose them.
///
/// ```
/// use webhook_ingest::event::url_bot::is_valid;
/// assert!(is_valid("732") && is_valid("Saffron Market"));
/// assert!(!is_valid("") && !is_valid(" 732") && !is_valid("7\n32") && !is_valid(&"7".repeat(65)));
/// ```
pub fn is_valid(bot: &str) -> bool {
    (1..=MAX_BYTES).contains(&bot.len()) && bot.trim() == bot && !bot.contains(char::is_control)
}
