/**
 * The engine as a library: inference, fine-tuning, evaluation and alignment of T5-family models.
 *
 * <p>The doors are {@link dev.precis.T5} and {@link dev.precis.Classifier}; programs that train use
 * {@code training} and {@code alignment}. What their signatures name is exported too: {@code ops},
 * {@code layers}, {@code t5}, {@code encoder} and {@code heads} are the level of single steps and
 * kernels, which may change in any release. The native calls are not exported.
 *
 * <p>On the module path it needs {@code --enable-native-access=dev.precis.core}.
 */
module dev.precis.core {
  requires java.net.http;
  requires static jdk.jfr; // where the program has the flight recorder
  requires transitive tools.jackson.core;
  requires transitive tools.jackson.databind;
  requires org.slf4j;
  requires de.siegmar.fastcsv;

  // Parquet and Zstandard, where the module dev.precis.data.parquet is present.
  uses dev.precis.data.CompressionFormat;
  uses dev.precis.data.TableFormat;

  exports dev.precis;
  exports dev.precis.alignment;
  exports dev.precis.alignment.policy;
  exports dev.precis.alignment.preference;
  exports dev.precis.alignment.reward;
  exports dev.precis.checkpoint;
  exports dev.precis.data;
  exports dev.precis.data.builtin;
  exports dev.precis.device;
  exports dev.precis.encoder;
  exports dev.precis.evaluation;
  exports dev.precis.evaluation.safety;
  exports dev.precis.generation;
  exports dev.precis.heads;
  exports dev.precis.hub;
  exports dev.precis.io;
  exports dev.precis.layers;
  exports dev.precis.lora;
  exports dev.precis.ops;
  exports dev.precis.review;
  exports dev.precis.review.comparison;
  exports dev.precis.review.exchange;
  exports dev.precis.t5;
  exports dev.precis.tensor;
  exports dev.precis.text;
  exports dev.precis.training;
}
