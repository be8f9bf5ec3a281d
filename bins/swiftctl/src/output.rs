//! What goes to the standard output: tables for people, JSON for programs. Notes go to the standard error.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{Table, TableStyle};
use serde::Serialize;

use crate::{error::Error, text::printable};

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: the interface's own field names
    Json,
}

/// The option of every command that prints data.
#[derive(Debug, clap::Args)]
pub(crate) struct Shown {
    /// How data is printed
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT")]
    output: Option<Format>,
}

impl Shown {
    /// What was asked for, if anything.
    pub(crate) fn format(&self) -> Option<Format> {
        self.output
    }
}

/// Prints in the chosen format.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether programs read it.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints data in the chosen format.
    pub(crate) fn show(self, json: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Error> {
        match self.format {
            Format::Table => print(&text()),
            Format::Json => {
                let shown = serde_json::to_string_pretty(json);
                let failed = |error| Error::Failed(format!("cannot print this as JSON: {error}"));
                print_as_it_is(&shown.map_err(failed)?)
            }
        }
    }
}

/// Writes lines for people to the standard output, with nothing hidden in them; nothing when there are none.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    print_as_it_is(&text.lines().map(printable).collect::<Vec<_>>().join("\n"))
}

/// Writes lines to the standard output that programs read.
pub(crate) fn print_as_it_is(text: &str) -> Result<(), Error> {
    let text = text.trim_end_matches('\n');
    if text.is_empty() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|error| output_error(&error))
}

/// Why the standard output cannot be written.
pub(crate) fn output_error(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::OutputClosed,
        _ => Error::Failed(format!("cannot write to the standard output: {error}")),
    }
}

/// Says something beside the data.
pub(crate) fn note(text: &str) {
    eprintln!("{}", printable(text));
}

/// Columns under their titles, without lines and colours.
pub(crate) fn table<const N: usize>(
    titles: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(titles.map(str::to_uppercase));
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Names and values, one pair a line.
pub(crate) fn facts<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:width$}  {}\n", printable(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_text_and_nothing_else() {
        let rows = [["a".to_owned(), "1".to_owned()], ["longer\u{1b}".to_owned(), "2".to_owned()]];
        assert_eq!(table(["name", "n"], rows), "NAME          N\na             1\nlonger\\u{1b}  2");
    }

    #[test]
    fn columns_stand_below_each_other_also_where_letters_are_wide_or_lie_on_others() {
        let rows = ["日本", "a\u{308}bcd", "abcd"].map(|name| [name.to_owned(), "1".to_owned()]);
        assert_eq!(table(["name", "n"], rows), "NAME  N\n日本  1\na\u{308}bcd  1\nabcd  1");
    }

    #[test]
    fn a_table_without_rows_has_its_titles() {
        assert_eq!(table(["name", "size"], []), "NAME  SIZE");
    }

    #[test]
    fn facts_stand_below_each_other() {
        let text = facts([("a", "1".to_owned()), ("long", "2".to_owned())]);
        assert_eq!(text, "a     1\nlong  2\n");
    }
}
