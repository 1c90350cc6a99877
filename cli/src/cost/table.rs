//! Prints a bill on a terminal.

use std::fmt;

use super::Bill;

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free_tier = if self.free_tier {
            "less what is always free in an account"
        } else {
            "without the free tier"
        };
        let events = grouped(self.events);
        writeln!(
            f,
            "{events} events a month in {}, list prices {free_tier}\n",
            self.region
        )?;
        for line in &self.lines {
            write!(
                f,
                "{:<40} {:>12.2}   {:>12.3} × ${} for {}",
                line.part, line.usd, line.quantity, line.price, line.of
            )?;
            if line.free > 0.0 {
                write!(f, ", {:.3} free", line.free)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "{:<40} {:>12.2}", "sum, US dollars", self.usd)?;
        if let Some(cheaper) = self.cheaper_class {
            let class = cheaper.class.parameter();
            writeln!(f, "{:<40} {:>12.2}", format!("with {class}"), cheaper.usd)?;
        }
        writeln!(f, "{:<40} {:>12.2}", "two-write design", self.two_write_usd)?;
        for service in &self.services {
            let [low, high] = service.usd;
            let price = if (high - low).abs() < 0.005 {
                format!("{low:>12.2}")
            } else {
                format!("{low:.0} to {high:.0}")
            };
            writeln!(
                f,
                "{:<40} {price:>12}   {} days, {}",
                service.name, service.retention_days, service.includes
            )?;
        }
        writeln!(f, "\nTwo-write design: {}.", self.two_write)?;
        writeln!(
            f,
            "Prices, and the month of the newest dated text that states each:"
        )?;
        for price in &self.prices {
            writeln!(
                f,
                "  {:<10} {} ({})",
                price.seen.unwrap_or("undated"),
                price.source,
                price.of
            )?;
        }
        for service in &self.services {
            writeln!(f, "  {:<10} {} ({})", service.seen, service.source, service.name)?;
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
