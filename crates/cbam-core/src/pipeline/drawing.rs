//! One look, drawn as a run draws it.

use std::path::Path;

use image::DynamicImage;

use super::draw::{Spans, at_width, over, panel_of, write_picture};
use super::{Destination, Options, TopClass, report};
use crate::Result;
use crate::maps::MapName;
use crate::model::Look;
use crate::photo::Photo;

/// One look, drawn as a [`run`](super::run) draws it, for who has looked already.
#[derive(Debug, Clone, Copy)]
pub struct Drawing<'a> {
    /// What the network saw.
    pub look: &'a Look,
    /// The maps that were asked for.
    pub maps: &'a [MapName],
    /// The names of the classes.
    pub labels: &'a [String],
    /// What the picture is called.
    pub name: &'a Path,
    /// How it is drawn: the overlay, its legend and width, the scale and the quality count. A run's own scale is each map's here.
    pub options: &'a Options,
}

impl Drawing<'_> {
    /// The five likeliest classes, the likeliest first.
    pub fn top(&self) -> Vec<TopClass> {
        report::top(&self.look.readout, self.labels)
    }

    /// The class that maps of a class are of.
    pub fn explained(&self) -> Option<TopClass> {
        report::explained(self.look, self.labels)
    }

    /// A map over its picture, or the bars of a channel gate.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for a map that the look does not hold, or an option that cannot be.
    pub fn overlay(&self, name: &MapName, photo: &Photo) -> Result<DynamicImage> {
        self.options.overlay.check()?;
        let scaled = at_width(photo, self.options)?;
        let image = scaled.map_or_else(|| photo.image.clone(), |scaled| scaled.image);
        Ok(over(name, image, self.look, self.options, self.explained().as_ref(), &self.spans())?.into_image())
    }

    /// The picture, the maps that were asked for, the usual ones and the gates on one sheet.
    ///
    /// # Errors
    /// As [`overlay`](Self::overlay).
    pub fn panel(&self, photo: &Photo) -> Result<DynamicImage> {
        panel_of(photo, (self.look, self.maps, self.name), self.labels, self.options, &self.spans())
    }

    /// Writes what was drawn, whole or not at all; `of_maps` says that there are maps in it.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if it cannot be written, [`Error::Photo`](crate::Error::Photo) if it is too large for its format.
    pub fn write(&self, picture: DynamicImage, of_maps: bool, to: &Destination) -> Result<()> {
        write_picture(to, picture.into(), self.options, of_maps).map(|_| ())
    }

    fn spans(&self) -> Spans {
        Spans::Each(self.options.scale)
    }
}
