//! Text in columns, for terminals.

use std::fmt::Write as _;

/// Whether a terminal shows colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// It does.
    Colors,
    /// There is no terminal, or its user wants no colors.
    Plain,
}

/// How a cell judges what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Not at all.
    Neutral,
    /// As good.
    Good,
    /// As changing, or doubtful.
    Doubtful,
    /// As bad.
    Bad,
    /// As unimportant.
    Faint,
}

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
}

/// The side on which the cells of a column begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

impl Cell {
    /// A cell with `text`; characters that could act on a terminal are replaced.
    #[must_use]
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        let text = text.as_ref().chars();
        let text = text.map(|c| if acts(c) { '\u{fffd}' } else { c }).collect();
        Self { text, tone }
    }

    /// A cell without a tone.
    #[must_use]
    pub fn plain(text: impl AsRef<str>) -> Self {
        Self::new(text, Tone::Neutral)
    }

    /// The number, or a dash.
    #[must_use]
    pub fn number(number: Option<u64>) -> Self {
        number.map_or_else(Self::nothing, |number| Self::plain(number.to_string()))
    }

    /// A dash.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(NOTHING, Tone::Faint)
    }

    /// Whether it is a dash.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.text == NOTHING
    }
}

/// What stands where there is nothing.
const NOTHING: &str = "-";

/// Control characters, and those that change the direction of text.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The table with `rows` below the titles of `columns`; each line ends with a line break.
#[must_use]
pub fn table(columns: &[(&str, Side)], rows: &[Vec<Cell>], paint: Paint) -> String {
    let head: Vec<Cell> = columns
        .iter()
        .map(|(title, _)| Cell::new(title, Tone::Faint))
        .collect();
    let sides: Vec<Side> = columns.iter().map(|(_, side)| *side).collect();
    let all: Vec<&[Cell]> = std::iter::once(&*head)
        .chain(rows.iter().map(Vec::as_slice))
        .collect();
    lines(&sides, &all, paint)
}

/// Pairs of a name and a value; each line ends with a line break.
#[must_use]
pub fn pairs(rows: &[(&str, Cell)], paint: Paint) -> String {
    let rows: Vec<[Cell; 2]> = rows
        .iter()
        .map(|(name, value)| [Cell::new(name, Tone::Faint), value.clone()])
        .collect();
    let rows: Vec<&[Cell]> = rows.iter().map(<[Cell; 2]>::as_slice).collect();
    lines(&[Side::Left, Side::Left], &rows, paint)
}

fn lines(sides: &[Side], rows: &[&[Cell]], paint: Paint) -> String {
    let widths: Vec<usize> = (0..sides.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(width).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, side), most) in row.iter().zip(sides).zip(&widths) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let gap = " ".repeat(most - width(cell));
            let shown = painted(cell, paint);
            let _ = match side {
                Side::Left => write!(line, "{shown}{gap}"),
                Side::Right => write!(line, "{gap}{shown}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn width(cell: &Cell) -> usize {
    cell.text.chars().count()
}

/// The text, wrapped in the terminal's codes for its tone (ECMA-48, SGR).
fn painted(cell: &Cell, paint: Paint) -> String {
    let code = match (paint, cell.tone) {
        (Paint::Plain, _) | (Paint::Colors, Tone::Neutral) => return cell.text.clone(),
        (Paint::Colors, Tone::Good) => 32,
        (Paint::Colors, Tone::Doubtful) => 33,
        (Paint::Colors, Tone::Bad) => 31,
        (Paint::Colors, Tone::Faint) => 2,
    };
    format!("\u{1b}[{code}m{}\u{1b}[0m", cell.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec![Cell::plain("openai"), Cell::number(Some(7))],
            vec![Cell::plain("é"), Cell::number(None)],
        ];
        let columns = [("NAME", Side::Left), ("COUNT", Side::Right)];
        let expected = "NAME    COUNT\nopenai      7\né           -\n";
        assert_eq!(table(&columns, &rows, Paint::Plain), expected);
    }

    #[test]
    fn colors_change_no_width() {
        let rows = [vec![Cell::new("a", Tone::Bad), Cell::plain("b")]];
        let columns = [("X", Side::Left), ("YY", Side::Right)];
        assert_eq!(
            table(&columns, &rows, Paint::Colors),
            "\u{1b}[2mX\u{1b}[0m  \u{1b}[2mYY\u{1b}[0m\n\u{1b}[31ma\u{1b}[0m   b\n"
        );
    }

    #[test]
    fn nothing_from_outside_acts_on_the_terminal() {
        let cell = Cell::plain("a\u{1b}[2J\n\u{202e}b");
        let shown = pairs(&[("x", cell)], Paint::Plain);
        assert_eq!(shown, "x  a\u{fffd}[2J\u{fffd}\u{fffd}b\n");
    }
}
