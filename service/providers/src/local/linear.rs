//! Products with weight matrices, laid out for candle's fast kernels.
//!
//! On x86 with AVX-512 VNNI or AVX-VNNI, candle multiplies Q8_0 matrices two to ten times as fast as otherwise, but
//! only if they have a multiple of 256 inputs. SmolLM2 has 576. Such a matrix can be cut into one of 512 columns, which
//! takes the fast path, and one of 64, which does not. The price is precision: the fast path rounds 256 inputs to one
//! scale, the other 32. Where there is no fast path, a product with many rows is faster in 32-bit floats, even though
//! the weights are turned into such first.

use candle_core::{
    Device, Module, Result, Tensor,
    quantized::{GgmlDType, QMatMul},
};

use super::gguf::Matrix;

/// The inputs and the outputs that the fast kernels on x86 take at a time.
const TILE_COLUMNS: usize = 256;
const TILE_ROWS: usize = 16;

/// Rows of input from which on it pays to turn weights without a fast kernel into floats.
const MANY_ROWS: usize = 16;

/// A linear map: the sum of the products of its column ranges.
pub(crate) struct Linear {
    parts: Vec<Part>,
}

struct Part {
    first: usize,
    columns: usize,
    weights: QMatMul,
    fast: bool,
}

/// Several linear maps of the same input, their outputs side by side.
pub(crate) struct Projection {
    maps: Vec<Linear>,
    bias: Option<Tensor>,
}

impl Linear {
    /// Cut for speed, if that helps.
    pub(crate) fn tiled(matrix: &Matrix) -> Result<Self> {
        if !should_cut(matrix) {
            return Self::whole(matrix);
        }
        let tiled = matrix.columns() / TILE_COLUMNS * TILE_COLUMNS;
        let part =
            |first: usize, columns: usize| -> Result<Part> { Part::new(first, &matrix.slice_columns(first, columns)) };
        Ok(Self { parts: vec![part(0, tiled)?, part(tiled, matrix.columns() - tiled)?] })
    }

    /// In one piece: where precision is worth more than speed, and for tables that are only looked up in.
    pub(crate) fn whole(matrix: &Matrix) -> Result<Self> {
        Ok(Self { parts: vec![Part::new(0, matrix)?] })
    }

    /// Some rows of the matrix: of an output matrix that is also the embedding, the tokens' vectors.
    pub(crate) fn rows(&self, indices: &Tensor) -> Result<Tensor> {
        let rows = self.parts.iter().map(|part| part.weights.embedding(indices)).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&rows, 1)
    }

    pub(crate) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let [whole] = self.parts.as_slice() else {
            let mut products = self.parts.iter().map(|part| {
                let columns = input.narrow(1, part.first, part.columns)?.contiguous()?;
                part.forward(&columns)
            });
            let first = products.next().unwrap_or_else(|| Err(candle_core::Error::msg("a map without weights")))?;
            return products.try_fold(first, |sum, product| sum + product?);
        };
        whole.forward(input)
    }
}

impl Part {
    fn new(first: usize, matrix: &Matrix) -> Result<Self> {
        let columns = matrix.columns();
        let fast = has_fast_kernel(matrix.dtype())
            && (!cfg!(target_arch = "x86_64")
                || columns.is_multiple_of(TILE_COLUMNS) && matrix.rows().is_multiple_of(TILE_ROWS));
        Ok(Self { first, columns, weights: QMatMul::from_qtensor(matrix.to_tensor()?)?, fast })
    }

    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        match &self.weights {
            QMatMul::QTensor(weights) if !self.fast && input.dim(0)? >= MANY_ROWS => {
                input.matmul(&weights.dequantize(&Device::Cpu)?.t()?)
            }
            weights => weights.forward(input),
        }
    }
}

impl Projection {
    /// `layout` is [`Linear::whole`] or [`Linear::tiled`]; `bias` has one number per output of all `matrices` together.
    pub(crate) fn new(
        matrices: Vec<Matrix>,
        bias: Option<Tensor>,
        layout: fn(&Matrix) -> Result<Linear>,
    ) -> Result<Self> {
        let maps = Matrix::stack(matrices).iter().map(layout).collect::<Result<_>>()?;
        Ok(Self { maps, bias })
    }

    pub(crate) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let output = match self.maps.as_slice() {
            [only] => only.forward(input)?,
            maps => Tensor::cat(&maps.iter().map(|map| map.forward(input)).collect::<Result<Vec<_>>>()?, 1)?,
        };
        match &self.bias {
            Some(bias) => output.broadcast_add(bias),
            None => Ok(output),
        }
    }
}

/// True if cutting the last columns off opens the fast path for the others.
fn should_cut(matrix: &Matrix) -> bool {
    cfg!(target_arch = "x86_64")
        && matrix.dtype() == GgmlDType::Q8_0
        && has_fast_kernel(GgmlDType::Q8_0)
        && matrix.columns() > TILE_COLUMNS
        && !matrix.columns().is_multiple_of(TILE_COLUMNS)
        && matrix.rows().is_multiple_of(TILE_ROWS)
}

/// Which types have tiled kernels in candle 0.11: on x86 by what the processor can do, on ARM always.
fn has_fast_kernel(dtype: GgmlDType) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let vnni = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
            || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni");
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        match dtype {
            GgmlDType::Q8_0 => vnni,
            GgmlDType::Q4K | GgmlDType::Q6K => vnni || avx2,
            _ => false,
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        matches!(dtype, GgmlDType::Q4_0 | GgmlDType::Q8_0 | GgmlDType::Q4K | GgmlDType::Q5K | GgmlDType::Q6K)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(rows: usize, columns: usize, seed: usize) -> Tensor {
        let value = |index: usize| ((index * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0;
        Tensor::from_vec((0..rows * columns).map(value).collect::<Vec<_>>(), (rows, columns), &Device::Cpu).unwrap()
    }

    #[test]
    fn a_product_in_pieces_is_the_product() {
        let weights = noise(32, 576, 1);
        let matrix = Matrix::rounded(&weights);
        for rows in [1, 3, MANY_ROWS + 1] {
            let input = noise(rows, 576, 2);
            let exact = input.matmul(&weights.t().unwrap()).unwrap().to_vec2::<f32>().unwrap();
            let size = exact.iter().flatten().map(|value| value.abs()).fold(0.0, f32::max);
            for map in [Linear::tiled(&matrix).unwrap(), Linear::whole(&matrix).unwrap()] {
                let product = map.forward(&input).unwrap().to_vec2::<f32>().unwrap();
                for (product, exact) in product.iter().flatten().zip(exact.iter().flatten()) {
                    assert!((product - exact).abs() < size * 0.02, "{rows} rows: {product} instead of {exact}");
                }
            }
        }
    }

    #[test]
    fn rows_come_back_whole_from_a_matrix_in_pieces() {
        let weights = noise(32, 576, 3);
        let rows =
            Linear::tiled(&Matrix::rounded(&weights)).unwrap().rows(&Tensor::new(&[5u32, 0], &Device::Cpu).unwrap());
        let rows = rows.unwrap().to_vec2::<f32>().unwrap();
        let expected = weights.to_vec2::<f32>().unwrap();
        for (row, expected) in rows.iter().zip([&expected[5], &expected[0]]) {
            assert!(row.len() == 576 && row.iter().zip(expected).all(|(value, exact)| (value - exact).abs() < 0.01));
        }
    }

    #[test]
    fn maps_of_one_input_stand_side_by_side() {
        let parts = [noise(32, 64, 4), noise(16, 64, 5)];
        let bias = Tensor::ones(48, candle_core::DType::F32, &Device::Cpu).unwrap();
        let matrices = parts.iter().map(Matrix::rounded).collect();
        let input = noise(2, 64, 6);
        let output = Projection::new(matrices, Some(bias), Linear::whole).unwrap().forward(&input).unwrap();
        let exact = input.matmul(&Tensor::cat(&parts, 0).unwrap().t().unwrap()).unwrap();
        assert_eq!(output.dims(), [2, 48]);
        let differences = ((output - exact).unwrap() - 1.0).unwrap().abs().unwrap().flatten_all().unwrap();
        assert!(differences.to_vec1::<f32>().unwrap().iter().all(|difference| *difference < 0.5));
    }
}
