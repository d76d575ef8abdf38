//! Curves as inline SVG, in the colours of the page.

use std::fmt::Write as _;

/// How many colours and dashes the page's style has for curves.
const COLOURS: usize = 8;
const DASHES: usize = 3;
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 44.0;
const BOTTOM: f64 = 36.0;
const TOP: f64 = 10.0;
const RIGHT: f64 = 10.0;

/// The class of the curve at `index` in the page's style: its colour and its dashes.
pub(crate) fn style(index: usize) -> String {
    format!("curve-{} dash-{}", index % COLOURS, index / COLOURS % DASHES)
}

/// Curves in `[0, 1]` at equal steps from 0 to 1, under the highest value that is shown.
pub(crate) fn curves(title: &str, across: &str, curves: &[(String, Vec<f64>)]) -> String {
    let top = top(curves);
    let mut svg = frame(title, across, "confidence", top);
    for (index, (name, curve)) in curves.iter().enumerate() {
        let last = curve.len().saturating_sub(1).max(1) as f64;
        let points: Vec<String> =
            curve.iter().enumerate().map(|(i, value)| point(i as f64 / last, value / top)).collect();
        let _ = write!(
            svg,
            r#"<polyline class="{}" data-curve="{}" points="{}"/>"#,
            style(index),
            escape(name),
            points.join(" ")
        );
    }
    svg + "</svg>"
}

/// The highest value that a chart of such curves shows: a whole number of steps of its axis.
pub(crate) fn top(curves: &[(String, Vec<f64>)]) -> f64 {
    let top = curves.iter().flat_map(|(_, curve)| curve.iter().copied()).fold(0.0_f64, f64::max);
    let step = step(top);
    ((top / step).ceil() * step).clamp(step, 1.0)
}

/// How far apart the lines of an axis up to `top` are.
fn step(top: f64) -> f64 {
    if top <= 0.5 { 0.1 } else { 0.2 }
}

/// Accuracy over confidence, a dot for each `(confidence, accuracy, share of the pictures)`.
pub(crate) fn reliability(bins: &[(f64, f64, f64)]) -> String {
    let mut svg = frame("accuracy over confidence", "confidence", "accuracy", 1.0);
    let (from, to) = (point(0.0, 0.0), point(1.0, 1.0));
    let _ =
        write!(svg, r#"<polyline class="rule dash-1" points="{from} {to}"/><g class="curve-0" data-curve="accuracy">"#);
    for (confidence, accuracy, share) in bins {
        let (x, y) = place(*confidence, *accuracy);
        let radius = 3.0 + 16.0 * share.sqrt();
        let _ = write!(svg, r#"<circle class="curve-0" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"/>"#);
    }
    svg + "</g></svg>"
}

fn place(x: f64, y: f64) -> (f64, f64) {
    (LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - BOTTOM - TOP))
}

fn point(x: f64, y: f64) -> String {
    let (x, y) = place(x, y);
    format!("{x:.1},{y:.1}")
}

/// The axes; the vertical one ends at `top`.
fn frame(title: &str, across: &str, up: &str, top: f64) -> String {
    let mut svg = format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#, escape(title));
    let lines = (top / step(top)).round();
    for line in 0..=lines as u32 {
        let share = f64::from(line) / lines;
        let (from, to, at) = (point(0.0, share), point(1.0, share), place(0.0, share));
        let _ = write!(svg, r#"<polyline class="rule" points="{from} {to}"/>"#);
        let (x, y, value) = (at.0 - 5.0, at.1 + 4.0, share * top);
        let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="end">{value:.1}</text>"#);
    }
    for fifth in 0..=5 {
        let share = f64::from(fifth) / 5.0;
        let at = place(share, 0.0);
        let _ = write!(svg, r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{share:.1}</text>"#, at.0, at.1 + 15.0);
    }
    let (middle, foot) = (place(0.5, 0.0).0, HEIGHT - 5.0);
    let _ = write!(svg, r#"<text x="{middle:.1}" y="{foot:.1}" text-anchor="middle">{}</text>"#, escape(across));
    let _ = write!(
        svg,
        r#"<text transform="translate(10 {:.1}) rotate(-90)" text-anchor="middle">{up}</text>"#,
        HEIGHT / 2.0 - 12.0
    );
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_from_corner_to_corner() {
        let svg = curves("a <b>", "share", &[("x & \"y\"".to_owned(), vec![0.0, 1.0])]);
        assert!(svg.contains("points=\"44.0,244.0 410.0,10.0\""), "{svg}");
        assert!(svg.contains("a &lt;b&gt;") && svg.contains("data-curve=\"x &amp; &quot;y&quot;\""), "{svg}");
    }
}
