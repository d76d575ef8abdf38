//! PNGs as pictures, and as masks of truth.
#![no_main]

use cbam_core::eval::{Object, Remarks, TruthRow};
use cbam_core::photo::{ImageSize, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| {
    cbam_fuzz::picture("picture.png", data);
    let photo = decode("picture.png".as_ref(), data, &cbam_fuzz::LIMITS);
    // A mask has larger limits: only what is small here may be one.
    let Ok(size) = photo.map(|photo| photo.size()) else { return };
    let object = Object::Mask(cbam_fuzz::file("mask.png", data));
    let row = TruthRow { image: "picture.png".to_owned(), class: None, size: Some(size), small: false, object };
    let mut remarks = Remarks::default();
    if let Ok(region) = row.region(size, &mut remarks) {
        assert_eq!(region.inside.dim(), (size.height as usize, size.width as usize));
        assert!(region.share() > 0.0 && region.share() <= 1.0 && !region.boxes.is_empty());
        let void = region.void.iter().flatten().zip(&region.inside);
        assert!(void.into_iter().all(|(void, inside)| !(*void && *inside)));
        assert!(region.boxes.iter().all(|own| own.cut(size) == *own && own.area() >= 1.0));
    }
    assert!(row.region(ImageSize::new(size.width + 1, size.height), &mut remarks).is_err());
});
