//! The table of truth: what it holds, and errors that name the line.

use std::path::PathBuf;

use cbam::eval::{BoundingBox, Object, read_truth};
use cbam::photo::ImageSize;
use tempfile::TempDir;

const HEADER: &str = "image\tclass\twidth\theight\tarea\tsmall\tboxes";

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.tsv");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn rows_are_read_whatever_the_order_of_the_columns() {
    let text = "\u{feff}boxes\tsmall\timage\theight\twidth\tnote\tclass\r\n\
                1.5,2,3,4.25;0,0,9,9\t1\t./a/b.jpg\t10\t20\twhatever\t65\r\n\r\n";
    let (_folder, path) = written(text);
    let [row] = &read_truth(path).unwrap()[..] else { panic!("one row") };
    assert_eq!((row.image.as_str(), row.class, row.small), ("a/b.jpg", Some(65), true));
    assert_eq!(row.size, ImageSize::new(20, 10));
    let Object::Boxes(boxes) = &row.object else { panic!("boxes") };
    let [a, b] = boxes[..] else { panic!("two boxes") };
    assert_eq!(a, BoundingBox { x0: 1.5, y0: 2.0, x1: 3.0, y1: 4.25 });
    assert_eq!(b, BoundingBox { x0: 0.0, y0: 0.0, x1: 9.0, y1: 9.0 });
}

#[test]
fn a_box_covers_whole_pixels_and_ends_with_the_picture() {
    let (_folder, path) = written(&format!("{HEADER}\na.jpg\t0\t6\t5\t0\t0\t1.9,2.0,3.1,3.0;4.5,-7,99,1.01\n"));
    let inside = read_truth(path).unwrap()[0].region().unwrap().inside;
    assert_eq!(inside.dim(), (5, 6));
    let pixels: Vec<_> = inside.indexed_iter().filter(|(_, inside)| **inside).map(|(place, _)| place).collect();
    assert_eq!(pixels, [(0, 4), (0, 5), (1, 4), (1, 5), (2, 1), (2, 2), (2, 3)]);
}

#[test]
fn errors_name_the_file_and_the_line() {
    let good = "a.jpg\t0\t6\t5\t0.1\t1\t1,1,2,2";
    let cases = [
        ("", "the file is empty"),
        (HEADER, "no row"),
        ("image\tclass\twidth\theight\tboxes\n", "line 1: there is no column \"small\""),
        (&format!("{HEADER}\n{good}\n\n{good}\n"), "line 4: a.jpg comes a second time"),
        (&format!("{HEADER}\n{good}\nb.jpg\t0\t6\t5\t0.1\t1\n"), "line 3: boxes is missing"),
        (&format!("{HEADER}\n{}\n", good.replace("\t0\t6", "\tcat\t6")), "line 2: class is \"cat\""),
        (&format!("{HEADER}\n{}\n", good.replace("\t0\t6", "\t-1\t6")), "line 2: class is \"-1\""),
        (&format!("{HEADER}\n{}\n", good.replace("\t6\t", "\t0\t")), "line 2: a picture of 0×5"),
        (&format!("{HEADER}\n{}\n", good.replace("\t1\t1,", "\tyes\t1,")), "line 2: small is \"yes\""),
        (&format!("{HEADER}\n{}\n", good.replace("1,1,2,2", "1,1,2")), "line 2: the box \"1,1,2\" is not"),
        (&format!("{HEADER}\n{}\n", good.replace("1,1,2,2", "1,1,2,x")), "line 2: a box's corner is \"x\""),
        (&format!("{HEADER}\n{}\n", good.replace("1,1,2,2", "2,1,1,2")), "line 2: the box \"2,1,1,2\" covers nothing"),
        (&format!("{HEADER}\n{}\n", good.replace("1,1,2,2", "6,1,9,2")), "line 2: the box \"6,1,9,2\" covers nothing"),
        (&format!("{HEADER}\n{}\n", good.replace("1,1,2,2", "NaN,1,9,2")), "line 2: the box \"NaN,1,9,2\" covers"),
    ];
    for (text, expected) in cases {
        let (_folder, path) = written(text);
        let error = read_truth(&path).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()) && error.contains(expected), "{error}");
    }
    assert!(read_truth("/nowhere/truth.tsv").unwrap_err().to_string().starts_with("/nowhere/truth.tsv: "));
}
