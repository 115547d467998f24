package dev.precis.tools.gpu;

/**
 * A T5, and what one launch file was recorded with.
 *
 * @param d width of the model
 * @param f width of the gated feed-forward layer
 * @param vocabulary tokens
 * @param layers of the encoder, and of the decoder
 * @param batch sequences; 0: single kernels, whose grids have their shapes
 * @param source tokens of each
 * @param target tokens of each; in decoding, the step that is looked at
 * @param rank of LoRA
 */
record Shape(
    int d, int f, int vocabulary, int layers, int batch, int source, int target, int rank) {
  /** Returns FLAN-T5-base's. */
  static Shape base(int batch, int source, int target, int rank) {
    return new Shape(768, 2048, 32128, 12, batch, source, target, rank);
  }

  /** Returns the trained parameters of LoRA on q and v of every attention. */
  double loraParameters() {
    return 6.0 * layers * rank * 2 * d;
  }

  /** Returns the bytes that a decoding step reads at least, in bfloat16. */
  double stepBytes() {
    double weights = layers * (6.0 * d * d + 3.0 * d * f) + (double) vocabulary * d;
    return 2 * (weights + 2.0 * d * layers * batch * (source + target));
  }
}
