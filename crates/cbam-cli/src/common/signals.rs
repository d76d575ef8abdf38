//! Requests to end: Ctrl-C, `kill`, a terminal that is closed.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cbam_core::Error;

use super::terminal::{say, status};

/// How long a message may take on its way.
const PATIENCE: Duration = Duration::from_millis(100);

/// Calls `asked` at each request to end, on a thread of its own. What the process that started this one ignores stays
/// ignored: under `nohup`, the end of the terminal.
pub(super) fn listen(asked: fn()) -> io::Result<()> {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use signal_hook::iterator::Signals;

        super::process::survive_file_size_limit();
        let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !super::process::is_ignored(*signal));
        let mut signals = Signals::new(heard)?;
        let thread = thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || signals.forever().for_each(|_| asked()))?;
    }
    Ok(())
}

/// Ends the program as interrupted, whatever its threads are doing. Finished files stay, unfinished ones are removed.
pub fn end_at_once() -> ! {
    say_aside(Error::Interrupted.to_string());
    cbam_core::files::remove_unfinished();
    super::exit::abandon(status::INTERRUPTED)
}

/// As [`say`], from a thread that must not wait: standard error may be a pipe that nobody empties.
pub fn say_aside(text: String) {
    let (said, done) = mpsc::channel::<()>();
    let speaker = thread::Builder::new().spawn(move || {
        say(text);
        drop(said);
    });
    if speaker.is_ok() {
        let _ = done.recv_timeout(PATIENCE);
    }
}
