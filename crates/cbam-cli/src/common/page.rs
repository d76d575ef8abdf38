//! What the programs' pages say of their making.

use std::collections::BTreeMap;

use cbam_core::render::Overlay;
use cbam_core::render::page::PageHead;

/// The words of a command line of `cbam-run`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    /// Those that open the network; none if it does not open it, or not the pictures.
    pub(crate) opening: Option<Vec<String>>,
    /// Those that go with the maps of a method.
    pub(crate) methods: BTreeMap<&'static str, Vec<String>>,
}

/// The head of a page that a program writes now.
pub(crate) fn head(program: &str, words: Words, network: String, overlay: Overlay) -> PageHead {
    let command = words.opening.map(|words| std::iter::once("cbam-run".to_owned()).chain(words).collect());
    PageHead {
        program: format!("{program} {}", env!("CARGO_PKG_VERSION")),
        date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        command: command.unwrap_or_default(),
        methods: words.methods,
        network,
        overlay,
        report: None,
    }
}
