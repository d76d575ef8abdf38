//! The table of truth: what it holds, and lines that make no sense.

use std::fmt::Write;
use std::path::PathBuf;

use cbam::eval::{BoundingBox, ClassNames, Object, RemarkKind, Remarks, Truth, TruthFormat};
use cbam::photo::ImageSize;
use tempfile::TempDir;

use crate::file;

const HEADER: &str = "image\tclass\twidth\theight\tarea\tsmall\tboxes";

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.tsv");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// Read for a network of ImageNet's classes.
fn read(text: &str) -> Result<Truth, String> {
    let (_folder, path) = written(text);
    Truth::open(&path, &ClassNames::imagenet(), &[]).map_err(|error| {
        let error = error.to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        error
    })
}

fn boxes(truth: &Truth, row: usize) -> Vec<[f64; 4]> {
    let Object::Boxes(boxes) = &truth.rows[row].object else { panic!("{truth:?}") };
    boxes.iter().map(|BoundingBox { x0, y0, x1, y1 }| [*x0, *y0, *x1, *y1]).collect()
}

#[test]
fn rows_are_read_whatever_the_order_of_the_columns() {
    let text = "\u{feff}boxes\tsmall\timage\theight\twidth\tnote\tclass\r\n\
                1.5,2,3,4.25;0,0,9,9\t1\t./a/b.jpg\t10\t20\twhatever\t65\r\n\r\n";
    let truth = read(text).unwrap();
    let [row] = &truth.rows[..] else { panic!("one row") };
    assert_eq!((row.image.as_str(), row.class, row.small), ("a/b.jpg", Some(65), true));
    assert_eq!(row.size, Some(ImageSize::new(20, 10)));
    assert_eq!(boxes(&truth, 0), [[1.5, 2.0, 3.0, 4.25], [0.0, 0.0, 9.0, 9.0]]);
    assert_eq!((truth.format, truth.remarks), (TruthFormat::Table, Remarks::default()));
}

#[test]
fn image_and_boxes_are_enough_however_they_are_separated() {
    for text in [
        "image\tboxes\na b.jpg\t1,2,3,4;5,6,7.5,8\nc.jpg\t1,2,3,4\n",
        "image,boxes\na b.jpg,\"1,2,3,4;5,6,7.5,8\"\nc.jpg,\"1,2,3,4\"\n",
        "image,boxes\na b.jpg,1 2 3 4|5 6 7.5 8\nc.jpg,1 2 3 4\n",
        "Image;Boxes\n\"a b.jpg\";\"1,2,3,4;5,6,7.5,8\"\nc.jpg;1,2,3,4\n",
        "x1,y1,x2,y2,image\n1,2,3,4,a b.jpg\n5,6,7.5,8,a b.jpg\n1,2,3,4,c.jpg\n",
        "image;x0;y0;x1;y1\na b.jpg;1;2;3;4\nc.jpg;1;2;3;4\na b.jpg;5;6;7.5;8\n",
        "filename,xmin,ymin,xmax,ymax\r\na b.jpg, 1, 2, 3, 4\r\na b.jpg,5,6,7.5,8\r\nc.jpg,1,2,3,4",
    ] {
        let truth = read(text).unwrap();
        let names: Vec<_> = truth.rows.iter().map(|row| (row.image.as_str(), row.class, row.size)).collect();
        assert_eq!(names, [("a b.jpg", None, None), ("c.jpg", None, None)], "{text}");
        assert_eq!(boxes(&truth, 0), [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.5, 8.0]], "{text}");
        assert_eq!(boxes(&truth, 1), [[1.0, 2.0, 3.0, 4.0]], "{text}");
        assert_eq!(truth.remarks, Remarks::default(), "{text}");
    }
    let utf16: Vec<u8> = [0xfeff_u16]
        .into_iter()
        .chain("image\tboxes\nä.jpg\t1,2,3,4\n".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let (_folder, path) = written("");
    std::fs::write(&path, utf16).unwrap();
    assert_eq!(Truth::open(&path, &ClassNames::default(), &[]).unwrap().rows[0].image, "ä.jpg");
}

#[test]
fn classes_are_names_wordnet_ids_and_numbers() {
    let truth = read("image,class\na.jpg,tiger_cat\nb.jpg,n02123159\nc.jpg,282\nd.jpg,1000\ne.jpg,dragon\n").unwrap();
    let classes: Vec<_> = truth.rows.iter().map(|row| (row.image.as_str(), row.class)).collect();
    assert_eq!(classes, [("a.jpg", Some(282)), ("b.jpg", Some(282)), ("c.jpg", Some(282))]);
    assert!(truth.rows.iter().all(|row| !row.has_object()));
    let said = truth.remarks.to_string();
    assert!(said.contains("none of the network's 1000: 2 (1000; dragon)"), "{said}");
    assert!(said.contains("neither a box nor a class of the network is known, left out: 2 (d.jpg; e.jpg)"), "{said}");
    assert_eq!(truth.remarks.lost(), 2);

    let (_folder, path) = written("image\tclass\tboxes\na.jpg\t2\t0,0,1,1\nb.jpg\tCat\t0,0,1,1\nc.jpg\t10\t0,0,1,1\n");
    let of = |classes: &ClassNames| -> Vec<Option<usize>> {
        Truth::open(&path, classes, &[]).unwrap().rows.iter().map(|row| row.class).collect()
    };
    assert_eq!(of(&ClassNames::new(["cat", "dog", "bird"])), [Some(2), Some(0), None]);
    assert_eq!(of(&ClassNames::new(["10", "2", "cat"])), [Some(1), Some(2), Some(0)], "a name goes before a number");
    assert_eq!(of(&ClassNames::unnamed(3)), [Some(2), None, None]);
}

#[test]
fn a_picture_of_several_classes_is_of_the_largest() {
    let text = "image,x1,y1,x2,y2,class\na.jpg,0,0,2,2,cup\na.jpg,0,0,9,9,tiger cat\na.jpg,5,5,6,6,tiger cat\na.jpg,0,0,50,50,person\n";
    let truth = read(text).unwrap();
    assert_eq!(truth.rows[0].class, Some(282));
    assert_eq!(boxes(&truth, 0), [[0.0, 0.0, 9.0, 9.0], [5.0, 5.0, 6.0, 6.0]]);
}

#[test]
fn a_box_covers_whole_pixels_and_ends_with_the_picture() {
    let text = format!("{HEADER}\na.jpg\t0\t6\t5\t0\t0\t1.9,2.0,3.1,3.0;4.5,-7,99,1.01\n");
    let truth = read(&text).unwrap();
    assert!(truth.remarks.to_string().contains("reach beyond their picture, cut at its edge: 1 (line 2, of a.jpg)"));
    let mut remarks = Remarks::default();
    let size = ImageSize::new(6, 5);
    let inside = truth.rows[0].region(size, &mut remarks).unwrap().inside;
    assert_eq!((inside.dim(), &remarks), ((5, 6), &Remarks::default()), "it was said before");
    let pixels: Vec<_> = inside.indexed_iter().filter(|(_, inside)| **inside).map(|(place, _)| place).collect();
    assert_eq!(pixels, [(0, 4), (0, 5), (1, 4), (1, 5), (2, 1), (2, 2), (2, 3)]);
    let other = truth.rows[0].region(ImageSize::new(5, 6), &mut remarks).unwrap_err().to_string();
    assert!(other.contains("a.jpg: 5x6 pixels, where the truth has 6x5"), "{other}");

    // Without a size all of that waits for the picture.
    let truth = read("image\tboxes\na.jpg\t1.9,2.0,3.1,3.0;4.5,-7,99,1.01;7,7,8,8\nb.jpg\t7,7,8,8\n").unwrap();
    assert_eq!(truth.rows[0].region(size, &mut remarks).unwrap().inside, inside);
    let said = remarks.to_string();
    assert!(
        said.contains("cut at its edge: 1 (a.jpg)") && said.contains("nothing of their picture, left out: 1"),
        "{said}"
    );
    let error = truth.rows[1].region(size, &mut remarks).unwrap_err().to_string();
    assert!(error.contains("b.jpg: no box of the truth lies on its 6x5 pixels"), "{error}");
}

#[test]
fn a_line_that_makes_no_sense_costs_itself_alone() {
    let good = "a.jpg\t0\t6\t5\t0.1\t1\t1,1,2,2";
    let bad = |from: &str, to: &str| good.replacen("a.jpg", "b.jpg", 1).replacen(from, to, 1);
    for (line, kind, expected) in [
        (
            "b.jpg\t0\t6".to_owned(),
            RemarkKind::Changed,
            "without a box, which count for the class alone: 1 (line 3, b.jpg)",
        ),
        (bad("b.jpg", ""), RemarkKind::Lost, "line 3: image is missing"),
        (bad("\t1\t1,", "\tmaybe\t1,"), RemarkKind::Lost, "line 3: small is \"maybe\""),
        (bad("1,1,2,2", "1,1,2"), RemarkKind::Changed, "not four numbers, left out: 1 (line 3: \"1,1,2\")"),
        (bad("1,1,2,2", "1,1,2,x"), RemarkKind::Changed, "not four numbers, left out: 1 (line 3: \"1,1,2,x\")"),
        (
            bad("1,1,2,2", "2,1,1,2"),
            RemarkKind::Changed,
            "cover nothing of their picture, left out: 1 (line 3, of b.jpg)",
        ),
        (bad("1,1,2,2", "6,1,9,2"), RemarkKind::Changed, "cover nothing"),
        (bad("1,1,2,2", "NaN,1,9,2"), RemarkKind::Changed, "cover nothing"),
        (bad("1,1,2,2", "1,1,inf,2"), RemarkKind::Changed, "cover nothing"),
        (
            bad("b.jpg", "../../etc/b.jpg"),
            RemarkKind::Lost,
            "leads out of the folder of pictures, refused: 1 (../../etc/b.jpg)",
        ),
        (bad("b.jpg", "/etc/b.jpg"), RemarkKind::Lost, "refused: 1 (/etc/b.jpg)"),
        (bad("b.jpg", "b.jpg\t0"), RemarkKind::Lost, "8 fields for 7 columns"),
        (bad("b.jpg", "\"b.jpg"), RemarkKind::Lost, "is a quote not closed?"),
        (bad("\t6\t", "\t0\t"), RemarkKind::Assumed, "taken from the picture: 1 (line 3, b.jpg)"),
        (bad("\t6\t", "\tsix\t"), RemarkKind::Assumed, "taken from the picture: 1 (line 3, b.jpg)"),
        (
            good.to_owned(),
            RemarkKind::Changed,
            "the table has already, their boxes counted together: 1 (line 3, a.jpg)",
        ),
        (good.replace("\t6\t", "\t7\t"), RemarkKind::Lost, "line 3: a.jpg had another size before"),
    ] {
        let truth = read(&format!("{HEADER}\n{good}\n{line}\nc.jpg\t1\t6\t5\t0\t0\t1,1,2,2\n")).unwrap();
        let said = truth.remarks.to_string();
        assert!(said.contains(expected), "{line}: {said}");
        assert!(
            truth.remarks.iter().any(|remark| remark.kind == kind && remark.to_string().contains(expected)),
            "{said}"
        );
        assert_eq!(truth.rows[0].image, "a.jpg");
        assert!(truth.rows.iter().any(|row| row.image == "c.jpg"), "{line}");
    }
}

#[test]
fn an_open_quote_costs_its_own_line_alone() {
    let mut text = "image,boxes\n".to_owned();
    for i in 0..40 {
        let quote = if i % 13 == 4 { "" } else { "\"" };
        let _ = write!(text, "{i}.jpg,\"1,1,2,2{quote}{}", if i % 2 == 0 { "\n" } else { "\r\n\n" });
    }
    let truth = read(&text).unwrap();
    let said = truth.remarks.to_string();
    assert_eq!((truth.rows.len(), truth.remarks.lost()), (37, 3), "{said}");
    assert!(said.contains("line 8: a field goes over several lines"), "{said}");
    assert!(said.contains("line 27: ") && said.contains("line 47: "), "{said}");
    let truth = read("image,boxes\ra.jpg,\"1,1,2,2\rb.jpg,\"1,1,2,2\"\r").unwrap();
    assert_eq!((truth.rows.len(), truth.rows[0].image.as_str(), truth.remarks.lost()), (1, "b.jpg", 1));
}

#[test]
fn a_field_in_quotes_may_go_over_several_lines() {
    let text = "image,class,caption\nastronaut.jpg,3,\"see\ncoffee.jpg,504,x\"\nchelsea.jpg,285,y\r\n\
                rocket.jpg,657,\"\"\"one\"\",\r\n\r\ntwo\" \r\nlast.jpg,1,z";
    let truth = read(text).unwrap();
    let rows: Vec<_> = truth.rows.iter().map(|row| (row.image.as_str(), row.class)).collect();
    assert_eq!(
        rows,
        [("astronaut.jpg", Some(3)), ("chelsea.jpg", Some(285)), ("rocket.jpg", Some(657)), ("last.jpg", Some(1))]
    );
    assert_eq!(truth.remarks, Remarks::default());
    // Where it would be something that is read, or fields are missing, all its lines are left out.
    for text in [
        "image,class\na.jpg,\"3\nb.jpg,4\"\nc.jpg,5,x\nd.jpg,6\n",
        "image,class,caption\na.jpg,\"3\nb.jpg,4\"\nc.jpg,5,x,y\nd.jpg,6,z\n",
    ] {
        let truth = read(text).unwrap();
        let said = truth.remarks.to_string();
        assert_eq!((truth.rows.len(), truth.rows[0].image.as_str(), truth.remarks.lost()), (1, "d.jpg", 2), "{said}");
        assert!(said.contains("line 2: a field goes over several lines, all left out") && said.contains("line 4: "));
    }
}

#[test]
fn open_quotes_cost_no_more_than_their_lines() {
    for line in ["a\"b,\"c\n", "a\",\"c\n", "a,\"b\n", "\"\"\",a\n", "\"a\"\"\n"] {
        let begun = std::time::Instant::now();
        let truth = read(&format!("image,class\n{}\nlast.jpg,1\n", line.repeat(100_000)));
        assert!(begun.elapsed().as_secs() < 10, "{line}: {:?}", begun.elapsed());
        assert!(truth.is_err() || truth.unwrap().remarks.lost() > 0, "{line}");
    }
}

#[test]
fn excels_line_about_the_separator_is_no_header() {
    for (text, line) in [
        ("sep=;\r\nimage;x1;y1;x2;y2\r\na.jpg;1;1;2;2\r\nb.jpg;1;1;2;x\r\n", 4),
        ("\u{feff}sep=|\nimage|x1|y1|x2|y2\na.jpg|1|1|2|2\n\nb.jpg|1|1|2|x\n", 5),
    ] {
        let truth = read(text).unwrap();
        assert_eq!(boxes(&truth, 0), [[1.0, 1.0, 2.0, 2.0]], "{text}");
        assert!(truth.remarks.to_string().contains(&format!("line {line}: ")), "{}", truth.remarks);
    }
}

#[test]
fn what_is_no_table_is_said_with_all_that_is_missing() {
    for (text, expected) in [
        ("", "the file is empty"),
        (HEADER, "there is no picture to measure"),
        ("class\twidth\n", "missing columns: image; it has class, width"),
        ("name,w\n", "missing columns: image, boxes (or x1, y1, x2 and y2); it has name, w"),
        ("image,x1,y1\n", "missing columns: x2, y2; it has image, x1, y1"),
        ("file,xmin,xmax,ymax,class\n", "missing columns: ymin"),
        ("image,boxes\na.jpg,\"1,1,2\"\n", "not four numbers, left out: 1 (line 2: \"1,1,2\")"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let (_folder, path) = written("");
    std::fs::write(&path, b"image,boxes\n\xe4.jpg,1 2 3 4\n").unwrap();
    let error = Truth::open(&path, &ClassNames::default(), &[]).unwrap_err().to_string();
    assert!(error.contains("line 2 is not UTF-8"), "{error}");
    for start in [&b"PK\x03\x04\x14\0"[..], b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x1f\x8b\x08\0"] {
        std::fs::write(&path, start).unwrap();
        let error = Truth::open(&path, &ClassNames::default(), &[]).unwrap_err().to_string();
        assert!(error.contains("a spreadsheet or an archive") && error.contains("CSV"), "{error}");
    }
    let error = Truth::open("/nowhere/truth.tsv", &ClassNames::default(), &[]).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/truth.tsv: "), "{error}");
}

#[test]
fn shares_of_a_picture_are_no_pixels() {
    for text in [
        "image,x1,y1,x2,y2\na.jpg,0.1,0.2,0.5,0.6\nb.jpg,0,0,1,1\n",
        "image,boxes,width,height\na.jpg,0.1 0.2 0.5 0.6;0 0 1 1,40,30\n",
    ] {
        let error = read(text).unwrap_err();
        assert!(
            error.contains("shares of the picture (0 to 1); pixels are wanted; the first is 0.1,0.2,0.5,0.6"),
            "{error}"
        );
    }
    for text in ["image,x1,y1,x2,y2\na.jpg,0,0,1,1\n", "image,x1,y1,x2,y2\na.jpg,0.1,0.2,0.5,0.6\nb.jpg,1,1,2,2\n"] {
        assert!(read(text).is_ok(), "{text}");
    }
}

#[test]
fn the_example_that_ships_is_read() {
    let truth = Truth::open(file("assets/images/truth.csv"), &ClassNames::imagenet(), &[]).unwrap();
    assert_eq!((truth.rows.len(), truth.remarks), (4, Remarks::default()));
    assert!(truth.rows.iter().all(|row| row.class.is_some()));
}
