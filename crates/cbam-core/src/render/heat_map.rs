//! Heat maps: a table of numbers, its rows and columns named.

use image::{Rgb, RgbImage};
use ndarray::ArrayView2;

use super::{
    Colormap,
    canvas::{Area, INK, WHITE, draw_right, fill},
    text::Style,
};
use crate::{Error, Result};

/// Around the words and the table, in pixels.
const MARGIN: f32 = 12.0;
/// The least width and the height of a cell, in pixels.
const CELL: [f32; 2] = [96.0, 72.0];
/// The longest side of a picture, in pixels.
const LONGEST: f32 = 16_384.0;

/// A table of numbers, such as attention's weights `[queries, keys]`, as colours, with the name of each row and column
/// beside it and each number, with `decimals`, in its cell.
///
/// The colours span the least and the greatest of all numbers.
///
/// # Errors
/// [`Error::Argument`] if there are no numbers, or one that is not finite, or not one name for each row and column, or the
/// picture would have a side of more than 16,384 pixels.
pub fn heat_map(
    values: ArrayView2<'_, f32>,
    rows: &[&str],
    columns: &[&str],
    decimals: usize,
    colormap: Colormap,
) -> Result<RgbImage> {
    let refused = |message: String| Err(Error::argument("heat map", message));
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return refused("needs numbers, all finite".to_owned());
    }
    if (rows.len(), columns.len()) != values.dim() {
        let (height, width) = values.dim();
        return refused(format!("{height} rows and {width} columns have {} and {} names", rows.len(), columns.len()));
    }
    let name = Style { height: 20.0, colour: INK };
    let number = |value: f32| format!("{value:.decimals$}");
    let widest = |texts: &mut dyn Iterator<Item = String>| texts.map(|text| name.width(&text)).fold(0.0, f32::max);
    let left = widest(&mut rows.iter().map(ToString::to_string)) + 2.0 * MARGIN;
    let inner = widest(&mut columns.iter().map(ToString::to_string).chain(values.iter().map(|value| number(*value))));
    let cell = [CELL[0].max(inner + MARGIN).ceil(), CELL[1]];
    let top = name.height + 2.0 * MARGIN;
    let size = [left + cell[0] * columns.len() as f32 + MARGIN, top + cell[1] * rows.len() as f32 + MARGIN];
    if size.iter().any(|side| *side > LONGEST) {
        return refused(format!("a picture of {:.0}x{:.0} pixels would be too large", size[0], size[1]));
    }

    let mut image = RgbImage::from_pixel(size[0].ceil() as u32, size[1].ceil() as u32, WHITE);
    let (least, greatest) = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    for (column, text) in columns.iter().enumerate() {
        let middle = left + cell[0] * (column as f32 + 0.5);
        name.draw(&mut image, middle - name.width(text) / 2.0, MARGIN, text);
    }
    for (row, text) in rows.iter().enumerate() {
        let y = top + cell[1] * row as f32;
        draw_right(&mut image, name, left - MARGIN, y + (cell[1] - name.height) / 2.0, text);
        for column in 0..columns.len() {
            let value = values[(row, column)];
            let share = if greatest > least { (value - least) / (greatest - least) } else { 0.5 };
            let colour = Rgb(colormap.color(share));
            let x = left + cell[0] * column as f32;
            let area = Area { x: x as u32, y: y as u32, width: cell[0] as u32, height: cell[1] as u32 };
            fill(&mut image, area, colour);
            let (style, text) = (Style { colour: ink_on(colour), ..name }, number(value));
            style.draw(&mut image, x + (cell[0] - style.width(&text)) / 2.0, y + (cell[1] - style.height) / 2.0, &text);
        }
    }
    Ok(image)
}

/// The colour of text that can be read on a ground.
fn ink_on(Rgb([red, green, blue]): Rgb<u8>) -> Rgb<u8> {
    let luma = 0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue);
    if luma > 128.0 { INK } else { WHITE }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn each_number_has_its_cell_and_every_name_its_place() {
        let values = array![[0.0_f32, 1.0], [0.5, 0.25], [1.0, 0.0]];
        let picture = heat_map(values.view(), &["You", "found", "me"], &["a", "b"], 2, Colormap::Viridis).unwrap();
        let [dark, bright] = [0.0, 1.0].map(|share| Rgb(Colormap::Viridis.color(share)));
        let count = |colour| picture.pixels().filter(|pixel| **pixel == colour).count();
        // All but the numbers' own pixels: two cells each, of 96 by 72.
        for colour in [dark, bright] {
            assert!((12_000..13_824).contains(&count(colour)), "{}", count(colour));
        }
        let right = picture.width() - 12 - 2;
        let bottom = picture.height() - 12 - 2;
        assert_eq!([*picture.get_pixel(right, bottom), *picture.get_pixel(right, 46)], [dark, bright]);
        let names = picture.enumerate_pixels().filter(|(x, y, pixel)| **pixel != WHITE && (*x < 24 || *y < 30)).count();
        assert!(names > 50, "{names}");
    }

    #[test]
    fn what_has_no_picture_is_refused() {
        let draw = |values: ndarray::Array2<f32>, rows: &[&str], columns: &[&str]| {
            heat_map(values.view(), rows, columns, 3, Colormap::Grey).map(|picture| picture.dimensions())
        };
        assert!(draw(array![[0.5]], &["a"], &["b"]).is_ok(), "all numbers the same");
        assert!(draw(array![[0.5, 0.5]], &["a"], &["b"]).is_err());
        assert!(draw(array![[f32::NAN]], &["a"], &["b"]).is_err());
        assert!(draw(ndarray::Array2::zeros((0, 0)), &[], &[]).is_err());
        assert!(draw(ndarray::Array2::zeros((1, 200)), &["a"], &["b"; 200]).is_err());
    }
}
