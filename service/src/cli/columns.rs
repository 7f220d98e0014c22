//! Lists for people: rows in columns that are as wide as their widest cell.

/// The rows below their titles, without spaces at the end of a line and without control characters, which a terminal would
/// act on: some names are those of other issuers.
pub(crate) fn columns<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    let plain = |cell: &String| cell.replace(char::is_control, " ");
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(plain)).collect();
    let titles = titles.map(str::to_owned);
    let all = || std::iter::once(&titles).chain(&rows);
    let widths: [usize; N] =
        std::array::from_fn(|column| all().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in all() {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
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
