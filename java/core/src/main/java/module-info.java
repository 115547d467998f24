/**
 * The engine as a library: inference, fine-tuning, evaluation and alignment of T5-family models.
 *
 * <p>On the module path it needs {@code
 * --enable-native-access=dev.precis.core,ai.djl.tokenizers,com.github.luben.zstd_jni,org.xerial.snappy}.
 */
module dev.precis.core {
  requires java.logging;
  requires java.net.http;
  requires transitive tools.jackson.core;
  requires transitive tools.jackson.databind;
  requires org.slf4j;
  requires de.siegmar.fastcsv;
  requires ai.djl.tokenizers;
  requires dev.hardwood.core;

  exports dev.precis;
  exports dev.precis.alignment;
  exports dev.precis.alignment.policy;
  exports dev.precis.alignment.preference;
  exports dev.precis.alignment.reward;
  exports dev.precis.checkpoint;
  exports dev.precis.data;
  exports dev.precis.data.builtin;
  exports dev.precis.evaluation;
  exports dev.precis.generation;
  exports dev.precis.hub;
  exports dev.precis.io;
  exports dev.precis.lora;
  exports dev.precis.tensor;
  exports dev.precis.text;
  exports dev.precis.training;
}
