//! A plain table: aligned columns, first one to the left, numbers to the right.

/// Renders `rows` below `header`, with a rule between, each line ended by a newline.
#[must_use]
pub fn render<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = header.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    push_line(&mut out, &widths, header);
    push_line(&mut out, &widths, widths.map(|width| "-".repeat(width)));
    for row in rows {
        push_line(&mut out, &widths, row.each_ref().map(String::as_str));
    }
    out
}

fn push_line<const N: usize>(out: &mut String, widths: &[usize; N], cells: [impl AsRef<str>; N]) {
    let start = out.len();
    for (column, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        let cell = cell.as_ref();
        match column {
            0 => out.push_str(&format!("{cell:<width$}")),
            _ => out.push_str(&format!("  {cell:>width$}")),
        }
    }
    let end = start + out[start..].trim_end().len();
    out.truncate(end);
    out.push('\n');
}

/// `1234567` as `1,234,567`.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["a".to_owned(), "10,000".to_owned()],
            ["longer".to_owned(), "7".to_owned()],
        ];
        let expected = "\
x         sent
------  ------
a       10,000
longer       7
";
        assert_eq!(render(["x", "sent"], &rows), expected);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(12_345_678), "12,345,678");
    }
}
