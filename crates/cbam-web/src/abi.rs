//! The functions that a script calls.
//!
//! A script asks for a buffer ([`cbam_allocate`]), fills it, and gives it to a function by its address; the function takes it over, so
//! only a buffer that was never given is released ([`cbam_release`]). What a function answers, text in UTF-8, lies at
//! [`cbam_answer`], [`cbam_answer_length`] bytes of it, until the next call. Functions return 0 ([`FINE`]), or 1 ([`REFUSED`]): then
//! the answer is the message.
//!
//! A fault ends the instance, since nothing unwinds in WebAssembly. The answer is then what the fault said, or empty if it was the
//! memory or the stack that ran out; whoever called makes a new instance.
//!
//! No function reads or writes through a pointer that it is given. `unsafe` is here only because a name that is not mangled could be
//! that of another function.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::path::Path;

use cbam_core::live::read;
use cbam_core::photo::Encoded;

use crate::buffers::Buffers;
use crate::engine::{self, Engine};

/// What a function returns that did what it should.
pub const FINE: u32 = 0;
/// What a function returns that did not; the answer says why.
pub const REFUSED: u32 = 1;

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
    /// Apart from the state, so that a fault can be told while that is in use.
    static ANSWER: RefCell<String> = const { RefCell::new(String::new()) };
}

#[derive(Default)]
struct State {
    buffers: Buffers,
    engine: Option<Engine>,
}

impl State {
    fn engine(&self) -> Result<&Engine, String> {
        self.engine.as_ref().ok_or_else(|| "no network is open".to_owned())
    }
}

/// Runs `work` and keeps what it answers.
fn answered(work: impl FnOnce(&mut State) -> Result<String, String>) -> u32 {
    tell_faults();
    keep(String::new());
    let (status, text) = match STATE.with_borrow_mut(work) {
        Ok(text) => (FINE, text),
        Err(message) => (REFUSED, message),
    };
    keep(text);
    status
}

fn keep(answer: String) {
    ANSWER.with(|kept| {
        if let Ok(mut kept) = kept.try_borrow_mut() {
            *kept = answer;
        }
    });
}

/// From now on a panic leaves its message as the answer.
fn tell_faults() {
    #[cfg(target_family = "wasm")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| std::panic::set_hook(Box::new(|fault| keep(fault.to_string()))));
    }
}

fn said(error: cbam_core::Error) -> String {
    error.to_string()
}

/// A buffer of so many bytes: its address, or 0 if there is no memory for it.
// SAFETY: no other function of this name is linked.
#[unsafe(no_mangle)]
pub extern "C" fn cbam_allocate(length: usize) -> usize {
    STATE.with_borrow_mut(|state| state.buffers.allocate(length)).unwrap_or(0)
}

/// Frees a buffer that was given to no function.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn cbam_release(address: usize) -> u32 {
    answered(|state| state.buffers.take(address).map(|_| String::new()))
}

/// Where the answer of the last call lies.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn cbam_answer() -> usize {
    ANSWER.with(|answer| answer.try_borrow().map_or(0, |answer| answer.as_ptr().expose_provenance()))
}

/// How many bytes it has.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn cbam_answer_length() -> usize {
    ANSWER.with(|answer| answer.try_borrow().map_or(0, |answer| answer.len()))
}

/// Opens the bundled network.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn cbam_open_default() -> u32 {
    answered(|state| {
        state.engine = Some(engine::pretrained().map_err(said)?);
        Ok(String::new())
    })
}

/// Opens the network of a weights file; of one that cannot be opened, the network that was open stays.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn cbam_open_weights(bytes: usize, name: usize) -> u32 {
    answered(|state| {
        let (bytes, name) = (state.buffers.take(bytes), state.buffers.take_text(name));
        state.engine = Some(engine::of_weights(&name?, bytes?).map_err(said)?);
        Ok(String::new())
    })
}

/// What there is to know of the network, as JSON: [`LiveModel::describe`](cbam_core::live::LiveModel::describe).
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn cbam_describe() -> u32 {
    answered(|state| Ok(state.engine()?.describe()))
}

/// The head of a page, as JSON; `options` are [`HeadOptions`](cbam_core::live::HeadOptions), as JSON.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn cbam_head(options: usize) -> u32 {
    answered(|state| {
        let options = read(&state.buffers.take_text(options)?).map_err(said)?;
        state.engine()?.head(&options).map_err(said)
    })
}

/// What the network sees in a photo, as JSON: [`LiveModel::look`](cbam_core::live::LiveModel::look); `options` are [`LookOptions`](cbam_core::live::LookOptions), as JSON.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn cbam_look(photo: usize, name: usize, options: usize) -> u32 {
    answered(|state| {
        let buffers = &mut state.buffers;
        let (photo, name, options) = (buffers.take(photo), buffers.take_text(name), buffers.take_text(options));
        let options = read(&options?).map_err(said)?;
        let (name, photo) = (name?, photo?);
        let photo = |limits: &_| Encoded::new(Path::new(&name), &photo, limits);
        state.engine()?.look(photo, &name, &options, None).map_err(said)
    })
}
