//! What the programs share.

mod heap;

use clap::Parser;

/// The arguments; ends the program if they are wrong, or ask for help.
pub(crate) fn arguments<A: Parser>() -> A {
    leave_decoders_to_their_errors();
    A::try_parse().unwrap_or_else(|usage| leave(&usage))
}

/// A panic inside of a picture's decoder becomes an error that names the picture; it is not printed besides.
fn leave_decoders_to_their_errors() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !cbam::photo::is_decoding() {
            usual(panic);
        }
    }));
}

/// Prints what is wrong with the arguments, or the help that they ask for, and ends the program.
pub(crate) fn leave(usage: &clap::Error) -> ! {
    let _ = usage.print(); // if nobody reads any more, nobody is told
    cbam::sys::exit(usage.exit_code() as u8)
}
