//! GIF: the first picture may go beyond the screen, which is then widened, as Pillow does.

use std::borrow::Cow;
use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions};

/// The file with a screen that holds its first picture: the decoder takes memory for both.
///
/// # Errors
/// If there is no such screen.
pub(super) fn mend(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    // What is broken is so for the decoder too, before it takes any memory for the picture.
    let Ok(mut reader) = options.read_info(Cursor::new(bytes)) else { return Ok(bytes.into()) };
    let screen = [reader.width(), reader.height()];
    let Ok(Some(frame)) = reader.next_frame_info() else { return Ok(bytes.into()) };
    let ends = [frame.left.checked_add(frame.width), frame.top.checked_add(frame.height)];
    let [Some(right), Some(bottom)] = ends else {
        return Err("broken GIF: its first picture goes beyond 65,535 pixels".to_owned());
    };
    if right <= screen[0] && bottom <= screen[1] {
        return Ok(bytes.into());
    }
    let mut mended = bytes.to_vec();
    mended[6..8].copy_from_slice(&right.max(screen[0]).to_le_bytes());
    mended[8..10].copy_from_slice(&bottom.max(screen[1]).to_le_bytes());
    Ok(mended.into())
}
