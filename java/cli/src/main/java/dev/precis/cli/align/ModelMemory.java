package dev.precis.cli.align;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.encoder.EncoderConfig;
import dev.precis.encoder.EncoderFamily;
import dev.precis.io.Json;
import dev.precis.t5.T5Config;
import dev.precis.tensor.DType;
import dev.precis.training.WeightMemory;
import java.nio.file.Path;

/** Computes the memory of a reward's models from their configurations alone. */
final class ModelMemory {
  private ModelMemory() {}

  /**
   * Returns the bytes of the frozen weights of a classifier or a T5; 0 where the configuration does
   * not give the model's sizes.
   */
  static long frozen(Path folder, DType dtype) {
    String type = Json.readObject(ModelFolder.config(folder)).optionalText("model_type").orElse("");
    if (type.startsWith("HHEM")) {
      return 0;
    }
    return type.isEmpty() || EncoderFamily.modelTypes().contains(type)
        ? WeightMemory.frozen(EncoderConfig.read(folder), dtype)
        : WeightMemory.frozen(T5Config.read(folder), dtype);
  }
}
