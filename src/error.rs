//! The error of this crate: the core's, which also takes those of libtorch.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use tch::TchError;

/// What can go wrong, and what is at fault: the error of everything that needs no libtorch.
///
/// A function that returns `Result<T, ErrorKind>`, as those of [`Model`](crate::model::Model) and
/// [`Features`](crate::explain::Features) do, takes an [`Error`] by `?`.
pub use cbam_core::Error as ErrorKind;

/// The result of what can fail. With [`ErrorKind`] as `E` it is that of everything that needs no libtorch.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error that names the file, key or argument at fault; [`kind`](Self::kind) says what it is.
///
/// By `?` a function that returns a [`Result`] takes errors of [`tch`] and of all of this crate.
///
/// ```
/// use cbam::ErrorKind;
/// use tch::{Device, Kind, Tensor};
///
/// fn sum(xs: &Tensor, ys: &Tensor) -> cbam::Result<Tensor> {
///     Ok(xs.f_add(ys)?)
/// }
///
/// let [two, three] = [2, 3].map(|length| Tensor::zeros([length], (Kind::Float, Device::Cpu)));
/// let error = sum(&two, &three).unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::Torch { .. }));
/// ```
#[derive(Debug)]
pub struct Error(ErrorKind);

impl Error {
    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// An [`ErrorKind::Io`] about `path`; made for `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let about = ErrorKind::io(path);
        move |error| Self(about(error))
    }

    /// An [`ErrorKind::Photo`] about `path`.
    pub fn photo(path: impl AsRef<Path>, message: impl ToString) -> Self {
        Self(ErrorKind::photo(path, message))
    }

    /// An [`ErrorKind::Weights`] about `path`.
    pub fn weights(path: impl AsRef<Path>, message: impl ToString) -> Self {
        Self(ErrorKind::weights(path, message))
    }

    /// An [`ErrorKind::Network`] about `what` it gives out.
    pub fn network(what: impl ToString, message: impl ToString) -> Self {
        Self(ErrorKind::network(what, message))
    }

    /// An [`ErrorKind::Internal`].
    pub fn internal(message: impl ToString) -> Self {
        Self(ErrorKind::internal(message))
    }

    /// An [`ErrorKind::Argument`] about `argument`.
    pub fn argument(argument: impl ToString, message: impl ToString) -> Self {
        Self(ErrorKind::argument(argument, message))
    }

    /// An [`ErrorKind::Device`] about `device`, as asked for.
    pub fn device(device: impl ToString, message: impl ToString) -> Self {
        Self(ErrorKind::device(device, message))
    }

    /// The same error with what helps, if it is about weights, an argument or a device.
    #[must_use]
    pub fn with_remedy(self, helps: crate::Remedy) -> Self {
        Self(self.0.with_remedy(helps))
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self(kind)
    }
}

impl From<Error> for ErrorKind {
    fn from(error: Error) -> Self {
        error.0
    }
}

impl From<TchError> for Error {
    fn from(error: TchError) -> Self {
        let text = error.to_string();
        // Behind that come the frames of its stack.
        let message = text.split("\nException raised from").next().unwrap_or(&text).trim();
        Self(ErrorKind::Torch { message: message.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn libtorch_is_heard_without_its_stack_and_errors_go_both_ways() {
        let [two, three] = [2, 3].map(|length| Tensor::zeros([length], (Kind::Float, Device::Cpu)));
        let refused = || -> Result<Tensor> { Ok(two.f_add(&three)?) };
        let kind = || -> Result<Tensor, ErrorKind> { Ok(refused()?) };
        let back = || -> Result<Tensor> { Ok(kind()?) };
        let [there, back] = [refused(), back()].map(Result::unwrap_err);
        assert!(matches!(there.kind(), ErrorKind::Torch { .. }), "{there:?}");
        let message = there.to_string();
        assert!(message.contains("size of tensor") && !message.contains("Exception"), "{message}");
        assert_eq!(message, back.to_string());
    }
}
