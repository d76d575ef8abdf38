//! What the programs' pages say of their making.

use cbam_core::render::Overlay;
use cbam_core::render::page::PageHead;

/// The head of a page that a program writes now. `opening` are the words that open the network for `cbam-run`; none if it
/// opens no such network.
pub(crate) fn head(program: &str, opening: Option<Vec<String>>, network: String, overlay: Overlay) -> PageHead {
    PageHead {
        program: format!("{program} {}", env!("CARGO_PKG_VERSION")),
        date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        command: opening.map_or_else(Vec::new, |words| std::iter::once("cbam-run".to_owned()).chain(words).collect()),
        network,
        overlay,
        report: None,
    }
}
