//! Reads a GGUF file: typed metadata, and tensors in a form that candle multiplies fast.
//!
//! candle has vector kernels for Q4_0, Q8_0 and the K-quants, but not for Q4_1, Q5_0, Q5_1 and Q8_1: with those a token
//! costs three to four times as much. They are rewritten as Q8_0 while they are read, a megabyte of weights at a
//! time, so that loading never holds a second copy of the model. Knows nothing of layers or tokens.

use std::{
    borrow::Cow,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QStorage, QTensor, gguf_file},
};

use super::error::LoadError;

/// Elements that are rewritten to Q8_0 in one step; bounds the memory of the step to a few megabytes.
const TRANSCODE_ELEMENTS: usize = 1 << 20;

/// An open model file.
pub(crate) struct GgufFile {
    path: PathBuf,
    content: gguf_file::Content,
    reader: BufReader<File>,
    size: u64,
    fingerprint: u64,
}

/// A weight matrix, row-major, in the bytes of `dtype`.
pub(crate) struct Matrix {
    dtype: GgmlDType,
    rows: usize,
    columns: usize,
    bytes: Vec<u8>,
}

impl GgufFile {
    /// Opens the file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let read = |source| LoadError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        let size = file.metadata().map_err(read)?.len();
        let mut reader = BufReader::new(file);
        let content = gguf_file::Content::read(&mut reader)
            .map_err(|error| LoadError::Malformed { path: path.to_owned(), message: error.to_string() })?;
        Ok(Self { path: path.to_owned(), content, reader, size, fingerprint: 0xcbf2_9ce4_8422_2325 })
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// A hash of everything read so far. It tells two models apart; it is no protection against a forged file.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.content.metadata.get(key)? {
            gguf_file::Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn integer(&self, key: &str) -> Option<usize> {
        integer(self.content.metadata.get(key)?)
    }

    pub(crate) fn float(&self, key: &str) -> Option<f32> {
        match self.content.metadata.get(key)? {
            gguf_file::Value::F32(value) => Some(*value),
            gguf_file::Value::F64(value) => Some(*value as f32),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.content.metadata.get(key)? {
            gguf_file::Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn required_integer(&self, key: &str) -> Result<usize, LoadError> {
        self.integer(key).ok_or_else(|| self.malformed(format!("`{key}` is missing or not a whole number")))
    }

    /// The strings of an array. Taken, not copied: vocabularies are large, and each is needed once.
    pub(crate) fn take_texts(&mut self, key: &str) -> Result<Vec<String>, LoadError> {
        let Some(gguf_file::Value::Array(values)) = self.content.metadata.remove(key) else {
            return Err(self.malformed(format!("`{key}` is missing or not an array")));
        };
        let texts = values.into_iter().map(|value| match value {
            gguf_file::Value::String(text) => Some(text),
            _ => None,
        });
        texts
            .collect::<Option<_>>()
            .ok_or_else(|| self.malformed(format!("`{key}` holds something that is not a string")))
    }

    /// The numbers of an array; empty if there is no such array.
    pub(crate) fn integers(&self, key: &str) -> Vec<usize> {
        match self.content.metadata.get(key) {
            Some(gguf_file::Value::Array(values)) => values.iter().filter_map(integer).collect(),
            _ => Vec::new(),
        }
    }

    /// The type most of the weights are stored in, before any rewriting (`Q4_1`).
    pub(crate) fn quantisation(&self) -> String {
        let mut elements: Vec<(GgmlDType, usize)> = Vec::new();
        for info in self.content.tensor_infos.values() {
            let count = elements_of(info.shape.dims());
            match elements.iter_mut().find(|(dtype, _)| *dtype == info.ggml_dtype) {
                Some((_, total)) => *total = total.saturating_add(count),
                None => elements.push((info.ggml_dtype, count)),
            }
        }
        elements.into_iter().max_by_key(|(_, count)| *count).map_or_else(String::new, |(dtype, _)| format!("{dtype:?}"))
    }

    /// Weights in the file.
    pub(crate) fn parameters(&self) -> u64 {
        self.content
            .tensor_infos
            .values()
            .map(|info| elements_of(info.shape.dims()) as u64)
            .fold(0, u64::saturating_add)
    }

    pub(crate) fn has_tensor(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// Rows of a matrix, without reading it.
    pub(crate) fn rows(&self, name: &str) -> Result<usize, LoadError> {
        match self.content.tensor_infos.get(name).map(|info| info.shape.dims()) {
            Some(&[rows, _]) => Ok(rows),
            _ => Err(self.malformed(format!("tensor `{name}` is missing or not a matrix"))),
        }
    }

    /// Reads a matrix of `rows` outputs and `columns` inputs.
    pub(crate) fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<Matrix, LoadError> {
        let stored = self.locate(name, &[rows, columns])?;
        let block = stored.block_size();
        if !columns.is_multiple_of(block) {
            return Err(self.malformed(format!("tensor `{name}`: rows of {columns} are not whole blocks of {block}")));
        }
        let row_bytes = columns / block * stored.type_size();
        if !needs_transcoding(stored) {
            let bytes = self.read_bytes(rows * row_bytes)?;
            return Ok(Matrix { dtype: stored, rows, columns, bytes });
        }
        let rows_per_step = (TRANSCODE_ELEMENTS / columns).clamp(1, rows);
        let q8_row_bytes = columns / GgmlDType::Q8_0.block_size() * GgmlDType::Q8_0.type_size();
        let mut bytes = Vec::with_capacity(rows * q8_row_bytes);
        let mut done = 0;
        while done < rows {
            let count = rows_per_step.min(rows - done);
            let raw = self.read_bytes(count * row_bytes)?;
            let step = || -> candle_core::Result<QTensor> {
                let storage = QStorage::from_data(Cow::Borrowed(&raw), &Device::Cpu, stored)?;
                QTensor::quantize(&QTensor::new(storage, (count, columns))?.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)
            };
            let rewritten = step().map_err(|error| self.malformed(format!("tensor `{name}`: {error}")))?;
            let data = rewritten.data().map_err(|error| self.malformed(format!("tensor `{name}`: {error}")))?;
            bytes.extend_from_slice(&data);
            done += count;
        }
        Ok(Matrix { dtype: GgmlDType::Q8_0, rows, columns, bytes })
    }

    /// Reads a vector as 32-bit floats.
    pub(crate) fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, LoadError> {
        let dtype = self.locate(name, &[length])?;
        let bytes = self.read_bytes(length.div_ceil(dtype.block_size()) * dtype.type_size())?;
        let read = || -> candle_core::Result<Vec<f32>> {
            let storage = QStorage::from_data(Cow::Borrowed(&bytes), &Device::Cpu, dtype)?;
            QTensor::new(storage, length)?.dequantize(&Device::Cpu)?.to_vec1()
        };
        read().map_err(|error| self.malformed(format!("tensor `{name}`: {error}")))
    }

    /// An error about this file.
    pub(crate) fn malformed(&self, message: impl Into<String>) -> LoadError {
        LoadError::Malformed { path: self.path.clone(), message: message.into() }
    }

    /// An error that names a metadata value this engine does not accept.
    pub(crate) fn unsupported(
        &self,
        key: &'static str,
        found: impl Into<String>,
        accepted: &'static [&'static str],
    ) -> LoadError {
        LoadError::Unsupported { path: self.path.clone(), key, found: found.into(), accepted }
    }

    /// Mixes metadata that changes answers into the fingerprint.
    pub(crate) fn fingerprint_text(&mut self, text: &str) {
        self.mix(text.as_bytes());
    }

    /// Checks a tensor's shape and bounds, and places the reader at its first byte.
    fn locate(&mut self, name: &str, expected: &[usize]) -> Result<GgmlDType, LoadError> {
        let Some(info) = self.content.tensor_infos.get(name) else {
            return Err(self.malformed(format!("tensor `{name}` is missing")));
        };
        let (dtype, shape, offset) = (info.ggml_dtype, info.shape.dims().to_vec(), info.offset);
        if shape != expected {
            return Err(self.malformed(format!("tensor `{name}` has shape {shape:?}, expected {expected:?}")));
        }
        let start = self.content.tensor_data_offset.saturating_add(offset);
        let bytes = elements_of(expected).div_ceil(dtype.block_size()).saturating_mul(dtype.type_size());
        // Checked before anything is allocated: a forged header must not be able to ask for a terabyte.
        if start.saturating_add(bytes as u64) > self.size {
            return Err(self.malformed(format!("tensor `{name}` ends after the file does")));
        }
        let path = &self.path;
        let read = |source| LoadError::Read { path: path.clone(), source };
        self.reader.seek(SeekFrom::Start(start)).map_err(read)?;
        Ok(dtype)
    }

    fn read_bytes(&mut self, length: usize) -> Result<Vec<u8>, LoadError> {
        let mut bytes = vec![0; length];
        let path = &self.path;
        let read = |source| LoadError::Read { path: path.clone(), source };
        self.reader.read_exact(&mut bytes).map_err(read)?;
        self.mix(&bytes);
        Ok(bytes)
    }

    /// FNV-1a over 64-bit words: 98 MB in some ten milliseconds.
    fn mix(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in words.by_ref() {
            let word = word.iter().rev().fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
            self.fingerprint = (self.fingerprint ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        }
        for byte in words.remainder() {
            self.fingerprint = (self.fingerprint ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl Matrix {
    /// Puts matrices with the same inputs on top of each other if they have the same type; else hands them back.
    ///
    /// One product instead of two or three means one barrier between the threads instead of two or three.
    pub(crate) fn stack(matrices: Vec<Self>) -> Vec<Self> {
        let same = matrices.windows(2).all(|pair| pair[0].dtype == pair[1].dtype && pair[0].columns == pair[1].columns);
        if !same {
            return matrices;
        }
        let mut matrices = matrices.into_iter();
        let Some(mut stacked) = matrices.next() else {
            return Vec::new();
        };
        for matrix in matrices {
            stacked.rows += matrix.rows;
            stacked.bytes.extend_from_slice(&matrix.bytes);
        }
        vec![stacked]
    }

    /// Outputs.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn dtype(&self) -> GgmlDType {
        self.dtype
    }

    /// The matrix of only some columns, from `first` on; both numbers are whole blocks.
    pub(crate) fn slice_columns(&self, first: usize, count: usize) -> Self {
        let in_bytes = |columns: usize| columns / self.dtype.block_size() * self.dtype.type_size();
        let (start, end) = (in_bytes(first), in_bytes(first + count));
        let rows = self.bytes.chunks_exact(in_bytes(self.columns));
        let bytes = rows.flat_map(|row| &row[start..end]).copied().collect();
        Self { dtype: self.dtype, rows: self.rows, columns: count, bytes }
    }

    pub(crate) fn to_tensor(&self) -> candle_core::Result<QTensor> {
        let storage = QStorage::from_data(Cow::Borrowed(&self.bytes), &Device::Cpu, self.dtype)?;
        QTensor::new(storage, (self.rows, self.columns))
    }
}

#[cfg(test)]
impl Matrix {
    /// A matrix of these values, rounded to Q8_0.
    pub(crate) fn rounded(values: &Tensor) -> Self {
        let (rows, columns) = values.dims2().unwrap();
        let rounded = QTensor::quantize(values, GgmlDType::Q8_0).unwrap();
        Self { dtype: GgmlDType::Q8_0, rows, columns, bytes: rounded.data().unwrap().into_owned() }
    }
}

/// A vector of 32-bit floats as a tensor.
pub(crate) fn vector_tensor(values: Vec<f32>) -> candle_core::Result<Tensor> {
    let length = values.len();
    Tensor::from_vec(values, length, &Device::Cpu)
}

/// Elements of a shape from an untrusted header: a product that cannot wrap.
fn elements_of(shape: &[usize]) -> usize {
    shape.iter().copied().fold(1, usize::saturating_mul)
}

fn needs_transcoding(dtype: GgmlDType) -> bool {
    matches!(dtype, GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1 | GgmlDType::Q8_1)
}

fn integer(value: &gguf_file::Value) -> Option<usize> {
    use gguf_file::Value;
    match *value {
        Value::I8(value) => usize::try_from(value).ok(),
        Value::I16(value) => usize::try_from(value).ok(),
        Value::I32(value) => usize::try_from(value).ok(),
        Value::I64(value) => usize::try_from(value).ok(),
        Value::U8(value) => Some(value.into()),
        Value::U16(value) => Some(value.into()),
        Value::U32(value) => usize::try_from(value).ok(),
        Value::U64(value) => usize::try_from(value).ok(),
        _ => None,
    }
}
