//! What torch.save writes since PyTorch 1.6, and what training scripts put into it.

use super::*;
use cbam::weights::{Format, ReadOptions};

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(checkpoint(name)).unwrap()
}

fn expected(name: &str) -> Tensors {
    Checkpoint::open(checkpoint(name)).unwrap().tensors
}

#[test]
fn every_element_type_and_every_view_is_read() {
    let found = open("kinds.pt");
    assert_eq!(found.format(), Some(Format::PyTorch));
    assert_eq!(found.tensors.len(), 22);
    assert_same(&found.tensors, &expected("kinds.safetensors"));
    assert_eq!(found.wrapping(), &cbam::weights::Wrapping::default());
    assert_eq!(found.tensors["tied"].bytes().as_ptr(), found.tensors["whole"].bytes().as_ptr());
}

#[test]
fn a_training_scripts_dictionary_is_read_in_every_protocol_of_both_formats() {
    for protocol in [2, 4, 5] {
        for (name, format) in [("pth", Format::PyTorch), ("pth.tar", Format::LegacyPyTorch)] {
            let found = open(&format!("training-{protocol}.{name}"));
            assert_eq!(found.format(), Some(format));
            assert_same(&found.tensors, &expected("weights.safetensors"));
            let wrapping = found.wrapping();
            assert_eq!(wrapping.part.as_deref(), Some("state_dict"));
            assert_eq!(wrapping.prefixes, ["module."]);
            let beside = |name: &str| {
                let entry = wrapping.beside.iter().find(|entry| entry.0 == name);
                entry.map_or_else(|| panic!("no {name} in {:?}", wrapping.beside), |entry| entry.1.as_str())
            };
            assert_eq!((beside("epoch"), beside("arch"), beside("best_prec1")), ("90", "\"resnet50\"", "70.5"));
            assert_eq!((beside("args"), beside("optimizer")), ("Namespace", "a dictionary of 2"));
        }
    }
}

#[test]
fn the_weights_are_found_under_every_usual_name() {
    let weights = expected("weights.safetensors");
    for (name, part, prefixes) in [
        ("model_state_dict.pt", Some("model_state_dict"), ["_orig_mod."].as_slice()),
        ("model.pt", Some("model"), &["module.", "_orig_mod."]),
        ("net.pt", Some("net"), &[]),
        ("ema.pt", Some("ema.module"), &["module."]),
        ("lightning.ckpt", Some("state_dict"), &["model."]),
        ("mixed.pt", None, &["module."]),
        ("buffer.pt", None, &[]),
        ("no-checksums.pt", None, &[]),
        ("rezipped.pt", None, &[]),
    ] {
        let found = open(name);
        assert_same(&found.tensors, &weights);
        assert_eq!(found.wrapping().part.as_deref(), part, "{name}");
        assert_eq!(found.wrapping().prefixes, prefixes, "{name}");
    }
    assert!(open("mixed.pt").wrapping().beside.contains(&("epoch".to_owned(), "3".to_owned())));
    // The counter stands beside what the prefix is before.
    let averaged = open("averaged.pt");
    assert_eq!(averaged.wrapping().prefixes, ["module."]);
    assert!(averaged.tensors.contains_key("n_averaged") && averaged.tensors.contains_key("0.weight"));
}

#[test]
fn another_part_can_be_asked_for() {
    let weights = expected("weights.safetensors");
    let part =
        |file: &str, part: &str| Checkpoint::open_with(checkpoint(file), &ReadOptions::default().with_part(part));
    for (file, name, found) in [
        ("model.pt", "ema", "ema.module"),
        ("model.pt", "ema.module", "ema.module"),
        ("named.pt", "generator", "generator"),
    ] {
        let read = part(file, name).unwrap();
        assert_same(&read.tensors, &weights);
        assert_eq!(read.wrapping().part.as_deref(), Some(found));
    }
    for (file, name, message) in [
        ("model.pt", "ema.epoch", "has no \"epoch\"; its entries are \"module\""),
        ("model.pt", "epoch", "\"epoch\" is an integer, not a dictionary"),
        ("weights.safetensors", "ema", "has no part \"ema\""),
    ] {
        let error = part(file, name).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let kept = Checkpoint::open_with(checkpoint("model.pt"), &ReadOptions::default().with_prefixes_kept()).unwrap();
    assert!(kept.tensors.keys().all(|name| name.starts_with("module._orig_mod.")));
}

#[test]
fn objects_of_unknown_classes_beside_the_weights_are_passed_over_and_named() {
    for name in ["unknown-2.pt", "unknown-2.pth.tar", "unknown-4.pt", "unknown-4.pth.tar"] {
        let found = open(name);
        assert_same(&found.tensors, &expected("weights.safetensors"));
        let wrapping = found.wrapping();
        let unknown = |class: &str| wrapping.unknown.iter().any(|found| found == class);
        for class in ["Config", "Kind", "Flags", "Slotted", "Attributes", "History", "Keyword"] {
            assert!(unknown(&format!("__main__.{class}")), "{name}: {class} is not in {:?}", wrapping.unknown);
        }
        assert!(unknown("torch.optim.lr_scheduler.PolynomialLR") && unknown("functools.partial"), "{name}");
        let beside = |name: &str| {
            let entry = wrapping.beside.iter().find(|entry| entry.0 == name);
            entry.map_or_else(|| panic!("no {name} in {:?}", wrapping.beside), |entry| entry.1.as_str())
        };
        assert_eq!(
            (beside("config"), beside("member")),
            ("an object of __main__.Config", "an object of __main__.Kind")
        );
        assert_eq!(beside("class"), "the class or function __main__.Config");
        assert!(
            wrapping.to_string().contains("objects beside the weights passed over, of __main__.Config"),
            "{wrapping}"
        );
    }
    assert!(open("training-4.pth").wrapping().unknown.is_empty(), "what training scripts usually keep is known");
}

#[test]
fn a_whole_model_where_the_weights_should_be_is_refused_with_advice() {
    for (name, what) in [
        ("module", "the file"),
        ("whole", "\"model\""),
        ("whole-legacy", "\"model\""),
        ("whole-named", "\"best_network\""),
        ("inside", "\"2.weight\""),
    ] {
        let message = Checkpoint::open(checkpoint(&format!("refused-{name}.pt"))).unwrap_err().to_string();
        assert!(message.contains(&format!("{what} is an object of it")), "{name}: {message}");
        assert!(message.contains("refused: the global") && message.contains("state_dict()"), "{name}: {message}");
    }
    let message = Checkpoint::open(checkpoint("whole-and-average.pt")).unwrap_err().to_string();
    assert!(message.contains("\"ema\" can be read, as `part`"), "{message}");
    let options = ReadOptions::default().with_part("ema");
    let average = Checkpoint::open_with(checkpoint("whole-and-average.pt"), &options).unwrap();
    assert_same(&average.tensors, &expected("weights.safetensors"));
    let options = ReadOptions::default().with_part("model");
    let message = Checkpoint::open_with(checkpoint("whole-and-average.pt"), &options).unwrap_err().to_string();
    assert!(message.contains("\"model\" is an object of it"), "{message}");
}

#[test]
fn several_networks_are_told_apart_by_the_part() {
    for (file, names) in [("students.pt", ["student", "teacher"]), ("deep.pt", ["nets.student", "nets.teacher"])] {
        let message = Checkpoint::open(checkpoint(file)).unwrap_err().to_string();
        assert!(message.contains("as `part`"), "{message}");
        for name in names {
            assert!(message.contains(&format!("\"{name}\"")), "{message}");
            let read = Checkpoint::open_with(checkpoint(file), &ReadOptions::default().with_part(name)).unwrap();
            assert_same(&read.tensors, &expected("weights.safetensors"));
        }
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    for (name, named) in [
        ("quantised", "x: a quantised tensor"),
        ("sparse", "x: a sparse tensor"),
        ("csr", "x: a sparse tensor"),
        ("meta", "x: a tensor of the meta device"),
        ("complex", "x: a tensor of a torch.ComplexFloatStorage"),
        ("float8", "x: elements of type torch.float8_e4m3fn"),
        ("negative", "x: a tensor with the bit \"neg\""),
        ("module", "refused: the global \"torch.nn.modules.linear.Linear\""),
        ("list", "a list, not a dictionary"),
        ("empty", "without tensors; its entries are \"epoch\", \"optimizer\""),
        ("system-2", "refused: the global \"posix.system\""),
        ("system-4", "refused: the global \"posix.system\""),
        ("pickle", "a pickle, but not one that torch.save wrote"),
        ("script", "a TorchScript program"),
        ("numpy", "a NumPy archive"),
        ("deflated", "is compressed (deflate)"),
    ] {
        let message = refusal(&std::fs::read(checkpoint(&format!("refused-{name}.pt"))).unwrap());
        assert!(message.contains(named), "{named}: {message}");
    }
    let message = Checkpoint::open(checkpoint("named.pt")).unwrap_err().to_string();
    assert!(message.contains("choose one of \"generator\", \"discriminator\""), "{message}");
    assert!(!Path::new("harm-was-done").exists());
}
