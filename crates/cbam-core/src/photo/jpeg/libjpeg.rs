//! libjpeg, the measure of what can be read of a JPEG: damaged ones too, with what was wrong.
#![allow(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};

use mozjpeg_sys::{
    J_COLOR_SPACE, boolean, c_int, c_ulong, jpeg_common_struct, jpeg_create_decompress, jpeg_decompress_struct,
    jpeg_destroy_decompress, jpeg_error_mgr, jpeg_mem_src, jpeg_progress_mgr, jpeg_read_header, jpeg_read_scanlines,
    jpeg_start_decompress, jpeg_std_error,
};

use super::decoded::{Colours, Damage, Decoded};

/// The most scans of a progressive JPEG; real ones have about ten. Each goes over the whole picture.
const MAX_SCANS: c_int = 500;
/// The longest message of libjpeg, with its final 0 (`JMSG_LENGTH_MAX`).
const MESSAGE: usize = 200;

/// The warning about an Adobe segment that does not say how the colours are stored: they are guessed.
const UNKNOWN_COLOURS: &str = "Unknown Adobe color transform code";
/// The warning about a JFIF segment of a later version, of which nothing is lost for that.
const LATER_VERSION: &str = "Warning: unknown JFIF revision number";

/// Decodes a JPEG of at most these sides as far as it can be read.
///
/// # Errors
/// libjpeg's message, if there is no picture.
pub(crate) fn decode(bytes: &[u8], colours: Colours, most: [u32; 2]) -> Result<Decoded, String> {
    let mut decoder = Decoder::new();
    // libjpeg's errors unwind from `fail`, through C that is compiled for it; the decoder is dropped afterwards.
    match catch_unwind(AssertUnwindSafe(|| decoder.decode(bytes, colours, most))) {
        Ok(decoded) => decoded,
        Err(panic) => Err(message_of(panic)),
    }
}

/// What libjpeg works on.
struct Decoder(NonNull<Parts>);

/// The parts, which hold pointers to each other: made in one place, and never moved.
struct Parts {
    jpeg: jpeg_decompress_struct,
    errors: jpeg_error_mgr,
    progress: jpeg_progress_mgr,
    watch: Watch,
}

/// What the callbacks note.
#[derive(Default)]
struct Watch {
    damage: Option<Damage>,
    guessed: Option<String>,
}

impl Decoder {
    fn new() -> Self {
        // SAFETY: these C structures hold numbers, pointers and optional functions; all zeros is a value of each.
        let (jpeg, errors, progress) = unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        let parts = Box::leak(Box::new(Parts { jpeg, errors, progress, watch: Watch::default() }));
        let parts = NonNull::from(parts);
        let decoder = Self(parts);
        let parts = parts.as_ptr();
        // SAFETY: `parts` points to the leaked box, which nobody else knows; the library fills in the structures that it is
        // given, and the error manager is in place before the decompressor is created, as it asks for.
        unsafe {
            jpeg_std_error(&mut (*parts).errors);
            (*parts).errors.error_exit = Some(fail);
            (*parts).errors.emit_message = Some(warn);
            (*parts).errors.output_message = Some(ignore);
            (*parts).progress.progress_monitor = Some(go_on);
            (*parts).jpeg.common.err = &raw mut (*parts).errors;
            jpeg_create_decompress(&raw mut (*parts).jpeg);
            (*parts).jpeg.common.client_data = (&raw mut (*parts).watch).cast();
            (*parts).jpeg.common.progress = &raw mut (*parts).progress;
        }
        decoder
    }

    fn decode(&mut self, bytes: &[u8], colours: Colours, most: [u32; 2]) -> Result<Decoded, String> {
        // SAFETY: `new` made the decoder, and only `drop` frees it. The callbacks use the other parts, and read this one's numbers.
        let jpeg = unsafe { &mut (*self.0.as_ptr()).jpeg };
        // SAFETY: the decoder was created; the source is `bytes`, which outlives every call that reads it. The calls come in
        // the order that the library asks for.
        unsafe {
            jpeg_mem_src(jpeg, bytes.as_ptr(), bytes.len() as c_ulong);
            jpeg_read_header(jpeg, boolean::from(true));
        }
        if jpeg.image_width > most[0] || jpeg.image_height > most[1] {
            return Err(format!(
                "it has {}x{} pixels, and {}x{} were declared",
                jpeg.image_width, jpeg.image_height, most[0], most[1]
            ));
        }
        match colours {
            Colours::AsMarked => {}
            Colours::Luma if jpeg.num_components == 3 => jpeg.jpeg_color_space = J_COLOR_SPACE::JCS_YCbCr,
            _ => jpeg.jpeg_color_space = J_COLOR_SPACE::JCS_UNKNOWN,
        }
        jpeg.out_color_space = match jpeg.jpeg_color_space {
            J_COLOR_SPACE::JCS_GRAYSCALE => J_COLOR_SPACE::JCS_GRAYSCALE,
            J_COLOR_SPACE::JCS_CMYK | J_COLOR_SPACE::JCS_YCCK => J_COLOR_SPACE::JCS_CMYK,
            J_COLOR_SPACE::JCS_RGB | J_COLOR_SPACE::JCS_YCbCr => J_COLOR_SPACE::JCS_RGB,
            _ if colours == Colours::Plain => J_COLOR_SPACE::JCS_UNKNOWN,
            _ => return Err(format!("{} components of no known colours", jpeg.num_components)),
        };
        // SAFETY: the decoder was created and has read its header; its source outlives the call.
        unsafe { jpeg_start_decompress(jpeg) };
        let (width, height) = (jpeg.output_width, jpeg.output_height);
        let channels = usize::try_from(jpeg.output_components).unwrap_or(0);
        let row = width as usize * channels;
        let size = row.checked_mul(height as usize).ok_or("too large for this machine")?;
        let mut samples: Vec<u8> = Vec::new();
        samples.try_reserve_exact(size).map_err(|_| "not enough memory for its pixels")?;
        samples.resize(size, 0);
        if row == 0 {
            return Err("it is empty".to_owned());
        }
        for line in samples.chunks_exact_mut(row) {
            let mut line = line.as_mut_ptr();
            // SAFETY: the decoder was created and started; the library writes one row, of `output_width * output_components` bytes, to the one pointer.
            if unsafe { jpeg_read_scanlines(jpeg, &raw mut line, 1) } != 1 {
                break;
            }
        }
        // SAFETY: `new` made the parts, only `drop` frees them, and the library is not running, so nobody else uses the watch.
        let Watch { damage, guessed } = std::mem::take(unsafe { &mut (*self.0.as_ptr()).watch });
        Ok(Decoded {
            width,
            height,
            channels,
            samples,
            damage,
            guessed: guessed.filter(|_| colours == Colours::AsMarked),
        })
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the decompressor was created by the library, and is destroyed once, which cannot fail; the parts are those
        // that `new` leaked, and nobody uses them any more.
        unsafe {
            jpeg_destroy_decompress(&mut (*self.0.as_ptr()).jpeg);
            drop(Box::from_raw(self.0.as_ptr()));
        }
    }
}

/// An error: libjpeg asks that this never returns.
unsafe extern "C-unwind" fn fail(common: &mut jpeg_common_struct) {
    // Not a panic: no hook is told, and nothing is printed.
    resume_unwind(Box::new(message(common)))
}

unsafe extern "C-unwind" fn ignore(_: &mut jpeg_common_struct) {}

/// A warning (a level below 0) or a trace.
unsafe extern "C-unwind" fn warn(common: &mut jpeg_common_struct, level: c_int) {
    if level >= 0 {
        return;
    }
    // SAFETY: `Decoder` set it to its own `Watch`, which nobody else uses while the library runs.
    let Some(watch) = (unsafe { common.client_data.cast::<Watch>().as_mut() }) else { return };
    let first = watch.damage.is_none();
    let cut_off = |damage: &Damage| damage.cut_off;
    if !first && watch.damage.as_ref().is_some_and(cut_off) {
        return;
    }
    let message = message(common);
    if message.starts_with(UNKNOWN_COLOURS) {
        watch.guessed = Some(message);
        return;
    }
    if message.starts_with(LATER_VERSION) {
        return;
    }
    let ends = message.starts_with("Premature end of JPEG file");
    if ends {
        let read = share_read(common);
        let message = watch.damage.take().map_or(message, |damage| damage.message);
        watch.damage = Some(Damage { message, cut_off: true, read });
    } else if first {
        watch.damage = Some(Damage { message, cut_off: false, read: 1.0 });
    }
}

/// Called for each row of blocks.
unsafe extern "C-unwind" fn go_on(common: &mut jpeg_common_struct) {
    // SAFETY: as in `share_read`: this module makes only decompressors, whose first field is the common part.
    let scan = unsafe { (*ptr::from_mut(common).cast::<jpeg_decompress_struct>()).input_scan_number };
    if scan > MAX_SCANS {
        resume_unwind(Box::new(format!("more than {MAX_SCANS} scans")));
    }
}

fn share_read(common: &mut jpeg_common_struct) -> f64 {
    // SAFETY: this module makes only decompressors, whose first field is the common part.
    let jpeg = unsafe { &*ptr::from_mut(common).cast::<jpeg_decompress_struct>() };
    if jpeg.input_scan_number > 1 {
        return 1.0;
    }
    let rows = f64::from(jpeg.image_height) / (8.0 * f64::from(jpeg.max_v_samp_factor.max(1)));
    (f64::from(jpeg.input_iMCU_row) / rows.ceil().max(1.0)).min(1.0)
}

/// The current message, in words.
fn message(common: &mut jpeg_common_struct) -> String {
    type Format = unsafe extern "C-unwind" fn(*mut jpeg_common_struct, *mut u8);
    let mut text = [0_u8; MESSAGE];
    // SAFETY: the error manager is `Decoder`'s. The function that libjpeg put there takes a buffer of `JMSG_LENGTH_MAX`
    // bytes to write to, which the binding's type does not say.
    unsafe {
        if let Some(format) = common.err.as_ref().and_then(|errors| errors.format_message) {
            std::mem::transmute::<*const (), Format>(format as *const ())(common, text.as_mut_ptr());
        }
    }
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(MESSAGE);
    String::from_utf8_lossy(&text[..end]).into_owned()
}

fn message_of(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => resume_unwind(panic),
    }
}
