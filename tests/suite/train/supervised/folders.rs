//! Folders and archives of classes, as people have them.

use super::*;

#[test]
fn folders_that_are_no_classes_are_left_out_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let classes = folder.path().join("classes");
    make_classes(&classes);
    for (name, bytes) in [
        (".ipynb_checkpoints/0-checkpoint.png", "no picture"),
        ("__MACOSX/red/._0.png", "no picture"),
        ("red/._0.png", "no picture"),
        ("red/@eaDir/0.png", "no picture"),
        ("red/notes.txt", "text"),
        ("blue/1.heic", "unread"),
    ] {
        fs::create_dir_all(classes.join(name).parent().unwrap()).unwrap();
        fs::write(classes.join(name), bytes).unwrap();
    }
    let options = options(&classes);
    assert_eq!(class_names(&options).unwrap(), ["blue", "green", "red"]);
    let (mut trained, _) = network(&options, plain(), Start::Bundled);
    let options = SupervisedOptions { train: TrainPart::Head, epochs: 1, augment: false, ..options };
    let (_, log) = run(&mut trained, &options);
    assert_eq!(log.skipped, Vec::<String>::new());
    let noted = log.noted.join("\n");
    for part in
        ["left out: 1 picture of a format that is not read (1 heic)", "1 other file (1 txt)", "hidden or of the system"]
    {
        assert!(noted.contains(part), "{noted}");
    }

    let refused = |options: &SupervisedOptions| class_names(options).unwrap_err().to_string();
    fs::create_dir(classes.join("bird")).unwrap();
    let error = refused(&options);
    assert!(error.contains("no picture that can be read in the folder bird: each folder is a class"), "{error}");
    fs::create_dir(classes.join("frog")).unwrap();
    fs::write(classes.join("frog/1.heic"), "unread").unwrap();
    assert!(refused(&options).contains("in the folders bird, frog"), "{}", refused(&options));
    let archive = folder.path().join("set.tar");
    let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
    tar.append_dir_all(".", &classes).unwrap();
    tar.finish().unwrap();
    assert!(refused(&SupervisedOptions { images: archive, ..options.clone() }).contains("in the folders bird, frog"));
    let only = |name: &str| {
        let root = folder.path().join(format!("only-{name}"));
        fs::create_dir_all(root.join("cat/deeper")).unwrap();
        fs::copy(classes.join("red/1.png"), root.join(name)).unwrap();
        refused(&SupervisedOptions { images: root, ..options.clone() })
    };
    assert!(only("cat/1.png").contains("at least two; found 1 class (cat)"), "{}", only("cat/1.png"));
    assert!(only("1.png").contains("found 0 classes"), "{}", only("1.png"));

    // A class whose pictures cannot be read, or are all held out, is named.
    fs::remove_dir_all(classes.join("bird")).unwrap();
    fs::remove_file(classes.join("frog/1.heic")).unwrap();
    fs::write(classes.join("frog/1.png"), "no picture").unwrap();
    for picture in fs::read_dir(classes.join("green")).unwrap() {
        fs::write(picture.unwrap().path(), "no picture").unwrap();
    }
    let held_out = SupervisedOptions { validation: Some(classes.join("red")), ..options.clone() };
    assert!(refused(&held_out).contains("lies in no class's folder"), "{}", refused(&held_out));
    let (mut trained, _) = network(&options, plain(), Start::Bundled);
    let (_, log) = run(&mut trained, &options);
    let noted = log.noted.join("\n");
    assert!(noted.contains("not one picture could be read, to train on, of ") && noted.contains("green"), "{noted}");
    assert!(noted.contains("of 1 class: frog"), "{noted}");
    assert_eq!(log.skipped.len(), 11, "each is told once: {:?}", log.skipped);
}

#[test]
fn wrong_folders_and_options_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let classes = folder.path().join("classes");
    make_classes(&classes);
    let options = options(&classes);
    let (mut network, _) = network(&options, plain(), Start::Bundled);
    let mut fails = |options: SupervisedOptions, run: RunOptions| {
        supervised(&mut network, &options, &run, &mut Log::default()).unwrap_err().to_string()
    };
    let none = RunOptions::default;
    let error = fails(SupervisedOptions { images: classes.join("red"), ..options.clone() }, none());
    assert!(error.contains("at least two"), "{error}");
    let error = fails(SupervisedOptions { label_smoothing: 1.0, ..options.clone() }, none());
    assert!(error.starts_with("label-smoothing"), "{error}");
    let error = fails(SupervisedOptions { epochs: 0, ..options.clone() }, none());
    assert!(error.starts_with("epochs"), "{error}");
    let error = fails(SupervisedOptions { train: TrainPart::Attention, ..options.clone() }, none());
    assert!(error.contains("requires a gradient"), "{error}");
    let error = fails(options.clone(), none().with_precision("f16".parse().unwrap()));
    assert!(error.contains("CUDA"), "{error}");
    let error = fails(options.clone(), none().with_watch(vec![classes.join("gone.png")], 1));
    assert!(error.contains("gone.png"), "{error}");
    let error = fails(SupervisedOptions { learning_rate: 1e30, clip: 1e30, ..options.clone() }, none());
    assert!(error.contains("learning rate"), "{error}");
    fs::create_dir(classes.join("violet")).unwrap();
    fs::copy(classes.join("red/1.png"), classes.join("violet/1.png")).unwrap();
    let error = fails(options.clone(), none());
    assert!(error.contains("classes of the network"), "{error}");
    fs::copy(classes.join("red/1.png"), classes.join("1.png")).unwrap();
    let error = fails(options.clone(), none());
    assert!(error.contains("1.png lies in no class"), "{error}");
    assert!("some".parse::<TrainPart>().unwrap_err().to_string().contains("head+attention"));

    let report = loader_speed(
        &network,
        &SupervisedOptions { images: folder.path().join("classes/red/.."), ..options },
        &mut Log::default(),
    );
    assert!(report.is_err(), "the stray picture is still there");
}

#[test]
fn the_loader_alone_tells_what_it_could_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let classes = folder.path().join("classes");
    make_classes(&classes);
    let options = SupervisedOptions { validation: Some(classes.clone()), ..options(&classes) };
    let (network, _) = network(&options, plain(), Start::Bundled);
    let all = loader_speed(&network, &options, &mut Log::default()).unwrap().pictures;
    fs::write(classes.join("red/1.png"), "no picture").unwrap();
    fs::write(classes.join("red/notes.txt"), "text").unwrap();
    let mut log = Log::default();
    assert_eq!(loader_speed(&network, &options, &mut log).unwrap().pictures, all - 1);
    assert_eq!((log.skipped.len(), log.noted.len()), (1, 1), "{:?} {:?}", log.skipped, log.noted);
    for entry in walkdir::WalkDir::new(&classes).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
        fs::write(entry.path(), "no picture").unwrap();
    }
    let error = loader_speed(&network, &options, &mut Log::default()).unwrap_err().to_string();
    assert!(error.contains("not one picture could be read"), "{error}");
}

#[test]
fn an_archive_is_read_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let classes = folder.path().join("classes");
    make_classes(&classes);
    let path = folder.path().join("set.tar");
    let mut tar = tar::Builder::new(fs::File::create(&path).unwrap());
    tar.append_dir_all(".", &classes).unwrap();
    tar.finish().unwrap();
    let whole = fs::read(&path).unwrap();
    let options = SupervisedOptions { validation: Some(classes.clone()), ..options(&path) };
    // The last header is none.
    let last = whole.windows(5).rposition(|part| part == b"ustar").unwrap() - 257;
    let mut broken = whole;
    broken[last..last + 100].fill(b'x');
    fs::write(&path, &broken).unwrap();
    let (network, _) = network(&options, plain(), Start::Bundled);
    let mut log = Log::default();
    loader_speed(&network, &options, &mut log).unwrap();
    assert!(log.skipped.iter().any(|said| said.contains("set.tar: broken, read up to there")), "{:?}", log.skipped);
    fs::write(&path, b"PK\x03\x04").unwrap();
    let error = class_names(&options).unwrap_err().to_string();
    assert!(error.contains("set.tar: no folder and no tar archive: unpack it"), "{error}");
}
