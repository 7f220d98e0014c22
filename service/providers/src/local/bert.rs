//! The encoder of BERT: tokens in, a vector for each token out.
//!
//! Source: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 2018. The names
//! of the tensors are those that Hugging Face's `BertModel` writes.

use std::collections::HashMap;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module as _};
use serde::Deserialize;

/// The shape of a model, as its `config.json` has it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Shape {
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) layer_norm_eps: f64,
    pub(super) hidden_act: String,
}

/// An encoder.
pub(super) struct Bert {
    words: Embedding,
    positions: Embedding,
    /// The vector of the first kind of text; there is no second here.
    kind: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    heads: usize,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    wide: Linear,
    narrow: Linear,
    norm: LayerNorm,
}

/// The tensors of a file, taken one by one.
pub(super) struct Tensors(pub(super) HashMap<String, Tensor>);

impl Tensors {
    fn take(&mut self, name: &str) -> Result<Tensor> {
        let tensor =
            self.0.remove(name).ok_or_else(|| candle_core::Error::CannotFindTensor { path: name.to_owned() })?;
        tensor.to_dtype(DType::F32)
    }

    fn linear(&mut self, name: &str) -> Result<Linear> {
        Ok(Linear::new(self.take(&format!("{name}.weight"))?, Some(self.take(&format!("{name}.bias"))?)))
    }

    fn norm(&mut self, name: &str, eps: f64) -> Result<LayerNorm> {
        Ok(LayerNorm::new(self.take(&format!("{name}.weight"))?, self.take(&format!("{name}.bias"))?, eps))
    }
}

impl Bert {
    /// The model that these tensors are.
    pub(super) fn new(mut tensors: Tensors, shape: &Shape) -> Result<Self> {
        let (size, eps) = (shape.hidden_size, shape.layer_norm_eps);
        let words = Embedding::new(tensors.take("embeddings.word_embeddings.weight")?, size);
        let positions = Embedding::new(tensors.take("embeddings.position_embeddings.weight")?, size);
        let kind = tensors.take("embeddings.token_type_embeddings.weight")?.get(0)?;
        let norm = tensors.norm("embeddings.LayerNorm", eps)?;
        let layers = (0..shape.num_hidden_layers).map(|index| Layer::new(&mut tensors, index, eps));
        let layers = layers.collect::<Result<_>>()?;
        Ok(Self { words, positions, kind, norm, layers, heads: shape.num_attention_heads })
    }

    /// A vector for each token of each text. `ids` and `mask` have a row for each text; what the mask has as 0 is padding.
    pub(super) fn forward(&self, ids: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let (_, length) = ids.dims2()?;
        let places = Tensor::arange(0, u32::try_from(length).unwrap_or(u32::MAX), &Device::Cpu)?;
        let embedded = self.words.forward(ids)?.broadcast_add(&self.positions.forward(&places)?)?;
        let mut hidden = self.norm.forward(&embedded.broadcast_add(&self.kind)?)?;
        // Added to scores: nothing for tokens, so much that nothing is left of them for padding.
        let bias = ((mask.to_dtype(DType::F32)? - 1.0)? * 1e9)?.unsqueeze(1)?.unsqueeze(1)?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden, &bias, self.heads)?;
        }
        Ok(hidden)
    }
}

impl Layer {
    fn new(tensors: &mut Tensors, index: usize, eps: f64) -> Result<Self> {
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        Ok(Self {
            query: tensors.linear(&name("attention.self.query"))?,
            key: tensors.linear(&name("attention.self.key"))?,
            value: tensors.linear(&name("attention.self.value"))?,
            attended: tensors.linear(&name("attention.output.dense"))?,
            attended_norm: tensors.norm(&name("attention.output.LayerNorm"), eps)?,
            wide: tensors.linear(&name("intermediate.dense"))?,
            narrow: tensors.linear(&name("output.dense"))?,
            norm: tensors.norm(&name("output.LayerNorm"), eps)?,
        })
    }

    fn forward(&self, hidden: &Tensor, bias: &Tensor, heads: usize) -> Result<Tensor> {
        let (batch, length, size) = hidden.dims3()?;
        let split = |linear: &Linear| -> Result<Tensor> {
            let projected = linear.forward(hidden)?.reshape((batch, length, heads, size / heads))?;
            projected.transpose(1, 2)?.contiguous()
        };
        let (query, key, value) = (split(&self.query)?, split(&self.key)?, split(&self.value)?);
        let scale = 1.0 / ((size / heads) as f64).sqrt();
        let scores = (query.matmul(&key.transpose(2, 3)?.contiguous()?)? * scale)?.broadcast_add(bias)?;
        let attended = candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&value)?;
        let attended = attended.transpose(1, 2)?.contiguous()?.reshape((batch, length, size))?;
        let hidden = self.attended_norm.forward(&(self.attended.forward(&attended)? + hidden)?)?;
        let wide = self.wide.forward(&hidden)?.gelu_erf()?;
        self.norm.forward(&(self.narrow.forward(&wide)? + hidden)?)
    }
}
