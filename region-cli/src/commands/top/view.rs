//! The picture.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use super::model::{Model, ServerRow};
use crate::text::{bytes, count};

/// The columns about servers, with their widths.
pub(crate) const SERVER_COLUMNS: [(&str, u16); 6] = [
    ("calls/s", 8),
    ("clients", 8),
    ("memory", 22),
    ("evicted/s", 10),
    ("found", 6),
    ("server", 0),
];

/// The columns about regions.
pub(crate) const REGION_COLUMNS: [(&str, u16); 2] = [("changes/s", 10), ("region", 0)];

/// Draws everything.
pub(crate) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let servers = u16::try_from(model.servers.len()).unwrap_or(u16::MAX).max(1);
    let rows =
        [Constraint::Length(2), Constraint::Length(servers.saturating_add(2)), Constraint::Min(2)];
    let [title, above, below] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(title_of(model), title);
    frame.render_widget(table(&SERVER_COLUMNS, model.servers.iter().map(server)), above);
    // The header, and the sum of the others.
    let most = usize::from(below.height.saturating_sub(2));
    frame.render_widget(table(&REGION_COLUMNS, region_rows(model, most).into_iter()), below);
}

/// The cells of the busiest regions, and of all others together.
pub(crate) fn region_rows(model: &Model, most: usize) -> Vec<[String; 2]> {
    let (busiest, rest) = model.busiest(most);
    let mut rows: Vec<[String; 2]> =
        busiest.iter().map(|(region, rate)| [format!("{rate:.1}"), (*region).to_owned()]).collect();
    if rest > 0.0 {
        rows.push([format!("{rest:.1}"), "all others".to_owned()]);
    }
    rows
}

fn title_of(model: &Model) -> Line<'_> {
    let mut text = format!("region top: {}; q quits", model.root);
    if model.is_lost {
        text.push_str("; the connection that tells of changes is lost");
    }
    if model.flushes > 0 {
        text.push_str(&format!("; flushed {}", count(model.flushes, "time", "times")));
    }
    Line::from(text).style(Style::new().add_modifier(Modifier::BOLD))
}

/// The cells of a server.
pub(crate) fn server(row: &ServerRow) -> [String; 6] {
    if !row.is_up {
        let unknown = || "?".to_owned();
        return [unknown(), unknown(), unknown(), unknown(), unknown(), row.server.clone()];
    }
    let memory = match row.max_memory {
        0 => bytes(row.memory),
        max => format!("{} of {}", bytes(row.memory), bytes(max)),
    };
    let found = row.found.map_or("-".to_owned(), |found| format!("{found:.0}%"));
    let (calls, clients) = (row.calls.to_string(), row.clients.to_string());
    [calls, clients, memory, format!("{:.1}", row.evictions), found, row.server.clone()]
}

/// A table whose last column has what the others leave.
fn table<'r, const N: usize>(
    columns: &[(&'static str, u16); N],
    rows: impl Iterator<Item = [String; N]>,
) -> Table<'r> {
    let header = Row::new(columns.map(|(name, _)| name));
    let widths = columns.map(|(_, width)| match width {
        0 => Constraint::Fill(1),
        width => Constraint::Length(width),
    });
    Table::new(rows.map(Row::new), widths)
        .header(header.style(Style::new().add_modifier(Modifier::UNDERLINED)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::raw::Info;

    /// The lines of a picture of this size.
    fn picture(model: &Model, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(model, frame)).unwrap();
        let cells = terminal.backend().buffer().content();
        let lines = cells.chunks(usize::from(width));
        let text = |line: &[ratatui::buffer::Cell]| line.iter().map(|cell| cell.symbol()).collect();
        lines
            .map(|line| {
                let line: String = text(line);
                line.trim_end().to_owned()
            })
            .collect()
    }

    #[test]
    fn servers_and_regions_are_shown() {
        let mut model = Model::new("shop");
        let info =
            "instantaneous_ops_per_sec:120\r\nconnected_clients:3\r\nused_memory:2097152\r\n";
        let seen = vec![
            ("redis://a:6379".to_owned(), Some(Info::parse(info))),
            ("redis://b:6379".to_owned(), None),
        ];
        model.see(seen, Duration::from_secs(1));
        for (region, changes) in [("org:42", 50), ("org:43", 20), ("org:44", 10)] {
            (0..changes).for_each(|_| model.change(region.to_owned()));
        }
        model.pass(Duration::from_secs(1));
        let lines = picture(&model, 80, 10);
        assert_eq!(lines[0], "region top: shop; q quits");
        assert_eq!(lines[2].split_whitespace().next(), Some("calls/s"));
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&lines[3]), ["120", "3", "2.0", "MiB", "0.0", "-", "redis://a:6379"]);
        assert_eq!(words(&lines[4]).last().unwrap(), "redis://b:6379");
        assert!(lines[7].ends_with("org:42") && lines[8].ends_with("org:43"), "{lines:#?}");
        assert!(lines[9].ends_with("all others"), "{lines:#?}");
        model.is_lost = true;
        assert!(picture(&model, 80, 10)[0].ends_with("is lost"));
    }

    #[test]
    fn a_small_terminal_is_no_fault() {
        let mut model = Model::new("shop");
        model.change("org:42".to_owned());
        model.pass(Duration::from_secs(1));
        for (width, height) in [(1, 1), (3, 2), (80, 4), (200, 60)] {
            assert_eq!(picture(&model, width, height).len(), usize::from(height));
        }
    }
}
