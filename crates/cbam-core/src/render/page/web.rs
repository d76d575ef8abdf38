//! The parts of a page that are the same in all: its frame, its style and its program.

/// The frame; the names in double braces are the places of what is put into it.
pub(super) const TEMPLATE: &str = include_str!("../../../web/page.html");

pub(super) const STYLE: &str = include_str!("../../../web/page.css");

macro_rules! scripts {
    ($($name:literal)+) => {
        concat!("\"use strict\";\n", $(include_str!(concat!("../../../web/", $name, ".js"))),+)
    };
}

/// The program: scripts that share their names, each using those before it.
#[rustfmt::skip]
pub(super) const SCRIPT: &str = scripts!(
    "data" "maps" "fuse" "attention" "paint" "npy" "words" "command" "dom" "store" "combobox" "view" "draw"
    "viewer-photo" "viewer-point" "viewer-patch" "viewer-maps" "range" "viewer-look" "viewer-classes" "viewer-gates"
    "viewer-take" "keys" "viewer-keys" "viewer" "pictures" "gallery-order" "gallery" "routes" "start"
);
