package dev.precis.ops;

import dev.precis.ffi.Context;
import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_activation_args;
import dev.precis.ffi.generated.precis_activation_backward_args;
import dev.precis.ffi.generated.precis_add_args;
import dev.precis.ffi.generated.precis_add_bias_args;
import dev.precis.ffi.generated.precis_bias_gradient_args;
import dev.precis.ffi.generated.precis_convert_args;
import dev.precis.ffi.generated.precis_dropout_args;
import dev.precis.ffi.generated.precis_embedding_args;
import dev.precis.ffi.generated.precis_embedding_backward_args;
import dev.precis.ffi.generated.precis_layer_norm_args;
import dev.precis.ffi.generated.precis_layer_norm_backward_args;
import dev.precis.ffi.generated.precis_rms_norm_args;
import dev.precis.ffi.generated.precis_rms_norm_backward_args;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Kernels that go through a matrix row by row: embeddings, norms, activations, sums, dropout. */
final class RowKernels extends Kernels {
  private final MemorySegment convert = block(precis_convert_args.layout());
  private final MemorySegment add = block(precis_add_args.layout());
  private final MemorySegment addBias = block(precis_add_bias_args.layout());
  private final MemorySegment biasGradient = block(precis_bias_gradient_args.layout());
  private final MemorySegment dropout = block(precis_dropout_args.layout());
  private final MemorySegment embedding = block(precis_embedding_args.layout());
  private final MemorySegment embeddingBackward = block(precis_embedding_backward_args.layout());
  private final MemorySegment rmsNorm = block(precis_rms_norm_args.layout());
  private final MemorySegment rmsNormBackward = block(precis_rms_norm_backward_args.layout());
  private final MemorySegment layerNorm = block(precis_layer_norm_args.layout());
  private final MemorySegment layerNormBackward = block(precis_layer_norm_backward_args.layout());
  private final MemorySegment activation = block(precis_activation_args.layout());
  private final MemorySegment activationBackward = block(precis_activation_backward_args.layout());

  RowKernels(Context context, OpTimer timer, Arena arena) {
    super(context, timer, arena);
  }

  void convert(Tensor x, Tensor y) {
    put(convert, precis_convert_args.x$offset(), x);
    put(convert, precis_convert_args.y$offset(), y);
    check("convert", Precis.precis_convert(begin(), convert));
  }

  void add(Tensor x, float alpha, Tensor y) {
    put(add, precis_add_args.x$offset(), x);
    put(add, precis_add_args.y$offset(), y);
    precis_add_args.alpha(add, alpha);
    check("add", Precis.precis_add(begin(), add));
  }

  void addBias(Tensor y, Tensor bias) {
    put(addBias, precis_add_bias_args.y$offset(), y);
    put(addBias, precis_add_bias_args.bias$offset(), bias);
    check("add_bias", Precis.precis_add_bias(begin(), addBias));
  }

  void biasGradient(Tensor dy, Tensor dbias) {
    put(biasGradient, precis_bias_gradient_args.dy$offset(), dy);
    put(biasGradient, precis_bias_gradient_args.dbias$offset(), dbias);
    check("bias_gradient", Precis.precis_bias_gradient(begin(), biasGradient));
  }

  void dropout(Tensor x, Tensor y, DropoutMask mask, boolean accumulate) {
    put(dropout, precis_dropout_args.x$offset(), x);
    put(dropout, precis_dropout_args.y$offset(), y);
    precis_dropout_args.seed(dropout, mask.seed());
    precis_dropout_args.offset(dropout, mask.offset());
    precis_dropout_args.probability(dropout, mask.probability());
    put(dropout, precis_dropout_args.dropout_rows$offset(), mask.rows());
    precis_dropout_args.accumulate(dropout, flag(accumulate));
    check("dropout", Precis.precis_dropout(begin(), dropout));
  }

  void embedding(Tensor table, Tensor ids, Tensor y, Tensor yRows) {
    put(embedding, precis_embedding_args.table$offset(), table);
    put(embedding, precis_embedding_args.ids$offset(), ids);
    put(embedding, precis_embedding_args.y$offset(), y);
    put(embedding, precis_embedding_args.y_rows$offset(), yRows);
    check("embedding", Precis.precis_embedding(begin(), embedding));
  }

  void embeddingBackward(Tensor ids, Tensor dy, Tensor dtable) {
    put(embeddingBackward, precis_embedding_backward_args.ids$offset(), ids);
    put(embeddingBackward, precis_embedding_backward_args.dy$offset(), dy);
    put(embeddingBackward, precis_embedding_backward_args.dtable$offset(), dtable);
    check("embedding_backward", Precis.precis_embedding_backward(begin(), embeddingBackward));
  }

  void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    put(rmsNorm, precis_rms_norm_args.x$offset(), x);
    put(rmsNorm, precis_rms_norm_args.weight$offset(), weight);
    put(rmsNorm, precis_rms_norm_args.y$offset(), y);
    precis_rms_norm_args.epsilon(rmsNorm, epsilon);
    check("rms_norm", Precis.precis_rms_norm(begin(), rmsNorm));
  }

  void rmsNormBackward(
      Tensor x,
      Tensor weight,
      float epsilon,
      Tensor dy,
      Tensor dx,
      boolean accumulate,
      Tensor dweight) {
    put(rmsNormBackward, precis_rms_norm_backward_args.x$offset(), x);
    put(rmsNormBackward, precis_rms_norm_backward_args.weight$offset(), weight);
    put(rmsNormBackward, precis_rms_norm_backward_args.dy$offset(), dy);
    put(rmsNormBackward, precis_rms_norm_backward_args.dx$offset(), dx);
    put(rmsNormBackward, precis_rms_norm_backward_args.dweight$offset(), dweight);
    precis_rms_norm_backward_args.epsilon(rmsNormBackward, epsilon);
    precis_rms_norm_backward_args.accumulate(rmsNormBackward, flag(accumulate));
    check("rms_norm_backward", Precis.precis_rms_norm_backward(begin(), rmsNormBackward));
  }

  void layerNorm(Tensor x, Tensor weight, Tensor bias, float epsilon, Tensor y) {
    put(layerNorm, precis_layer_norm_args.x$offset(), x);
    put(layerNorm, precis_layer_norm_args.weight$offset(), weight);
    put(layerNorm, precis_layer_norm_args.bias$offset(), bias);
    put(layerNorm, precis_layer_norm_args.y$offset(), y);
    precis_layer_norm_args.epsilon(layerNorm, epsilon);
    check("layer_norm", Precis.precis_layer_norm(begin(), layerNorm));
  }

  void layerNormBackward(
      Tensor x, Tensor weight, float epsilon, Tensor dy, LayerNormGradients gradients) {
    put(layerNormBackward, precis_layer_norm_backward_args.x$offset(), x);
    put(layerNormBackward, precis_layer_norm_backward_args.weight$offset(), weight);
    put(layerNormBackward, precis_layer_norm_backward_args.dy$offset(), dy);
    put(layerNormBackward, precis_layer_norm_backward_args.dx$offset(), gradients.dx());
    put(layerNormBackward, precis_layer_norm_backward_args.dweight$offset(), gradients.dweight());
    put(layerNormBackward, precis_layer_norm_backward_args.dbias$offset(), gradients.dbias());
    precis_layer_norm_backward_args.epsilon(layerNormBackward, epsilon);
    precis_layer_norm_backward_args.accumulate(layerNormBackward, flag(gradients.accumulate()));
    check("layer_norm_backward", Precis.precis_layer_norm_backward(begin(), layerNormBackward));
  }

  void activation(Tensor x, Activation kind, boolean gated, Tensor y) {
    put(activation, precis_activation_args.x$offset(), x);
    put(activation, precis_activation_args.y$offset(), y);
    precis_activation_args.kind(activation, kind.ordinal());
    precis_activation_args.gated(activation, flag(gated));
    check("activation", Precis.precis_activation(begin(), activation));
  }

  void activationBackward(Tensor x, Activation kind, boolean gated, Tensor dy, Tensor dx) {
    put(activationBackward, precis_activation_backward_args.x$offset(), x);
    put(activationBackward, precis_activation_backward_args.dy$offset(), dy);
    put(activationBackward, precis_activation_backward_args.dx$offset(), dx);
    precis_activation_backward_args.kind(activationBackward, kind.ordinal());
    precis_activation_backward_args.gated(activationBackward, flag(gated));
    check("activation_backward", Precis.precis_activation_backward(begin(), activationBackward));
  }
}
