package dev.precis.lora;

import dev.precis.checkpoint.SafeTensors;
import dev.precis.io.AtomicFile;
import dev.precis.io.Json;
import dev.precis.layers.Parameters.Parameter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/** Writes PEFT folders; each file appears when it is complete. */
final class PeftFolder {
  private PeftFolder() {}

  /** Begins a configuration with the keys that every kind of adapter has. */
  static ObjectNode configuration(String kind, String baseModel) {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("base_model_name_or_path", baseModel);
    json.put("inference_mode", true);
    json.put("peft_type", kind);
    json.put("task_type", "SEQ_2_SEQ_LM");
    return json;
  }

  /**
   * Writes the weights, then the configuration.
   *
   * @param others further parameters in the same file under their own names
   */
  static void write(
      Path folder, TrainedAdapter adapter, ObjectNode configuration, List<Parameter> others) {
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot make the folder " + folder + ": " + e.getMessage(), e);
    }
    List<SafeTensors.Source> tensors = new ArrayList<>();
    for (Parameter parameter : adapter.parameters().all()) {
      tensors.add(
          new SafeTensors.Source(
              adapter.tensorName(parameter.name()),
              parameter.value().dtype(),
              parameter.source().shape(),
              () -> parameter.value().toHost()));
    }
    others.forEach(parameter -> tensors.add(parameter.source()));
    SafeTensors.writeSources(
        folder.resolve("adapter_model.safetensors"), tensors, Map.of("format", "pt"));
    AtomicFile.writeText(
        folder.resolve("adapter_config.json"), configuration.toPrettyString() + "\n");
  }
}
