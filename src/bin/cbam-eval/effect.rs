//! Options that would change nothing in this evaluation: each is an error that says what it is for.

use cbam::explain::Method;
use cbam::maps::MapName;

use crate::args::{Cli, Measure};

impl Cli {
    /// Refuses an option that was given and changes nothing.
    pub(crate) fn check_effects(&self) -> Result<(), clap::Error> {
        let by = |wanted: fn(Method) -> bool| {
            self.maps.iter().any(|name| matches!(name, MapName::Explain { method, .. } if wanted(*method)))
        };
        let (faithful, clutter) = (self.measures(Measure::Faithfulness), self.measures(Measure::Clutter));
        self.given.check::<Self>(&[
            (&["subset"], faithful || by(Method::is_costly), "it is for costly maps and --measure faithfulness"),
            (&["steps"], faithful, "it is for --measure faithfulness"),
            (&["rise_masks"], by(|method| method == Method::Rise), "it is for --maps rise"),
            (&["backgrounds"], clutter, "it is for --measure clutter"),
        ])
    }
}
