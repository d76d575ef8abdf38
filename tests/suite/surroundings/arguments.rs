//! Arguments that would control a terminal, or change nothing.

use super::Place;

#[test]
fn a_tip_repeats_no_argument_raw() {
    let place = Place::new();
    for program in ["cbam-run", "cbam-eval", "cbam-weights", "cbam-train", "cbam-view"] {
        for raw in ["--a\\u202eb", "--overlay\\u009bx", "--im\\x1bages"] {
            let (code, said) = place.run(&format!("{program} $'{raw}'"));
            assert_eq!(code, Some(2), "{said}");
            assert!(!said.contains(['\u{202e}', '\u{9b}', '\u{1b}']), "{program} {raw}: {said:?}");
            assert!(said.contains("unexpected argument"), "{said}");
        }
    }
    // What needs no escape has its tip.
    place.ends("cbam-run --overlai", 2, &["a similar argument exists", "--overlay"]);
}

#[test]
fn the_loader_alone_has_no_use_for_what_learns() {
    let place = Place::new();
    let loader = "cbam-train supervised --images photos --loader-only";
    for option in [
        "--out t.safetensors",
        "--attention cbam+patch",
        "--resume c",
        "--checkpoint c",
        "--checkpoint-every 2",
        "--log-dir l",
        "--precision f32",
        "--mixup 0.2",
        "--train all",
        "--epochs 2",
    ] {
        let name = option.split(' ').next().unwrap();
        place.ends(&format!("{loader} {option}"), 2, &[name, "has no effect here: with --loader-only"]);
    }
}
