//! Accuracy, localisation, the table of truth, Grad-CAM and the command that measures.

mod accuracy;
mod command;
mod localisation;
mod source;
mod truth;
