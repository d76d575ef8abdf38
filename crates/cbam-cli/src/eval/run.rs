//! The pictures, one after the other, with what the user sees of it.

use cbam_core::Result;
use cbam_core::study::{Outcome, Study};

use crate::common::duration::duration;
use crate::eval::console::{Console, KINDS};

/// Measures every picture; those that cannot be measured are named and counted.
pub(crate) fn pictures(study: &mut Study<'_>, quiet: bool) -> Result<Outcome> {
    let mut left = [0; KINDS];
    for row in 0..study.pictures().rows.len() {
        left[study.work(row) as usize] += 1;
    }
    let mut console = Console::new(left, quiet);
    let cache = study.cache();
    if cache.broken() > 0 {
        console.say(&format!("{} broken lines of the cache are left out and measured anew", cache.broken()));
    }
    if !cache.is_empty() {
        console.note(&format!("{} scores are in the cache", cache.len()));
    }
    let outcome = study.run(&mut |done| {
        if let Some(missing) = done.missing {
            console.say(&missing.reason);
        }
        console.done(done.work as usize, done.took, done.fresh);
        true
    });
    let took = console.finish();
    let outcome = outcome?;
    console.note(&format!("measured in {}", duration(took.as_secs_f64())));
    Ok(outcome)
}
