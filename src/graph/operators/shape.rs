//! Other shapes, parts and orders of the same elements.

use tch::Tensor;

use super::super::given::Given;
use super::{Made, Table, one, same, several};
use crate::{Error, Result};

pub(super) const TABLE: Table = &[
    ("aten._unsafe_view.default", |given| one(given.tensor("self")?.f_reshape(given.ints("size")?))),
    ("aten.alias.default", same),
    ("aten.broadcast_tensors.default", |given| several(Tensor::f_broadcast_tensors(&given.tensors("tensors")?))),
    ("aten.broadcast_to.default", |given| one(given.tensor("self")?.f_broadcast_to(given.ints("size")?))),
    ("aten.cat.default", |given| one(Tensor::f_cat(&given.tensors("tensors")?, given.int_or("dim", 0)?))),
    ("aten.chunk.default", |given| {
        several(given.tensor("self")?.f_chunk(given.int("chunks")?, given.int_or("dim", 0)?))
    }),
    ("aten.diagonal.default", |given| {
        let (first, second) = (given.int_or("dim1", 0)?, given.int_or("dim2", 1)?);
        one(given.tensor("self")?.f_diagonal(given.int_or("offset", 0)?, first, second))
    }),
    ("aten.expand.default", |given| one(given.tensor("self")?.f_expand(given.ints("size")?, false))),
    ("aten.expand_as.default", |given| one(given.tensor("self")?.f_expand_as(given.tensor("other")?))),
    ("aten.flatten.using_ints", |given| {
        one(given.tensor("self")?.f_flatten(given.int_or("start_dim", 0)?, given.int_or("end_dim", -1)?))
    }),
    ("aten.flip.default", |given| one(given.tensor("self")?.f_flip(given.ints("dims")?))),
    ("aten.gather.default", |given| {
        one(given.tensor("self")?.f_gather(given.int("dim")?, given.tensor("index")?, false))
    }),
    ("aten.hstack.default", |given| one(Tensor::f_hstack(&given.tensors("tensors")?))),
    ("aten.index.Tensor", |given| one(given.tensor("self")?.f_index(&given.maybe_tensors("indices")?))),
    ("aten.index_put.default", |given| {
        let (indices, accumulate) = (given.maybe_tensors("indices")?, given.flag("accumulate", false)?);
        one(given.tensor("self")?.f_index_put(&indices, given.tensor("values")?, accumulate))
    }),
    ("aten.index_select.default", |given| {
        one(given.tensor("self")?.f_index_select(given.int("dim")?, given.tensor("index")?))
    }),
    ("aten.meshgrid.default", |given| several(Tensor::f_meshgrid_indexing(&given.tensors("tensors")?, "ij"))),
    ("aten.meshgrid.indexing", |given| {
        several(Tensor::f_meshgrid_indexing(&given.tensors("tensors")?, given.text("indexing")?.unwrap_or("ij")))
    }),
    ("aten.movedim.int", |given| one(given.tensor("self")?.f_movedim(given.int("source")?, given.int("destination")?))),
    ("aten.movedim.intlist", |given| {
        one(given.tensor("self")?.f_movedim(given.ints("source")?, given.ints("destination")?))
    }),
    ("aten.narrow.default", |given| {
        one(given.tensor("self")?.f_narrow(given.int("dim")?, given.int("start")?, given.int("length")?))
    }),
    ("aten.numpy_T.default", |given| one(given.tensor("self")?.f_numpy_t())),
    ("aten.permute.default", |given| one(given.tensor("self")?.f_permute(given.ints("dims")?))),
    ("aten.repeat.default", |given| {
        let (xs, times) = (given.tensor("self")?, given.ints("repeats")?);
        given.check_grown(times.iter().copied().chain([xs.numel() as i64]))?;
        one(xs.f_repeat(times))
    }),
    ("aten.repeat_interleave.self_int", |given| {
        given.check_grown([given.int("repeats")?, given.tensor("self")?.numel() as i64])?;
        one(given.tensor("self")?.f_repeat_interleave_self_int(
            given.int("repeats")?,
            given.maybe_int("dim")?,
            given.maybe_int("output_size")?,
        ))
    }),
    ("aten.reshape.default", |given| one(given.tensor("self")?.f_reshape(given.ints("shape")?))),
    ("aten.reshape_as.default", |given| one(given.tensor("self")?.f_reshape_as(given.tensor("other")?))),
    ("aten.roll.default", |given| {
        one(given.tensor("self")?.f_roll(given.ints("shifts")?, given.ints_or("dims", &[])?))
    }),
    ("aten.scatter.src", |given| {
        one(given.tensor("self")?.f_scatter(given.int("dim")?, given.tensor("index")?, given.tensor("src")?))
    }),
    ("aten.scatter.value", |given| {
        one(given.tensor("self")?.f_scatter_value(given.int("dim")?, given.tensor("index")?, given.number("value")?))
    }),
    ("aten.select.int", |given| one(given.tensor("self")?.f_select(given.int("dim")?, given.int("index")?))),
    ("aten.select_scatter.default", |given| {
        one(given.tensor("self")?.f_select_scatter(given.tensor("src")?, given.int("dim")?, given.int("index")?))
    }),
    ("aten.slice.Tensor", |given| {
        let (start, end) = (given.maybe_int("start")?, given.maybe_int("end")?);
        one(given.tensor("self")?.f_slice(given.int_or("dim", 0)?, start, end, given.int_or("step", 1)?))
    }),
    ("aten.slice_scatter.default", |given| {
        let (start, end) = (given.maybe_int("start")?, given.maybe_int("end")?);
        let (dim, step) = (given.int_or("dim", 0)?, given.int_or("step", 1)?);
        one(given.tensor("self")?.f_slice_scatter(given.tensor("src")?, dim, start, end, step))
    }),
    ("aten.split.Tensor", |given| {
        several(given.tensor("self")?.f_split(given.int("split_size")?, given.int_or("dim", 0)?))
    }),
    ("aten.split.sizes", |given| {
        several(given.tensor("self")?.f_split_sizes(given.ints("split_size")?, given.int_or("dim", 0)?))
    }),
    ("aten.split_with_sizes.default", |given| {
        several(given.tensor("self")?.f_split_with_sizes(given.ints("split_sizes")?, given.int_or("dim", 0)?))
    }),
    ("aten.squeeze.default", |given| one(given.tensor("self")?.f_squeeze())),
    ("aten.squeeze.dim", |given| one(given.tensor("self")?.f_squeeze_dim(given.int("dim")?))),
    ("aten.squeeze.dims", |given| one(given.tensor("self")?.f_squeeze_dims(given.ints("dim")?))),
    ("aten.stack.default", |given| one(Tensor::f_stack(&given.tensors("tensors")?, given.int_or("dim", 0)?))),
    ("aten.swapaxes.default", |given| one(given.tensor("self")?.f_swapaxes(given.int("axis0")?, given.int("axis1")?))),
    ("aten.swapdims.default", |given| one(given.tensor("self")?.f_swapdims(given.int("dim0")?, given.int("dim1")?))),
    ("aten.t.default", |given| {
        let xs = given.tensor("self")?;
        if xs.dim() < 2 { same(given) } else { one(xs.f_transpose(0, 1)) }
    }),
    ("aten.tensor_split.indices", |given| {
        several(given.tensor("self")?.f_tensor_split_indices(given.ints("indices")?, given.int_or("dim", 0)?))
    }),
    ("aten.tensor_split.sections", |given| {
        several(given.tensor("self")?.f_tensor_split(given.int("sections")?, given.int_or("dim", 0)?))
    }),
    ("aten.tile.default", |given| {
        let (xs, times) = (given.tensor("self")?, given.ints("dims")?);
        given.check_grown(times.iter().copied().chain([xs.numel() as i64]))?;
        one(xs.f_tile(times))
    }),
    ("aten.transpose.int", |given| one(given.tensor("self")?.f_transpose(given.int("dim0")?, given.int("dim1")?))),
    ("aten.unbind.int", |given| several(given.tensor("self")?.f_unbind(given.int_or("dim", 0)?))),
    ("aten.unflatten.int", |given| one(given.tensor("self")?.f_unflatten(given.int("dim")?, given.ints("sizes")?))),
    ("aten.unfold.default", |given| {
        one(given.tensor("self")?.f_unfold(given.int("dimension")?, given.int("size")?, given.int("step")?))
    }),
    ("aten.unsqueeze.default", |given| one(given.tensor("self")?.f_unsqueeze(given.int("dim")?))),
    ("aten.view.default", view),
    ("aten.view_as.default", |given| one(given.tensor("self")?.f_reshape_as(given.tensor("other")?))),
    ("cbam.at.default", |given| one(Ok(at(given.tensor("self")?, given.tensor("point")?)?))),
];

/// A view, or a copy where the elements lie otherwise here than they did in PyTorch.
fn view(given: &Given<'_>) -> Result<Made> {
    one(given.tensor("self")?.f_reshape(given.ints("size")?))
}

/// The place of maps `[N, h, w]`, or `[N, 1, h, w]`, that lies over a point, in fractions of their width and height.
fn at(maps: &Tensor, point: &Tensor) -> Result<Tensor> {
    let maps = match maps.size()[..] {
        [_, 1, _, _] => maps.f_select(1, 0)?,
        [_, _, _] => maps.shallow_clone(),
        ref size => {
            let message =
                format!("a pixel is of maps [N, h, w], and this is {size:?}: choose one of its maps, as [:, 3] does");
            return Err(Error::argument("score", message));
        }
    };
    let [rows, columns] = [maps.size()[1], maps.size()[2]];
    if rows.min(columns) < 1 {
        return Err(Error::argument("score", "a pixel is of maps, and this has no places"));
    }
    let index = |place: i64, side: i64| -> Result<i64> {
        Ok(((point.f_double_value(&[place])? * side as f64) as i64).clamp(0, side - 1))
    };
    Ok(maps.f_select(2, index(0, columns)?)?.f_select(1, index(1, rows)?)?)
}
