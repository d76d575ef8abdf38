//! `cbam-train supervised`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cbam::backbone::Arch;
use cbam::network::{Network, NetworkConfig, Outputs};
use cbam::photo::Preprocess;
use cbam::train::{
    LoaderReport, OptimizerKind, Start, SupervisedOptions, SupervisedReport, TrainPart, class_names, loader_speed,
    supervised, supervised_network,
};
use cbam_core::Error;
use clap::{Args, ValueEnum};

use crate::args::{Cli, number, whole};
use crate::backbone::Backbone;
use crate::progress::{Progress, top1};
use crate::run::Run;
use cbam_cli::common::given::Given;
use cbam_cli::common::values::listed;
use cbam_cli::common::{failed, print};

#[derive(Debug, Args)]
pub(crate) struct Supervised {
    #[command(flatten)]
    given: Given,
    /// A folder, or a tar archive, with a folder of pictures for each class
    #[arg(long, value_name = "DIR|TAR")]
    images: PathBuf,
    /// The same of held-out pictures, to measure the accuracy on [default: some of --images]
    #[arg(long, value_name = "DIR|TAR")]
    validation: Option<PathBuf>,
    /// Hold out one picture in about so many, chosen by its name alone
    #[arg(long, value_parser = whole::<u64>, default_value_t = SupervisedOptions::default().hold_out, value_name = "N", conflicts_with = "validation")]
    hold_out: u64,
    /// At most so many training pictures of each class, chosen by the seed
    #[arg(long, value_parser = whole::<usize>, value_name = "N")]
    limit: Option<usize>,

    /// The network; with --from-scratch, or to be checked [default: that of --backbone, or the bundled EfficientNet-Lite0]
    #[arg(long, value_name = "ARCH", value_parser = listed::<Arch>(Arch::ALL), hide_possible_values = true, help_heading = "The network")]
    arch: Option<Arch>,
    #[command(flatten)]
    backbone: Backbone,
    /// Start with fresh weights, and train all of them
    #[arg(long, help_heading = "The network", conflicts_with = "weights")]
    from_scratch: bool,
    /// The attention
    #[arg(long, value_enum, default_value_t = Attention::Cbam, help_heading = "The network")]
    attention: Attention,
    /// all, attention, head or head+attention [default: head+attention, head without attention, all from scratch]
    #[arg(long, value_name = "PART", value_parser = listed::<TrainPart>(["all", "attention", "head", "head+attention"]), hide_possible_values = true, help_heading = "The network")]
    train: Option<TrainPart>,
    /// The short side of the pictures that the network sees, in pixels [default: the network's own]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=i64::from(Preprocess::MAX_SHORT_SIDE)), help_heading = "The network")]
    size: Option<u32>,

    /// How often every picture is seen
    #[arg(long, value_parser = whole::<usize>, default_value_t = SupervisedOptions::default().epochs, value_name = "N", help_heading = "Learning")]
    epochs: usize,
    /// Pictures a step
    #[arg(long, value_parser = whole::<usize>, default_value_t = SupervisedOptions::default().batch, value_name = "N", help_heading = "Learning")]
    batch: usize,
    /// adamw or sgd
    #[arg(long, default_value_t, value_name = "NAME", value_parser = listed::<OptimizerKind>(["adamw", "sgd"]), hide_possible_values = true, help_heading = "Learning")]
    optimizer: OptimizerKind,
    /// The highest learning rate
    #[arg(long, value_parser = number, default_value_t = SupervisedOptions::default().learning_rate, value_name = "RATE", help_heading = "Learning")]
    learning_rate: f64,
    /// The weight decay of matrices
    #[arg(long, value_parser = number, default_value_t = SupervisedOptions::default().weight_decay, value_name = "DECAY", help_heading = "Learning")]
    weight_decay: f64,
    /// The share of all steps in which the learning rate rises; a cosine falls to zero after that
    #[arg(long, value_parser = number, default_value_t = SupervisedOptions::default().warm_up, value_name = "SHARE", help_heading = "Learning")]
    warm_up: f64,
    /// The most that the gradients' norm may be
    #[arg(long, value_parser = number, default_value_t = SupervisedOptions::default().clip, value_name = "NORM", help_heading = "Learning")]
    clip: f64,
    /// How much of a class's certainty is spread over all classes
    #[arg(long, value_parser = number, default_value_t = SupervisedOptions::default().label_smoothing, value_name = "SHARE", help_heading = "Learning")]
    label_smoothing: f64,
    /// Mix pictures in pairs: the alpha of mixup; 0 mixes none
    #[arg(long, value_parser = number, default_value_t = SupervisedOptions::default().mixup, value_name = "ALPHA", help_heading = "Learning")]
    mixup: f64,
    /// Keep a moving average of the weights with this decay, 0.999 say, and measure and save that
    #[arg(long, value_parser = number, value_name = "DECAY", help_heading = "Learning")]
    ema: Option<f64>,
    /// Show every picture by its middle, not by random parts in random colours; with a frozen backbone its features are then worked out once
    #[arg(long, help_heading = "Learning")]
    no_augment: bool,
    /// The least share of a picture's area that a random part has
    #[arg(long, value_parser = number, default_value_t = SupervisedOptions::default().min_area, value_name = "SHARE", conflicts_with = "no_augment", help_heading = "Learning")]
    min_area: f64,
    /// Only read and prepare the pictures of one epoch, and tell how fast that is
    #[arg(long, help_heading = "Learning")]
    loader_only: bool,

    #[command(flatten)]
    pub(crate) run: Run,
}

/// Which attention the network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Attention {
    /// The plain backbone.
    None,
    /// CBAM after stages 5 and 7.
    Cbam,
    /// CBAM, and self-attention among the patches of stage 5, as in the bundled network.
    #[value(name = "cbam+patch")]
    CbamPatch,
}

/// What changes nothing where pictures are only read.
const LEARNING: [&str; 19] = [
    "attention",
    "train",
    "epochs",
    "optimizer",
    "learning_rate",
    "weight_decay",
    "warm_up",
    "clip",
    "label_smoothing",
    "mixup",
    "ema",
    "resume",
    "checkpoint",
    "checkpoint_every",
    "log_dir",
    "watch",
    "watch_every",
    "precision",
    "out",
];

impl Supervised {
    fn options(&self) -> SupervisedOptions {
        SupervisedOptions {
            images: self.images.clone(),
            validation: self.validation.clone(),
            hold_out: self.hold_out,
            limit: self.limit,
            train: self.train_part(),
            epochs: self.epochs,
            batch: self.batch,
            optimizer: self.optimizer,
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            warm_up: self.warm_up,
            label_smoothing: self.label_smoothing,
            mixup: self.mixup,
            ema: self.ema,
            clip: self.clip,
            augment: !self.no_augment,
            min_area: self.min_area,
            seed: self.run.seed,
        }
    }

    /// What the training reads, by its option.
    fn reads(&self) -> Vec<(&'static str, &Path)> {
        let given = [("--validation", &self.validation), ("--backbone", &self.backbone.weights)];
        let given = given.into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?)));
        std::iter::once(("--images", self.images.as_path())).chain(given).collect()
    }

    fn train_part(&self) -> TrainPart {
        self.train.unwrap_or(match self.attention {
            _ if self.from_scratch => TrainPart::All,
            Attention::None => TrainPart::Head,
            _ => TrainPart::HeadAndAttention,
        })
    }

    fn network(&self, labels: Vec<String>, device: tch::Device) -> Result<Network> {
        let backbone = self.backbone.open(device)?;
        let start = match &backbone {
            _ if self.from_scratch => Start::Scratch,
            Some(backbone) => Start::Network(backbone),
            None => Start::Bundled,
        };
        let mut config = self.base(backbone.as_ref())?;
        config.attention = match self.attention {
            Attention::None => Vec::new(),
            _ => NetworkConfig::attentive(config.arch).attention,
        };
        if self.attention == Attention::Cbam {
            config.attention.iter_mut().for_each(|stage| stage.patch = None);
        }
        // Each picture is of one class, whatever the file's own classes were.
        config.outputs = Outputs::Softmax;
        config.temperature = 1.0;
        config.classes = labels.len() as i64;
        config.labels = labels;
        config.short_side = self.size.unwrap_or(config.short_side);
        let (network, new_classifier) = supervised_network(config, start, device).map_err(Error::from)?;
        ensure!(
            !new_classifier || self.train_part() != TrainPart::Attention,
            "--train attention: the classifier is new and must learn too; choose head+attention, or give --backbone a \
             network that was trained on these classes"
        );
        Ok(network)
    }

    /// The network under the attention: the file's, or the one that is asked for.
    fn base(&self, backbone: Option<&Network>) -> Result<NetworkConfig> {
        let bundled = Arch::default();
        let asked = self.arch.unwrap_or(bundled);
        let Some(backbone) = backbone else {
            ensure!(
                self.from_scratch || asked == bundled,
                "--arch {asked}: the bundled backbone is {bundled}; give the weights of a {asked} with --backbone FILE, or \
                 train one with --from-scratch"
            );
            return Ok(NetworkConfig::plain(asked));
        };
        let config = backbone.config().clone();
        ensure!(
            self.arch.is_none_or(|arch| arch == config.arch),
            "--arch {asked}: --backbone is a {}; leave --arch out, or give the weights of a {asked}",
            config.arch
        );
        Ok(config)
    }

    /// Refuses what contradicts itself, and options that change nothing.
    fn check(&self) -> Result<()> {
        self.given.check::<Cli>(&[
            (&["min_area"], !self.no_augment, "with --no-augment no random parts are taken"),
            (&LEARNING, !self.loader_only, "with --loader-only nothing is learned"),
        ])?;
        let part = self.train_part();
        ensure!(!self.from_scratch || part == TrainPart::All, "--from-scratch: fresh weights must all be trained");
        let attention = matches!(part, TrainPart::Attention | TrainPart::HeadAndAttention);
        ensure!(!attention || self.attention != Attention::None, "--train {part}: there is no attention to train");
        Ok(())
    }

    /// What the weights file says of its making.
    fn made_by(&self, options: &SupervisedOptions) -> String {
        let SupervisedOptions { train, epochs, batch, optimizer, learning_rate, weight_decay, seed, .. } = options;
        let SupervisedOptions { warm_up, label_smoothing, mixup, clip, min_area, .. } = options;
        let mut text = format!(
            "cbam-train {} supervised --train {train} --epochs {epochs} --batch {batch} --optimizer {optimizer} \
             --learning-rate {learning_rate} --weight-decay {weight_decay} --warm-up {warm_up} --clip {clip} \
             --label-smoothing {label_smoothing} --mixup {mixup} --min-area {min_area} --seed {seed}",
            env!("CARGO_PKG_VERSION"),
        );
        let optional = [
            (options.limit.map(|limit| format!(" --limit {limit}"))),
            (options.ema.map(|decay| format!(" --ema {decay}"))),
            (!options.augment).then(|| " --no-augment".to_owned()),
            self.from_scratch.then(|| " --from-scratch".to_owned()),
        ];
        optional.into_iter().flatten().for_each(|option| text += &option);
        text
    }
}

/// Trains, saves, and prints the accuracy.
pub(crate) fn run(arguments: &Supervised) -> Result<u8> {
    arguments.check()?;
    let device = arguments.run.prepare(&arguments.reads())?;
    let options = arguments.options();
    let mut network = arguments.network(class_names(&options).map_err(Error::from)?, device)?;
    let mut progress = Progress::new(arguments.run.quiet);
    if arguments.loader_only {
        let report = loader_speed(&network, &options, &mut progress).map_err(Error::from)?;
        progress.finish();
        let done = progress.status();
        return Ok(print(&format!("{}\n", loader(&report))).map_or_else(failed, |()| done));
    }
    let out = arguments.run.out()?;
    let run = arguments.run.options(out);
    let trained = |progress: &mut Progress| Ok((supervised(&mut network, &options, &run, progress)?, network));
    arguments.run.train(out, &mut progress, trained, |(report, network)| {
        let notes = [("made_by", arguments.made_by(&options)), ("accuracy", serde_json::to_string(&report.accuracy)?)];
        let notes: BTreeMap<String, String> = notes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        network.save(out, &notes).map_err(Error::from).context("the trained network")?;
        Ok(summary(&report))
    })
}

fn summary(report: &SupervisedReport) -> String {
    let [training, held_out] = report.pictures;
    let trained = format!(
        "{} values trained on {training} pictures of {} classes; {held_out} held out\n",
        report.parameters, report.classes
    );
    let speed = if report.loader.pictures > 0 {
        format!("{}; the network waited for it {:.1} s\n", loader(&report.loader), report.loader.waited)
    } else {
        String::new()
    };
    format!("{trained}{speed}held-out {}\n", top1(&report.accuracy))
}

fn loader(report: &LoaderReport) -> String {
    let LoaderReport { pictures, seconds, .. } = report;
    format!("the loader alone: {:.0} images/s ({pictures} pictures in {seconds:.1} s)", report.images_per_second())
}
