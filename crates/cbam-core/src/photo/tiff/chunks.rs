//! From strips and tiles to samples, pixel by pixel.

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom};

use tiff::TiffError;
use tiff::decoder::{Decoder, Limits};

use super::layout::{Format, Layout, compression, photometric};
use super::{jpegs, old_lzw, tag};
use crate::photo::buffer;
use crate::photo::ifd::{Directory, Order};

/// All samples, `[height, width, samples]`, in the machine's order of bytes; rows of less than 8 bits a sample (and of 9 to
/// 15) are packed, each row from a byte of its own. With them, what was wrong with JPEGs inside.
pub(super) fn read(
    bytes: &[u8],
    directory: &Directory<'_>,
    layout: &Layout,
) -> Result<(Vec<u8>, Option<String>), String> {
    if layout.compression == compression::JPEG {
        return jpegs::read(bytes, directory, layout);
    }
    let body: Cow<'_, [u8]> =
        if layout.reversed_bits { bytes.iter().map(|byte| byte.reverse_bits()).collect() } else { bytes.into() };
    let unpacked = old_lzw::unpack(&body, layout)?;
    let (body, layout) = unpacked.as_ref().map_or((body, layout), |(body, layout)| (body.into(), layout));
    if layout.has_packets() {
        return Ok((unpack_packets(layout, &read_plane(&body, layout, 0)?)?, None));
    }
    let planes = (0..layout.planes()).map(|plane| read_plane(&body, layout, plane));
    let planes = planes.collect::<Result<Vec<_>, _>>()?;
    Ok((interleave(planes, layout)?, None))
}

/// One plane, by the `tiff` crate, which is shown a TIFF of grey samples (or of several bands) with the same strips or
/// tiles.
fn read_plane(body: &[u8], layout: &Layout, plane: usize) -> Result<Vec<u8>, String> {
    let file = PlaneFile { prefix: directory_of_plane(layout, plane), body, at: 0 };
    let limits = Limits::unlimited(); // what is read is bounded by the file, and what is written by the buffer
    let mut decoder = Decoder::new(file).map_err(describe)?.with_limits(limits);
    let size = decoder.image_buffer_layout().map_err(describe)?.complete_len;
    let mut samples = zeroed(size)?;
    decoder.read_image_bytes(&mut samples).map_err(describe)?;
    Ok(samples)
}

/// A little `BigTIFF` directory, to stand before the file itself.
fn directory_of_plane(layout: &Layout, plane: usize) -> Vec<u8> {
    let samples = if layout.planar { 1 } else { layout.samples };
    let [mut width, mut height] = [layout.size.width, layout.size.height].map(u64::from);
    let [mut chunk_width, mut chunk_height] = [layout.chunk.width, layout.chunk.height].map(u64::from);
    let (mut bits, mut bands, mut format) = (layout.bits, samples as u64, layout.format);
    if layout.has_packets() {
        let [along, down] = layout.chroma.map(u64::from);
        let packet = along * down + 2;
        (width, chunk_width) = (width.div_ceil(along) * packet, chunk_width.div_ceil(along) * packet);
        (height, chunk_height) = (height.div_ceil(down), chunk_height.div_ceil(down));
        bands = 1;
    } else if bits > 8 && bits < 16 {
        // Packed bits: as bytes.
        (width, chunk_width) = (layout.row_bytes(layout.size.width), layout.row_bytes(layout.chunk.width));
        (bits, bands, format) = (8, 1, Format::Unsigned);
    }
    let [across, down] = layout.chunks();
    let count = across as usize * down as usize;
    let chunks = plane * count..(plane + 1) * count;
    let format = match format {
        Format::Unsigned => 1,
        Format::Signed => 2,
        Format::Float => 3,
    };
    let (offsets, lengths) =
        if layout.tiled { (tag::TILE_OFFSETS, tag::TILE_BYTES) } else { (tag::STRIP_OFFSETS, tag::STRIP_BYTES) };
    let mut entries: Vec<(u16, Vec<u64>)> = vec![
        (tag::WIDTH, vec![width]),
        (tag::HEIGHT, vec![height]),
        (tag::BITS, vec![bits.into()]),
        (tag::COMPRESSION, vec![layout.compression.into()]),
        (tag::PHOTOMETRIC, vec![photometric::BLACK_IS_ZERO.into()]),
        (tag::SAMPLES, vec![bands]),
        (tag::PREDICTOR, vec![layout.predictor.into()]),
        (tag::SAMPLE_FORMAT, vec![format]),
        (offsets, layout.offsets[chunks.clone()].to_vec()),
        (lengths, layout.lengths[chunks].to_vec()),
    ];
    if layout.tiled {
        entries.push((tag::TILE_WIDTH, vec![chunk_width]));
        entries.push((tag::TILE_HEIGHT, vec![chunk_height]));
    } else {
        entries.push((tag::ROWS_PER_STRIP, vec![chunk_height]));
    }
    entries.sort_by_key(|(tag, _)| *tag);
    write_directory(layout.order, &mut entries, offsets)
}

/// The bytes of a `BigTIFF` up to its data. The offsets in `shifted` are of the file that follows.
fn write_directory(order: Order, entries: &mut [(u16, Vec<u64>)], shifted: u16) -> Vec<u8> {
    const LONG8: u16 = 16;
    let directory = 16 + 8 + 20 * entries.len() + 8;
    let values: usize = entries.iter().filter(|(_, values)| values.len() > 1).map(|(_, values)| 8 * values.len()).sum();
    let end = (directory + values) as u64;
    for value in entries.iter_mut().filter(|(tag, _)| *tag == shifted).flat_map(|(_, values)| values) {
        *value = value.saturating_add(end);
    }
    let two = |number: u16| if order == Order::Little { number.to_le_bytes() } else { number.to_be_bytes() };
    let eight = |number: u64| if order == Order::Little { number.to_le_bytes() } else { number.to_be_bytes() };
    let mut out = if order == Order::Little { b"II".to_vec() } else { b"MM".to_vec() };
    out.extend([43, 8, 0].into_iter().flat_map(two));
    out.extend(eight(16));
    out.extend(eight(entries.len() as u64));
    let mut place = directory as u64;
    for (tag, values) in entries.iter() {
        out.extend(two(*tag));
        out.extend(two(LONG8));
        out.extend(eight(values.len() as u64));
        if let [value] = values[..] {
            out.extend(eight(value));
        } else {
            out.extend(eight(place));
            place += 8 * values.len() as u64;
        }
    }
    out.extend(eight(0));
    for (_, values) in entries.iter().filter(|(_, values)| values.len() > 1) {
        out.extend(values.iter().flat_map(|value| eight(*value)));
    }
    out
}

/// A directory, and behind it the whole file.
struct PlaneFile<'a> {
    prefix: Vec<u8>,
    body: &'a [u8],
    at: u64,
}

impl Read for PlaneFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        let rest = match self.prefix.get(at..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => self.body.get(at - self.prefix.len()..).unwrap_or_default(),
        };
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for PlaneFile<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = (self.prefix.len() + self.body.len()) as u64;
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => length.checked_add_signed(by),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Planes of one sample each to pixels.
fn interleave(mut planes: Vec<Vec<u8>>, layout: &Layout) -> Result<Vec<u8>, String> {
    if planes.len() == 1 {
        return Ok(planes.swap_remove(0));
    }
    if layout.bits < 16 && layout.bits != 8 {
        return interleave_bits(&planes, layout);
    }
    let bytes = (layout.bits / 8).max(1) as usize;
    let count = planes.len();
    let mut out = zeroed(planes.iter().map(Vec::len).sum())?;
    for (index, plane) in planes.iter().enumerate() {
        let samples = out.chunks_exact_mut(bytes * count).map(|pixel| &mut pixel[index * bytes..][..bytes]);
        samples.zip(plane.chunks_exact(bytes)).for_each(|(to, from)| to.copy_from_slice(from));
    }
    Ok(out)
}

/// As [`interleave`], of packed samples.
fn interleave_bits(planes: &[Vec<u8>], layout: &Layout) -> Result<Vec<u8>, String> {
    let (bits, count, width) = (layout.bits, planes.len(), layout.size.width as usize);
    let row_bytes = |samples: usize| (samples * bits as usize).div_ceil(8);
    let rows = layout.size.height as usize;
    let mut out: Vec<u8> = zeroed(rows * row_bytes(width * count))?;
    for (y, to) in out.chunks_exact_mut(row_bytes(width * count)).enumerate() {
        for (index, plane) in planes.iter().enumerate() {
            let from = plane.get(y * row_bytes(width)..).unwrap_or_default();
            for x in 0..width {
                let sample = packed_sample(from, x, bits);
                let at = (x * count + index) * bits as usize;
                // Up to 15 bits reach into three bytes.
                let window = sample << (24 - at % 8 - bits as usize);
                to[at / 8..].iter_mut().zip(&window.to_be_bytes()[1..]).for_each(|(to, bits)| *to |= bits);
            }
        }
    }
    Ok(out)
}

/// A sample of a row of packed ones, of up to 15 bits.
pub(super) fn packed_sample(row: &[u8], index: usize, bits: u32) -> u32 {
    let at = index * bits as usize;
    let byte = |index: usize| u32::from(row.get(at / 8 + index).copied().unwrap_or(0));
    let window = byte(0) << 16 | byte(1) << 8 | byte(2);
    window >> (24 - at % 8 - bits as usize) & ((1 << bits) - 1)
}

fn zeroed(size: usize) -> Result<Vec<u8>, String> {
    buffer::zeroed(size).map_err(|why| format!("TIFF {why}"))
}

/// Packets of several luma samples and one of each chroma (TIFF 6.0, section 21) to pixels.
fn unpack_packets(layout: &Layout, packets: &[u8]) -> Result<Vec<u8>, String> {
    let [along, down] = layout.chroma.map(|n| n as usize);
    let [width, height] = [layout.size.width as usize, layout.size.height as usize];
    let packet = along * down + 2;
    let row = width.div_ceil(along) * packet;
    let mut out = zeroed(3 * width * height)?;
    for (index, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (x, y) = (index % width, index / width);
        let start = (y / down) * row + (x / along) * packet;
        if let Some([luma @ .., blue, red]) = packets.get(start..start + packet) {
            *pixel = [luma[(y % down) * along + x % along], *blue, *red];
        }
    }
    Ok(out)
}

fn describe(error: TiffError) -> String {
    match error {
        TiffError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "truncated TIFF: the end of the picture is missing".to_owned()
        }
        TiffError::UnsupportedError(error) => {
            format!("TIFF of a kind that is not read here ({error}); convert it to PNG")
        }
        TiffError::LimitsExceeded => "TIFF over the limits: too large for this machine".to_owned(),
        error => format!("broken TIFF: {error}"),
    }
}
