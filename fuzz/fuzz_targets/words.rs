//! What people write on a command line: what is understood prints as what is understood the same way.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use cbam_core::attention::PoolOrder;
use cbam_core::backbone::{Arch, StrideIn};
use cbam_core::classes::{ClassChoice, Outputs, imagenet_classes};
use cbam_core::eval::ClassNames;
use cbam_core::maps::{MapName, Method, Resample, Scale};
use cbam_core::render::{Colormap, Opacity, PictureFormat};
use cbam_core::text::{decode_text, is_hidden, printable};
use libfuzzer_sys::fuzz_target;

fn again<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse().ok().as_ref(), Some(&value), "{text:?}");
    }
}

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| {
    let Ok(text) = decode_text(data) else { return };
    let shown = printable(&text);
    assert!(!shown.contains(is_hidden));
    assert_eq!(printable(&shown), shown);
    again::<MapName>(&text);
    again::<Method>(&text);
    again::<Arch>(&text);
    again::<Colormap>(&text);
    again::<Opacity>(&text);
    again::<PictureFormat>(&text);
    again::<PoolOrder>(&text);
    again::<Resample>(&text);
    again::<Scale>(&text);
    again::<StrideIn>(&text);
    again::<Outputs>(&text);
    let Ok(choice) = text.parse::<ClassChoice>();
    let labels: Vec<String> = imagenet_classes().iter().step_by(16).map(ToString::to_string).collect();
    if let Ok(class) = choice.resolve(labels.len(), &labels) {
        assert!(class < labels.len());
    }
    // Many labels of the input itself.
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Ok(class) = choice.resolve(lines.len(), &lines) {
        assert!(class < lines.len());
    }
    let names = ClassNames::new(&lines);
    for line in &lines {
        assert!(names.find_or_number(line).is_none_or(|class| class < lines.len()));
    }
});
