//! Truth as COCO, Pascal VOC and class folders.

mod masks;

use std::fs;
use std::path::Path;

use cbam::eval::{BoundingBox, ClassNames, Object, RemarkKind, Remarks, Truth, TruthFormat, TruthRow};
use cbam::photo::ImageSize;
use image::{GrayImage, Luma};

/// For a network of ImageNet's classes.
fn open(path: &Path, pictures: &[&str]) -> Result<Truth, String> {
    let pictures: Vec<String> = pictures.iter().map(ToString::to_string).collect();
    Truth::open(path, &ClassNames::imagenet(), &pictures).map_err(|error| error.to_string())
}

fn boxes(row: &TruthRow) -> Vec<[f64; 4]> {
    let Object::Boxes(boxes) = &row.object else { panic!("boxes") };
    boxes.iter().map(|BoundingBox { x0, y0, x1, y1 }| [*x0, *y0, *x1, *y1]).collect()
}

const COCO: &str = r#"{"images": [
    {"id": 7, "file_name": "a/1.jpg", "width": 100, "height": 50},
    {"id": 9, "file_name": "2.jpg", "width": 30, "height": 40},
    {"id": 11, "file_name": "empty.jpg", "width": 30, "height": 40}],
  "annotations": [
    {"image_id": 7, "category_id": 1, "bbox": [10, 5, 20, 10], "iscrowd": 0, "segmentation": [[1, 2]], "area": 3},
    {"image_id": 7, "category_id": 2, "bbox": [40, 5, 30.5, 20]},
    {"image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 5]},
    {"image_id": 7, "category_id": 1, "bbox": [0, 0, 100, 50], "iscrowd": 1},
    {"image_id": 9, "category_id": 2, "bbox": [1, 2, 3, 4]}],
  "categories": [{"id": 1, "name": "Tiger_Cat"}, {"id": 2, "name": "person"}]}"#;

#[test]
fn coco_boxes_and_the_classes_that_the_network_knows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instances.json");
    fs::write(&path, COCO).unwrap();
    let truth = open(&path, &[]).unwrap();
    assert_eq!(truth.format, TruthFormat::Coco);
    let [known, unknown] = &truth.rows[..] else { panic!("{:?}", truth.rows) };
    assert_eq!((known.image.as_str(), known.class, known.size), ("a/1.jpg", Some(282), Some(ImageSize::new(100, 50))));
    assert_eq!(boxes(known), [[10.0, 5.0, 30.0, 15.0], [0.0, 0.0, 5.0, 5.0]], "the person is no tiger cat");
    assert_eq!((unknown.class, boxes(unknown)), (None, vec![[1.0, 2.0, 4.0, 6.0]]));
    let said = truth.remarks.to_string();
    assert!(said.contains("crowds (iscrowd), which count for nothing: 1"), "{said}");
    assert!(said.contains("none of the network's 1000: 2 (person)"), "{said}");
    assert!(said.contains("pictures without an object in the truth, left out: 1 (empty.jpg)"), "{said}");
    assert_eq!(truth.remarks.lost(), 0);
}

/// Reads COCO's text with a change, of which something is said; the rows that are left.
fn changed_coco((from, to, kind, rows, expected): (&str, &str, RemarkKind, usize, &str)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instances.json");
    let text = COCO.replace(from, to);
    assert_ne!(text, COCO, "{from}");
    fs::write(&path, &text).unwrap();
    let truth = open(&path, &[]).unwrap();
    let said = truth.remarks.to_string();
    let found = truth.remarks.iter().find(|remark| remark.to_string().contains(expected));
    assert_eq!(found.map(|remark| remark.kind), Some(kind), "{to}: {said}");
    assert_eq!((truth.rows.len(), truth.rows[0].image.as_str()), (rows, "a/1.jpg"), "{to}: {said}");
}

#[test]
fn a_fault_in_coco_costs_itself_alone() {
    let annotation = r#"{"image_id": 9, "category_id": 2, "bbox": [1, 2, 3, 4]}"#;
    for case in [
        (
            "\"image_id\": 9",
            "\"image_id\": 8",
            RemarkKind::Lost,
            1,
            "does not have, left out: 1 (annotation number 4, of image 8)",
        ),
        ("\"image_id\": 9, ", "", RemarkKind::Lost, 1, "annotations without an image_id"),
        ("[1, 2, 3, 4]", "[1, 2, 0, 4]", RemarkKind::Lost, 1, "of which no box is left, left out: 1 (2.jpg)"),
        (
            "[1, 2, 3, 4]",
            "[1, 2, 3, -4]",
            RemarkKind::Changed,
            1,
            "nothing of their picture, left out: 1 (annotation number 4, of 2.jpg)",
        ),
        ("[1, 2, 3, 4]", "[1, 2, NaN, 4]", RemarkKind::Changed, 1, "bbox is not four numbers, left out: 1"),
        ("[1, 2, 3, 4]", "[]", RemarkKind::Changed, 1, "bbox is not four numbers"),
        ("[1, 2, 3, 4]", "[1, 2, \"a\", 4]", RemarkKind::Changed, 1, "bbox is not four numbers"),
        ("[1, 2, 3, 4]", "null", RemarkKind::Changed, 1, "bbox is not four numbers"),
        ("[1, 2, 3, 4]", "[1, 2, 300, 4]", RemarkKind::Changed, 2, "reach beyond their picture, cut at its edge: 1"),
        (annotation, "null", RemarkKind::Lost, 1, "annotations without an image_id"),
        (
            "\"category_id\": 2, \"bbox\": [1",
            "\"category_id\": 6, \"bbox\": [1",
            RemarkKind::Changed,
            2,
            "a category that the file does not have",
        ),
        (
            "\"id\": 9, \"file_name\": \"2.jpg\"",
            "\"id\": 9",
            RemarkKind::Lost,
            1,
            "images without an id or a file_name that can be read, left out: 1",
        ),
        (
            "\"id\": 11,",
            "\"id\": 9,",
            RemarkKind::Lost,
            1,
            "whose id another image has, both left out: 1 (empty.jpg (id 9))",
        ),
        (
            "\"width\": 30, \"height\": 40},\n    {\"id\": 11",
            "\"width\": 0, \"height\": 0},\n    {\"id\": 11",
            RemarkKind::Assumed,
            2,
            "taken from the picture: 1 (2.jpg)",
        ),
        (
            ", \"width\": 30, \"height\": 40},\n    {\"id\": 11",
            "},\n    {\"id\": 11",
            RemarkKind::Assumed,
            2,
            "taken from the picture: 1 (2.jpg)",
        ),
        ("\"2.jpg\"", "\"../../etc/2.jpg\"", RemarkKind::Lost, 1, "refused: 1 (../../etc/2.jpg)"),
        ("\"2.jpg\"", "\"/etc/2.jpg\"", RemarkKind::Lost, 1, "refused: 1 (/etc/2.jpg)"),
    ] {
        changed_coco(case);
    }
}

#[test]
fn what_cannot_be_read_in_coco_costs_its_field_alone() {
    for case in [
        ("[1, 2, 3, 4]", "[1e999, 2, 3, 4]", RemarkKind::Changed, 1, "bbox is not four numbers, left out: 1"),
        (
            "\"width\": 30, \"height\": 40},\n    {\"id\": 11",
            "\"width\": 1e400, \"height\": 40},\n    {\"id\": 11",
            RemarkKind::Assumed,
            2,
            "taken from the picture: 1 (2.jpg)",
        ),
        (
            "\"2.jpg\"",
            "\"caf\\udce9.jpg\"",
            RemarkKind::Lost,
            1,
            "file_name that can be read, left out: 1 (image number 1)",
        ),
        (
            "\"person\"",
            "\"pers\\udce9n\"",
            RemarkKind::Changed,
            2,
            "categories without an id or a name that can be read, left out: 1 (category number 1)",
        ),
        (
            "\"categories\": [",
            "\"categories\": null, \"x\": [",
            RemarkKind::Changed,
            2,
            "a category that the file does not have, taken for an unknown class: 4",
        ),
        (
            "\"categories\": [",
            "\"categories\": 3, \"x\": [1e999, ",
            RemarkKind::Changed,
            2,
            "lists of categories that are none, left out: 1",
        ),
    ] {
        changed_coco(case);
    }
}

#[test]
fn what_is_no_coco_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instances.json");
    for (from, to, expected) in [
        ("\"images\"", "\"pictures\"", "no COCO instances file: missing field `images`"),
        ("\"annotations\"", "\"remarks\"", "missing field `annotations`"),
        (COCO, "[{\"image_id\": 1}]", "a list, as results are"),
        (COCO, "{\"images\": [], \"annotations\": []}", "there is no picture to measure"),
        ("}]}", "", "no COCO instances file"),
        (COCO, &"[".repeat(100_000), "no COCO instances file"),
        (COCO, &format!("{{\"images\": {}", "[".repeat(100_000)), "no COCO instances file"),
    ] {
        fs::write(&path, COCO.replace(from, to)).unwrap();
        let error = open(&path, &[]).unwrap_err();
        assert!(error.contains(expected) && error.contains("instances.json"), "{error}");
    }
}

const VOC: &str = "<?xml version=\"1.0\"?>\n<annotation><folder>x</folder><filename>one.jpg</filename>
    <size><width>60</width><height>40</height><depth>3</depth></size>
    <object><name>n02123159</name><bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>25</ymax></bndbox></object>
    </annotation>";

#[test]
fn voc_pixels_count_from_one_and_wordnet_ids_are_names() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(folder.path().join("one.xml"), text).unwrap();
    write(VOC);
    let truth = open(folder.path(), &["deep/one.JPEG"]).unwrap();
    assert_eq!(truth.format, TruthFormat::Voc);
    let [row] = &truth.rows[..] else { panic!("{:?}", truth.rows) };
    assert_eq!((row.image.as_str(), row.class), ("deep/one.JPEG", Some(282)));
    assert_eq!(boxes(row), [[10.0, 5.0, 30.0, 25.0]]);
}

#[test]
fn a_fault_in_voc_costs_itself_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.xml"), VOC.replace("one.jpg", "good.png")).unwrap();
    let object = &VOC[VOC.find("<object>").unwrap()..VOC.find("</object>").unwrap() + 9];
    let twice = format!("{object}{object}");
    let bad = |from: &str, to: &str| VOC.replace(object, &twice).replacen(from, to, 1);
    let nested = format!("<annotation>{}", "<a>".repeat(20_000));
    let wide = format!("<annotation {}/>", (0..200_000).map(|i| format!("a{i}=\"\" ")).collect::<Vec<_>>().concat());
    for (text, kind, kept, expected) in [
        (
            bad("<xmax>30</xmax>", ""),
            RemarkKind::Changed,
            1,
            "not four numbers, left out: 1 (object 1 (n02123159) of one.xml)",
        ),
        (bad("<xmax>30", "<xmax>thirty"), RemarkKind::Changed, 1, "not four numbers"),
        (bad("<bndbox>", "<box>").replacen("</bndbox>", "</box>", 1), RemarkKind::Changed, 1, "not four numbers"),
        (
            bad("<xmax>30", "<xmax>5"),
            RemarkKind::Changed,
            1,
            "cover nothing of their picture, left out: 1 (object 1 (n02123159), of one.jpg)",
        ),
        (bad("<xmax>30", "<xmax>600"), RemarkKind::Changed, 2, "reach beyond their picture, cut at its edge: 1"),
        (bad("<xmin>11", "<xmin>-3"), RemarkKind::Changed, 2, "reach beyond"),
        (bad("<width>60</width>", "<width>0</width>"), RemarkKind::Assumed, 2, "taken from the picture: 1 (one.xml)"),
        (bad("<width>60</width>", ""), RemarkKind::Assumed, 2, "taken from the picture: 1 (one.xml)"),
        (bad("<width>60", "<width>wide"), RemarkKind::Assumed, 2, "taken from the picture: 1 (one.xml)"),
        (
            bad("annotation>", "note>").replace("</annotation", "</note"),
            RemarkKind::Lost,
            0,
            "one.xml: no VOC annotation: it begins with <note>",
        ),
        (bad("</size>", ""), RemarkKind::Lost, 0, "one.xml: broken XML in line"),
        (VOC[..VOC.find("</annotation>").unwrap()].to_owned(), RemarkKind::Lost, 0, "one.xml: truncated XML"),
        (bad("n02123159", "&cat;"), RemarkKind::Lost, 0, "one.xml: the XML entity &cat; is not known"),
        (String::new(), RemarkKind::Lost, 0, "one.xml: no VOC annotation: no XML element"),
        (nested, RemarkKind::Lost, 0, "one.xml: truncated XML"),
        (wide, RemarkKind::Assumed, 0, "without an object in the truth, left out: 1 (one.jpg)"),
        (
            "<annotation><size><width>6</width><height>4</height></size></annotation>".to_owned(),
            RemarkKind::Assumed,
            0,
            "without an object",
        ),
    ] {
        fs::write(folder.path().join("one.xml"), &text).unwrap();
        let begun = std::time::Instant::now();
        let truth = open(folder.path(), &["one.jpg", "good.png"]).unwrap();
        assert!(begun.elapsed().as_secs() < 10, "{expected}");
        let said = truth.remarks.to_string();
        let found = truth.remarks.iter().find(|remark| remark.to_string().contains(expected));
        assert_eq!(found.map(|remark| remark.kind), Some(kind), "{expected}: {said}");
        let of = |image: &str| truth.rows.iter().find(|row| row.image == image).map_or(0, |row| boxes(row).len());
        assert_eq!((of("good.png"), of("one.jpg")), (1, kept), "{expected}: {said}");
    }
    fs::write(folder.path().join("one.xml"), VOC).unwrap();
    let lost = |pictures: &[&str]| open(folder.path(), pictures).unwrap().remarks.to_string();
    assert!(
        lost(&["good.jpg"]).contains("whose picture is not there, left out: 1 (one.xml: no picture is called one)")
    );
    assert!(lost(&["good.jpg", "a/one.png", "b/one.png"]).contains("one.xml: several pictures are called one"));
    fs::write(folder.path().join("good.xml"), VOC).unwrap();
    assert!(lost(&["one.jpg"]).contains("has one already, left out: 1 (one.xml, of one.jpg)"));
    assert!(
        open(folder.path(), &[])
            .unwrap_err()
            .contains("there is no picture to measure; parts of the truth whose picture")
    );
    for name in ["._one.xml", ".ipynb_checkpoints/one-checkpoint.xml", "__MACOSX/._one.xml"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, [0, 5, 22, 7]).unwrap();
    }
    assert_eq!(open(folder.path(), &["one.jpg"]).unwrap().remarks.lost(), 1, "hidden files are no truth");
}

#[test]
fn voc_is_read_as_its_tools_write_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = VOC
        .replace(
            "<name>n02123159</name>",
            "<name>tiger&#32;cat</name><part><name>dog</name><bndbox><xmin>1</xmin></bndbox></part>",
        )
        .replace("<xmin>11", "<xmin><![CDATA[ 11.5 ]]>")
        .replace("<filename>one.jpg</filename>", "<filename>b &amp; c.jpg</filename>");
    fs::write(folder.path().join("x.xml"), text).unwrap();
    let truth = open(folder.path(), &["x.jpg", "b & c.jpg"]).unwrap();
    assert_eq!((truth.rows[0].image.as_str(), truth.rows[0].class), ("b & c.jpg", Some(282)));
    assert_eq!(boxes(&truth.rows[0]), [[10.5, 5.0, 30.0, 25.0]]);
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(VOC.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    fs::write(folder.path().join("x.xml"), utf16).unwrap();
    assert_eq!(open(folder.path(), &["x.jpg"]).unwrap().rows.len(), 1);
}

#[test]
fn folders_of_classes_give_the_class_alone() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"picture").unwrap();
    };
    let names = ["val/tiger_cat/1.png", "val/n01440764/2.png", "val/tiger_cat/deep/3.png"];
    for name in names {
        write(name);
    }
    write("val/.ipynb_checkpoints/1.png");
    let truth = open(folder.path(), &names).unwrap();
    assert_eq!(truth.format, TruthFormat::Folders, "all are .png, but the folders are classes");
    let rows: Vec<_> = truth.rows.iter().map(|row| (row.image.as_str(), row.class, row.has_object())).collect();
    let [cat, tench, deep] = names;
    assert_eq!(rows, [(tench, Some(0), false), (cat, Some(282), false), (deep, Some(282), false)]);
    assert_eq!(truth.remarks, Remarks::default());
    write("val/dragon/4.jpg");
    write("5.jpg");
    let truth = open(folder.path(), &[cat, "val/dragon/4.jpg", "5.jpg"]).unwrap();
    let said = truth.remarks.to_string();
    assert!(said.contains("no class of the network's, left out, of folder: 2 (.; val/dragon)"), "{said}");
    assert!(
        said.contains("whose picture is not there, left out: 2 (val/n01440764/2.png: no picture is called 2"),
        "{said}"
    );
    assert_eq!(truth.rows.len(), 1);

    let among =
        |classes: &ClassNames| Truth::open_among(folder.path().join("val"), classes, &["dragon/4.jpg".to_owned()]);
    assert_eq!(among(&ClassNames::new(["cat", "dragon"])).unwrap().rows[0].class, Some(1));
    assert!(among(&ClassNames::unnamed(2)).unwrap_err().to_string().contains("no class of the network's"));
    fs::write(folder.path().join("val/dragon/4.xml"), VOC).unwrap();
    assert_eq!(among(&ClassNames::default()).unwrap().format, TruthFormat::Voc, "as labelImg leaves them");
}

#[test]
fn what_is_no_truth_is_said() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        open(folder.path(), &[])
            .unwrap_err()
            .contains("without Pascal VOC files (.xml), masks (.png), or a folder of pictures for each class")
    );
    fs::write(folder.path().join("a.xml"), VOC).unwrap();
    assert!(open(&folder.path().join("a.xml"), &[]).unwrap_err().contains("name the folder"));
    fs::write(folder.path().join("a.png"), b"").unwrap();
    assert!(open(folder.path(), &[]).unwrap_err().contains("both .xml and .png"));
    assert!(open(&folder.path().join("gone"), &[]).unwrap_err().contains("gone"));
}

#[test]
fn names_are_compared_loosely_and_shared_ones_stand_for_none() {
    let names = ClassNames::new(["Tench", "great white shark", "crane", "crane"]);
    assert_eq!(names.find("tench"), Some(0));
    assert_eq!(names.find(" Great_White_Shark "), Some(1));
    assert_eq!((names.find("crane"), names.find("cat")), (None, None));
    assert_eq!(ClassNames::imagenet().find("n15075141"), Some(999));
    let numbers = ["2", "7", " crane", "n01440764"].map(|text| names.find_or_number(text));
    assert_eq!(numbers, [Some(2), None, None, None]);
}
