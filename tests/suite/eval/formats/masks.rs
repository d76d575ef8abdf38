//! Truth as masks.

use super::*;

#[test]
fn masks_are_regions_with_a_box_for_each_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut mask = GrayImage::new(12, 8);
    for (x, y, value) in [(1, 1, 1), (2, 1, 255), (3, 2, 9), (8, 5, 200)] {
        mask.put_pixel(x, y, Luma([value]));
    }
    fs::create_dir(folder.path().join("a")).unwrap();
    mask.save(folder.path().join("a/cat.png")).unwrap();
    let truth = open(folder.path(), &["a/cat.jpg"]).unwrap();
    assert_eq!(truth.format, TruthFormat::Masks);
    let [row] = &truth.rows[..] else { panic!("{:?}", truth.rows) };
    assert_eq!((row.image.as_str(), row.class, row.size), ("a/cat.jpg", None, None));
    let size = ImageSize::new(12, 8);
    let mut remarks = Remarks::default();
    let region = row.region(size, &mut remarks).unwrap();
    assert!(remarks.to_string().contains("grey masks with 255 beside other values, all taken for object"), "{remarks}");
    assert_eq!(region.void, None);
    assert_eq!(region.inside.iter().filter(|inside| **inside).count(), 4);
    let found: Vec<_> = region.boxes.iter().map(|b| [b.x0, b.y0, b.x1, b.y1]).collect();
    assert_eq!(found, [[1.0, 1.0, 4.0, 3.0], [8.0, 5.0, 9.0, 6.0]]);
    assert_eq!(region.share(), 4.0 / 96.0);

    let error = || row.region(size, &mut Remarks::default()).unwrap_err().to_string();
    GrayImage::new(12, 8).save(folder.path().join("a/cat.png")).unwrap();
    assert!(error().contains("the mask is black"), "{}", error());
    GrayImage::new(8, 8).save(folder.path().join("a/cat.png")).unwrap();
    assert!(error().contains("a mask of 8x8 pixels, for a picture of 12x8"), "{}", error());
    fs::write(folder.path().join("a/cat.png"), b"text").unwrap();
    assert!(error().contains("cat.png"), "{}", error());
    fs::write(folder.path().join("cat.png"), b"").unwrap();
    fs::write(folder.path().join("dog.png"), b"").unwrap();
    let truth = open(folder.path(), &["a/cat.jpg"]).unwrap();
    let said = truth.remarks.to_string();
    assert!(said.contains("has one already, left out: 1 (cat.png, of a/cat.jpg as a/cat.png)"), "{said}");
    assert!(said.contains("dog.png: no picture is called dog"), "{said}");
    assert_eq!(truth.rows.len(), 1);
}

/// An indexed PNG.
fn save_indexed(path: &Path, palette: &[u8], width: u32, indices: &[u8]) {
    let file = fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, width, indices.len() as u32 / width);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette.to_vec());
    encoder.write_header().unwrap().write_image_data(indices).unwrap();
}

#[test]
fn in_indexed_masks_255_is_void() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let indices = [0, 255, 15, 255, 0, 0, 255, 15, 255, 0];
    let voc: Vec<u8> = (0..=255_u8).flat_map(|index| [index & 1, index & 2, index & 4].map(|bit| bit * 60)).collect();
    save_indexed(&path, &voc, 5, &indices);
    let row = open(folder.path(), &["a.jpg"]).unwrap().rows.remove(0);
    let size = ImageSize::new(5, 2);
    let mut remarks = Remarks::default();
    let region = row.region(size, &mut remarks).unwrap();
    assert!(remarks.to_string().contains("255 is taken for void, neither object nor ground: 1 (a.png)"), "{remarks}");
    let places = |of: &ndarray::Array2<bool>| -> Vec<bool> { of.iter().copied().collect() };
    assert_eq!(places(&region.inside), indices.map(|index| index == 15));
    assert_eq!(places(&region.void.unwrap()), indices.map(|index| index == 255));
    assert_eq!(region.boxes[0], BoundingBox { x0: 2.0, y0: 0.0, x1: 3.0, y1: 2.0 });

    // Black and white, though it has a palette: white is object.
    let greys: Vec<u8> = (0..=255_u8).flat_map(|index| [index; 3]).collect();
    save_indexed(&path, &greys, 5, &indices.map(|index| if index == 15 { 255 } else { 0 }));
    let region = row.region(size, &mut Remarks::default()).unwrap();
    assert_eq!((places(&region.inside), region.void), (indices.map(|index| index == 15).to_vec(), None));
    save_indexed(&path, &voc, 5, &indices.map(|index| if index == 15 { 255 } else { 0 }));
    let error = row.region(size, &mut Remarks::default()).unwrap_err().to_string();
    assert!(error.contains("in an indexed PNG 255 is void"), "{error}");
}
