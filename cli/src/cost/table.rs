//! Prints a bill on a terminal.

use std::fmt;

use super::Bill;

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} events a month in {}, list prices without the free tier\n",
            grouped(self.events),
            self.region
        )?;
        for line in &self.lines {
            writeln!(
                f,
                "{:<40} {:>12.2}   {:>12.3} × ${} for {}",
                line.part, line.usd, line.quantity, line.price, line.of
            )?;
        }
        writeln!(f, "{:<40} {:>12.2}", "sum, US dollars", self.usd)?;
        writeln!(f, "{:<40} {:>12.2}", "two-write design", self.two_write_usd)?;
        writeln!(f, "\nTwo-write design: {}.", self.two_write)?;
        writeln!(
            f,
            "Prices, and the month of the newest dated text that states each:"
        )?;
        for price in &self.prices {
            writeln!(
                f,
                "  {:<7} {} ({})",
                price.seen.unwrap_or("undated"),
                price.source,
                price.of
            )?;
        }
        Ok(())
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
