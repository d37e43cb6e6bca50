//! Tables of medians.

use std::fmt::Write as _;

/// The median; zero of nothing.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

/// A table whose first column of figures is what the others are compared to.
pub struct Table {
    text: String,
}

impl Table {
    /// A table with this title and these columns.
    pub fn new(title: &str, columns: &[&str]) -> Self {
        let mut text = format!("\n| {title} |");
        columns.iter().for_each(|column| {
            let _ = write!(text, " {column} |");
        });
        let _ = write!(text, "\n|---|{}\n", "---|".repeat(columns.len()));
        Self { text }
    }

    /// Adds a row of texts.
    pub fn texts(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        let _ = write!(self.text, "| {name} |");
        for cell in cells {
            let _ = write!(self.text, " {cell} |");
        }
        self.text.push('\n');
    }

    /// Adds a row of figures, each with its ratio to the first.
    pub fn figures(&mut self, name: &str, figures: &[Option<f64>]) {
        let first = figures.first().copied().flatten();
        let cells = figures.iter().enumerate().map(|(column, figure)| match (figure, first) {
            (None, _) => String::from("-"),
            (Some(figure), Some(first)) if column > 0 => {
                format!("{} ({:.2})", short(*figure), figure / first)
            }
            (Some(figure), _) => short(*figure),
        });
        self.texts(name, cells);
    }

    /// The table as text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// A number with three digits that count.
fn short(number: f64) -> String {
    match number {
        number if number >= 100.0 => format!("{number:.0}"),
        number if number >= 10.0 => format!("{number:.1}"),
        number => format!("{number:.2}"),
    }
}
