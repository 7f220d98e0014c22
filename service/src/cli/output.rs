//! Where a command's results go: standard output, written through at once, so that an answer appears as it is made.

use std::io::{self, Write};

/// Standard output, or whatever stands in for it in a test.
pub(crate) struct Output<W = io::Stdout> {
    writer: W,
    /// Whether the last text ended a line.
    at_line_start: bool,
}

impl Output {
    /// The program's own standard output.
    pub(crate) fn standard() -> Self {
        Self::new(io::stdout())
    }
}

impl<W: Write> Output<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self { writer, at_line_start: true }
    }

    /// Writes the text and nothing else.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        if let Some(last) = text.as_bytes().last() {
            self.at_line_start = *last == b'\n';
            self.writer.write_all(text.as_bytes())?;
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Writes the text as a line.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.text(text)?;
        self.text("\n")
    }

    /// Ends the line, if one is open.
    pub(crate) fn end_line(&mut self) -> io::Result<()> {
        if self.at_line_start { Ok(()) } else { self.text("\n") }
    }
}
