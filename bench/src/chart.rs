//! A chart of bars, written as SVG: plain, and readable on a light and on a dark page.

use std::fmt::Write;

use crate::spread::Spread;

/// Bars in rows, one row for each thing that was measured.
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What the length of a bar means.
    pub(crate) unit: String,
    pub(crate) rows: Vec<Row>,
    /// Lines below the bars.
    pub(crate) notes: Vec<String>,
}

/// One or two bars.
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) bars: Vec<Spread>,
}

const WIDTH: f64 = 860.0;
const LABELS: f64 = 250.0;
/// Where bars end at most: what is right of it is for the number.
const END: f64 = 760.0;
const LINE: f64 = 18.0;
const BAR: f64 = 12.0;

const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #222 }
.page { fill: #fff } .title { font-size: 16px; font-weight: 600 } .small { font-size: 12px; fill: #555 }
.ours { fill: #2266bb } .ours.second { fill: #88b4e6 } .peer { fill: #777 } .peer.second { fill: #bbb }
.spread { stroke: #222 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd } .page { fill: #161616 } .small { fill: #aaa }
.ours { fill: #5599ee } .ours.second { fill: #2f5f9c } .peer { fill: #999 } .peer.second { fill: #555 }
.spread { stroke: #ddd }
}
";

impl Chart {
    /// Adds a row with one bar, and what is said of it.
    pub(crate) fn add(&mut self, label: &str, bar: Spread, verdict: &str) {
        self.rows.push(Row {
            label: label.to_owned(),
            bars: vec![bar],
        });
        if !verdict.is_empty() {
            self.notes.push(format!("{label}: {verdict}"));
        }
    }

    /// The file. pay88's bars have a colour of their own; a thin line goes from the first to the third quartile.
    pub(crate) fn svg(&self) -> String {
        let bars = self.rows.iter().flat_map(|row| &row.bars);
        let largest = bars.map(|bar| bar.high).fold(0.0, f64::max);
        let scale = if largest > 0.0 {
            (END - LABELS) / largest
        } else {
            0.0
        };
        let mut body = String::new();
        let mut y = 24.0;
        text(&mut body, 12.0, y, "title", &self.title);
        y += LINE;
        text(&mut body, 12.0, y, "small", &self.unit);
        y += 12.0;
        for row in &self.rows {
            let height = LINE * row.bars.len() as f64;
            let middle = y + height / 2.0 + 4.5;
            text(&mut body, 12.0, middle, "", &row.label);
            let owner = if row.label.contains("pay88") {
                "ours"
            } else {
                "peer"
            };
            for (index, bar) in row.bars.iter().enumerate() {
                let class = format!("{owner}{}", if index > 0 { " second" } else { "" });
                bar_at(&mut body, y, scale, &class, *bar);
                y += LINE;
            }
            y += 8.0;
        }
        y += 8.0;
        for note in &self.notes {
            text(&mut body, 12.0, y + 4.0, "small", note);
            y += LINE;
        }
        y += 4.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" \
             role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n\
             <rect class=\"page\" width=\"{WIDTH}\" height=\"{y}\"/>\n{body}</svg>\n",
            escaped(&self.title)
        )
    }
}

fn bar_at(body: &mut String, y: f64, scale: f64, class: &str, bar: Spread) {
    let (length, low, high) = (bar.median * scale, bar.low * scale, bar.high * scale);
    let line = y + LINE / 2.0;
    let _ = writeln!(
        body,
        "<rect class=\"{class}\" x=\"{LABELS}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{BAR}\"/>\n\
         <path class=\"spread\" d=\"M{:.1} {line:.1}H{:.1}\"/>",
        y + (LINE - BAR) / 2.0,
        LABELS + low,
        LABELS + high,
    );
    let right = LABELS + length.max(high) + 6.0;
    text(body, right, line + 4.5, "small", &number(bar.median));
}

/// Three digits that count, or all before the point.
fn number(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn text(body: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let _ = writeln!(
        body,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
        escaped(text)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> String {
        let row = |value: &f64| Row {
            label: format!("pay88 & {value}"),
            bars: vec![Spread::of([*value].into_iter())],
        };
        Chart {
            title: "a < b".to_owned(),
            unit: String::new(),
            rows: values.iter().map(row).collect(),
            notes: vec!["\"note\"".to_owned()],
        }
        .svg()
    }

    #[test]
    fn the_longest_bar_fills_the_width_and_the_others_are_in_proportion() {
        let svg = chart(&[50.0, 200.0]);
        assert!(svg.contains("width=\"510.0\""), "{svg}");
        assert!(svg.contains("width=\"127.5\""), "{svg}");
    }

    #[test]
    fn what_is_written_is_text_and_no_markup() {
        let svg = chart(&[1.0]);
        assert!(svg.contains(">a &lt; b</text>"), "{svg}");
        assert!(svg.contains(">pay88 &amp; 1</text>"), "{svg}");
        assert!(svg.contains(">&quot;note&quot;</text>"), "{svg}");
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        assert!(!chart(&[0.0]).contains("NaN"));
        assert!(!chart(&[]).contains("NaN"));
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        assert_eq!([0.254, 12.34, 1234.5].map(number), ["0.25", "12.3", "1234"]);
    }
}
