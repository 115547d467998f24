package dev.precis.layers;

/**
 * A layer of the model inside a {@link Linear}, where several that read the same input are one
 * product.
 *
 * @param name its module name, such as {@code encoder.block.0.layer.0.SelfAttention.q}
 * @param outputBegin its first output in the product's
 * @param outputEnd behind its last
 */
public record Part(String name, long outputBegin, long outputEnd) {
  /** Returns how many outputs the layer has. */
  public long outputs() {
    return outputEnd - outputBegin;
  }
}
