//! Lists for people: rows in columns that are as wide as their widest cell.

/// The rows below their titles, without spaces at the end of a line and without control characters, which a terminal would
/// act on: some names are those of other issuers.
pub(crate) fn columns<'a>(titles: impl AsRef<[&'a str]>, rows: &[impl AsRef<[String]>]) -> String {
    let plain = |cell: &String| cell.replace(char::is_control, " ");
    let titles: Vec<String> = titles.as_ref().iter().map(|&title| title.to_owned()).collect();
    let mut widths = vec![0; titles.len()];
    let rows = rows.iter().map(|row| row.as_ref().iter().map(plain).collect());
    let lines: Vec<Vec<String>> = std::iter::once(titles).chain(rows).collect();
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "1".to_owned()], ["längst".to_owned(), String::new()]];
        assert_eq!(columns(["NAME", "N"], &rows), "NAME    N\na       1\nlängst\n");
        assert_eq!(columns(["NAME"], &[["a\u{1b}[2J\nb".to_owned()]]), "NAME\na [2J b\n");
    }
}
