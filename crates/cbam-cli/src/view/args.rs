//! The command line as clap reads it, and what it asks for.

use std::path::PathBuf;

use cbam_core::live::LiveSettings;
use cbam_core::maps::MapName;
use cbam_core::photo::Limits;
use clap::{Parser, ValueHint};

use crate::common;
use crate::common::amount::pixels;
use crate::common::explained::{Explained, MAP};
use crate::common::given::Given;
use crate::common::network::{Model, NetworkArgs, RUN};
use crate::common::page::Words;
use crate::common::scan::Input;
use crate::common::values::{listed, map_names};

const EXAMPLES: &str = "\
Examples:
  cbam-view
      A page in the browser: drop a photo into it, and point at it.

  cbam-view photos/ more.jpg --weights net.pth
      A gallery of these photos, as the network of net.pth sees them.

  cbam-view street.jpg --weights net.onnx --map layercam
      Any network, and any map; others are added in the page.

  cbam-view --port 8000 --no-browser
      On a machine far away. Here, ssh -L 8000:127.0.0.1:8000 brings the page: open the address that it says.

The program listens on 127.0.0.1 alone, and the address holds a secret word. It runs until Ctrl-C.";

/// Opens a page in the browser that looks at photos with any network and any method, and answers where you point.
#[derive(Debug, Parser)]
#[command(name = "cbam-view", version, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    given: Given,
    /// Photos and folders (everything below them) that the page shows to begin with; others are dropped into it
    #[arg(value_hint = ValueHint::AnyPath)]
    photos: Vec<PathBuf>,
    /// The port on 127.0.0.1 that the page is served at; 0 is one that is free
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) port: u16,
    /// Open no browser: say the address and nothing else
    #[arg(long)]
    pub(crate) no_browser: bool,

    /// The map that is shown first: any name that cbam-run takes [default: fused, or gradcam without attention]
    ///
    /// May be repeated: the page has them all, and so makes them of every photo that it looks at, however costly they are. Others can
    /// be added in the page, where they can be stopped too.
    #[arg(long, short, value_name = "NAME", value_parser = listed::<MapName>(map_names()), hide_possible_values = true, help_heading = MAP)]
    map: Vec<MapName>,
    #[command(flatten)]
    explained: Explained,
    #[command(flatten)]
    network: NetworkArgs,
    /// The most pixels (width × height) of a photo, with K, M or G for thousands, millions, thousand millions; larger ones are
    /// refused
    #[arg(long, value_name = "N", default_value = "200M", value_parser = pixels, help_heading = RUN)]
    max_pixels: u64,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) photos: Vec<Input>,
    pub(crate) model: Model,
    /// What holds for all that the page asks; the names of classes are not read yet.
    pub(crate) settings: LiveSettings,
    /// The file of the names of classes.
    pub(crate) labels: Option<PathBuf>,
    /// The words of a command line that open the network as it is opened here.
    pub(crate) opening: Vec<String>,
    pub(crate) port: u16,
    pub(crate) browser: bool,
}

impl Args {
    /// Checks what clap cannot.
    pub(crate) fn resolve(self) -> Result<Request, clap::Error> {
        self.given.check::<Self>(&self.network.effects())?;
        let shows_own = self.map.is_empty().then(Given::default);
        let model = self.network.model(&self.explained, shows_own.as_ref()).map_err(usage)?;
        let explain = self.explained.options().map_err(usage)?;
        let Words { opening, methods } =
            Words::of::<Self>(&self.given, &["photos", "port", "no_browser", "map", "class"]);
        let photos: Vec<_> = self.photos.into_iter().map(Input::from).collect();
        if photos.contains(&Input::Stdin) {
            return Err(usage("standard input ('-') is no photo here: name files, or drop a photo into the page"));
        }
        let settings = LiveSettings {
            maps: self.map,
            class: self.explained.class,
            short_side: self.network.size,
            explain,
            methods,
            limits: Limits::of_pixels(self.max_pixels),
            ..LiveSettings::default()
        };
        let labels = self.network.labels;
        let opening = opening.unwrap_or_default();
        Ok(Request { photos, model, settings, labels, opening, port: self.port, browser: !self.no_browser })
    }
}

/// A usage error, as clap prints it: exit status 2.
pub(crate) fn usage(message: impl std::fmt::Display) -> clap::Error {
    common::usage::<Args>(message)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn resolve(line: &str) -> Result<Request, clap::Error> {
        Args::try_parse_from(line.split_whitespace()).and_then(Args::resolve)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        for line in EXAMPLES.lines().filter(|line| line.starts_with("  cbam-view")) {
            resolve(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn the_words_of_the_network_open_it_again() {
        let line = "cbam-view a.jpg --weights n.pth --size 320 --class 3 --map rise --masks 9 --port 8000 --mean 1,2,3";
        let request = resolve(line).unwrap();
        assert_eq!(request.opening.join(" "), "--size 320 --weights n.pth --mean 1,2,3");
        assert_eq!(request.settings.methods["rise"], ["--masks", "9"]);
        assert_eq!((request.settings.short_side, request.port, request.browser), (Some(320), 8000, true));
    }

    #[test]
    fn what_has_no_effect_is_refused() {
        for line in ["cbam-view -", "cbam-view --part model", "cbam-view --score logits", "cbam-view --stride 40"] {
            assert_eq!(resolve(line).unwrap_err().exit_code(), 2, "{line}");
        }
        assert!(resolve("cbam-view").unwrap().model.by_default.is_some(), "it shows its own map first");
        assert!(resolve("cbam-view --map patch").unwrap().model.by_default.is_none());
    }
}
