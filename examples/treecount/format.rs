//! Numbers for the eye.

use std::time::Duration;

/// `number` with its thousands apart: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    const GROUP: usize = 3;
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / GROUP);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(GROUP) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `count` of a thing: `1 file`, `2 files`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// `bytes` in the largest unit that leaves a whole number: `17 B`, `1.5 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const STEP: f64 = 1024.0;
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut amount = bytes as f64 / STEP;
    if amount < 1.0 {
        return format!("{bytes} B");
    }
    let mut units = UNITS.iter().peekable();
    while let Some(unit) = units.next() {
        if amount < STEP || units.peek().is_none() {
            return format!("{amount:.1} {unit}");
        }
        amount /= STEP;
    }
    unreachable!("the last unit is returned")
}

/// `time` in milliseconds, or in seconds once there are many.
pub(crate) fn time(time: Duration) -> String {
    const MANY: Duration = Duration::from_secs(10);
    const MILLIS: f64 = 1000.0;
    if time < MANY {
        format!("{:.1} ms", time.as_secs_f64() * MILLIS)
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn sizes_use_the_largest_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn long_times_are_in_seconds() {
        assert_eq!(time(Duration::from_micros(1_250)), "1.2 ms");
        assert_eq!(time(Duration::from_secs(75)), "75.0 s");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1, "directory", "directories"), "1 directory");
        assert_eq!(counted(1_000, "directory", "directories"), "1,000 directories");
    }
}
