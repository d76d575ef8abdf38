//! Which positions a matrix goes over, and where what it makes of them goes.

/// Positions, and what is written of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<T = f32> {
    /// The first position's inputs; the others' are `apart` numbers apart.
    pub(super) xs: *const T,
    /// How far one position's inputs are from the next one's.
    pub(super) apart: usize,
    /// In how many equal pieces a position's inputs lie: rows of them,
    pub(super) pieces: usize,
    /// how far one row is from the next one,
    pub(super) below: usize,
    /// how many pieces a row has,
    pub(super) across: usize,
    /// and how far one of these is from the next.
    pub(super) aside: usize,
    /// What to add to the first position's outputs of the panel; the others' are `stride` numbers apart.
    pub(super) residual: Option<*const f32>,
    /// Where the first position's outputs of the panel go; the others' are `stride` numbers apart.
    pub(super) ys: *mut f32,
    /// How far one position's outputs are from the next one's.
    pub(super) stride: usize,
    /// How many positions there are.
    pub(super) count: usize,
}

impl<T> Rows<T> {
    /// Positions whose inputs lie in one piece each.
    pub(super) fn of(xs: *const T, apart: usize, ys: *mut f32, stride: usize, count: usize) -> Self {
        Self { xs, apart, pieces: 1, below: 0, across: 1, aside: 0, residual: None, ys, stride, count }
    }

    /// The same positions, `columns` outputs on.
    ///
    /// # Safety
    /// There must be so many.
    pub(super) unsafe fn shifted(self, columns: usize) -> Self {
        // SAFETY: the caller stays within the outputs.
        unsafe { Self { residual: self.residual.map(|to| to.add(columns)), ys: self.ys.add(columns), ..self } }
    }

    /// The positions from `first` on, `count` of them.
    ///
    /// # Safety
    /// There must be so many.
    pub(super) unsafe fn block(self, first: usize, count: usize) -> Self {
        // SAFETY: the caller stays within the positions.
        unsafe {
            Self {
                xs: self.xs.add(first * self.apart),
                residual: self.residual.map(|residual| residual.add(first * self.stride)),
                ys: self.ys.add(first * self.stride),
                count,
                ..self
            }
        }
    }
}
