//! What the programs' pages say of their making.

use std::collections::BTreeMap;

use cbam_core::render::Overlay;
use cbam_core::render::page::PageHead;
use clap::CommandFactory;

use crate::common::explained::OF_METHODS;
use crate::common::given::Given;

/// The words of a command line of `cbam-run`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    /// Those that open the network; none if it does not open it, or not the pictures.
    pub(crate) opening: Option<Vec<String>>,
    /// Those that go with the maps of a method.
    pub(crate) methods: BTreeMap<&'static str, Vec<String>>,
}

impl Words {
    /// Those of the program `C` that were given; all that open the network but `others` and what is for the maps of one method.
    pub(crate) fn of<C: CommandFactory>(given: &Given, others: &[&str]) -> Self {
        let of_methods = OF_METHODS.map(|(_, options)| options).concat();
        let opening = given.words::<C>(&|option| !others.contains(&option) && !of_methods.contains(&option));
        let methods =
            OF_METHODS.map(|(method, options)| (method.name(), given.words::<C>(&|option| options.contains(&option))));
        Self { opening: Some(opening), methods: methods.into() }
    }
}

/// The words of a command line of `cbam-run`, its name before them.
pub(crate) fn command(opening: Vec<String>) -> Vec<String> {
    std::iter::once("cbam-run".to_owned()).chain(opening).collect()
}

/// The time, as RFC 3339 has it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The head of a page that a program writes now.
pub(crate) fn head(program: &str, words: Words, network: String, overlay: Overlay) -> PageHead {
    PageHead {
        program: format!("{program} {}", env!("CARGO_PKG_VERSION")),
        date: now(),
        command: words.opening.map(command).unwrap_or_default(),
        methods: words.methods,
        network,
        overlay,
        report: None,
    }
}
