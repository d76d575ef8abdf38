//! Curves as inline SVG, in the colours of the page.

use std::fmt::Write as _;

/// Colours that are told apart on light and on dark ground.
const COLOURS: [&str; 8] = ["#3b82f6", "#ef4444", "#10b981", "#f59e0b", "#8b5cf6", "#ec4899", "#14b8a6", "#84756b"];
/// Lines that tell curves of one colour apart.
const DASHES: [&str; 3] = ["", "6 3", "2 3"];
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 44.0;
const BOTTOM: f64 = 36.0;
const TOP: f64 = 10.0;
const RIGHT: f64 = 10.0;

/// The colour and the dashes of the curve at `index`.
pub(crate) fn style(index: usize) -> (&'static str, &'static str) {
    (COLOURS[index % COLOURS.len()], DASHES[index / COLOURS.len() % DASHES.len()])
}

/// Curves in `[0, 1]` at equal steps from 0 to 1, under the highest value that is shown.
pub(crate) fn curves(title: &str, across: &str, curves: &[(String, Vec<f64>)]) -> String {
    let top = curves.iter().flat_map(|(_, curve)| curve.iter().copied()).fold(0.0_f64, f64::max);
    let top = ((top * 10.0).ceil() / 10.0).clamp(0.1, 1.0);
    let mut svg = frame(title, across, "confidence", top);
    for (index, (name, curve)) in curves.iter().enumerate() {
        let last = curve.len().saturating_sub(1).max(1) as f64;
        let points: Vec<String> =
            curve.iter().enumerate().map(|(i, value)| point(i as f64 / last, value / top)).collect();
        let (colour, dashes) = style(index);
        let _ = write!(
            svg,
            r#"<polyline fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}" points="{}"><title>{}</title></polyline>"#,
            points.join(" "),
            escape(name)
        );
    }
    svg + "</svg>"
}

/// Accuracy over confidence, a dot for each `(confidence, accuracy, share of the pictures)`.
pub(crate) fn reliability(bins: &[(f64, f64, f64)]) -> String {
    let mut svg = frame("accuracy over confidence", "confidence", "accuracy", 1.0);
    let (from, to) = (point(0.0, 0.0), point(1.0, 1.0));
    let _ = write!(svg, r#"<polyline class="rule" points="{from} {to}" stroke-dasharray="4 4"/>"#);
    for (confidence, accuracy, share) in bins {
        let (x, y) = place(*confidence, *accuracy);
        let radius = 3.0 + 16.0 * share.sqrt();
        let _ = write!(
            svg,
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius:.1}" fill="{}" fill-opacity="0.65"><title>confidence {confidence:.2}, accuracy {accuracy:.2}, {:.0} % of the pictures</title></circle>"#,
            COLOURS[0],
            100.0 * share
        );
    }
    svg + "</svg>"
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
    for step in 0..=5 {
        let share = f64::from(step) / 5.0;
        let (from, to, at) = (point(0.0, share), point(1.0, share), place(0.0, share));
        let _ = write!(svg, r#"<polyline class="rule" points="{from} {to}"/>"#);
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{:.2}</text>"#,
            at.0 - 5.0,
            at.1 + 4.0,
            share * top
        );
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
        assert!(svg.contains("a &lt;b&gt;") && svg.contains("x &amp; &quot;y&quot;"));
    }
}
