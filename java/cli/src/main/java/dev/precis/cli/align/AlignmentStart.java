package dev.precis.cli.align;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.cli.common.BaseCommand;
import dev.precis.heads.ValueHead;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.text.PromptTemplate;
import dev.precis.training.TrainableT5;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Where an alignment begins: the policy, its reference and the run; whatever the algorithm is. */
public record AlignmentStart(
    String algorithm,
    String model,
    String adapter,
    String reference,
    String method,
    Path output,
    boolean resume,
    int rank,
    float loraAlpha,
    String targetModules,
    float dropout,
    String template,
    int maxSourceLength) {

  public boolean lora() {
    return method.equals("lora");
  }

  /** The policy, loaded. */
  public TrainableT5 policy(BaseCommand command) {
    command.common().requireDevice();
    Path folder = command.resolve(model);
    var dtype = command.common().trainingType();
    var device = command.common().contextOptions().manyRows(false); // it generates too
    if (!lora()) {
      return TrainableT5.full(folder, dtype, dropout, device);
    }
    if (adapter != null) {
      return TrainableT5.loraFrom(
          folder, command.resolve(adapter), dropout, dtype, dropout, device);
    }
    return TrainableT5.lora(folder, config(), dtype, dropout, command.common().seed(), device);
  }

  private LoraConfig config() {
    // Commas separate names; an expression may have them inside.
    List<String> targets =
        targetModules.matches("[A-Za-z0-9_.,\\- ]+")
            ? List.of(targetModules.trim().split("[, ]+"))
            : List.of(targetModules);
    return new LoraConfig(rank, loraAlpha, dropout, targets, false);
  }

  /** Takes the value head that was saved with the adapter, where there is one. */
  public boolean readValueHead(BaseCommand command, ValueHead head) {
    if (head == null || adapter == null) {
      return false;
    }
    try (PeftAdapter saved = PeftAdapter.open(command.resolve(adapter))) {
      return head.read(saved::valueHead);
    }
  }

  /** Whether the policy starts as its reference. */
  public boolean sameAsReference(BaseCommand command) {
    if (reference.equals("base")) {
      return adapter == null;
    }
    if (reference.startsWith("adapter:")) {
      return adapter != null
          && ModelFolder.weightsHash(command.resolve(reference.substring("adapter:".length())))
              .equals(ModelFolder.weightsHash(command.resolve(adapter)));
    }
    return adapter == null
        && ModelFolder.weightsHash(command.resolve(reference.substring("checkpoint:".length())))
            .equals(ModelFolder.weightsHash(command.resolve(model)));
  }

  /**
   * Makes sure that the result belongs to the model, once the run is over.
   *
   * @throws InvalidInputException where the model is not what it was
   */
  public void checkModelUnchanged(BaseCommand command) {
    String hash = Json.readObject(output.resolve("config.json")).text("model_sha256");
    if (!hash.equals(ModelFolder.weightsHash(command.resolve(model)))) {
      throw new InvalidInputException(
          model + " changed while it was aligned: the result does not belong to it");
    }
  }

  public PromptTemplate promptTemplate() {
    return template == null
        ? PromptTemplate.DEFAULT
        : template.contains("{")
            ? PromptTemplate.of(template.replace("\\n", "\n"))
            : PromptTemplate.read(Path.of(template));
  }

  /** Everything here that decides what a run does, for its config.json. */
  public void writeTo(ObjectNode json, BaseCommand command) {
    json.put("algorithm", algorithm);
    json.put("method", method);
    json.put("model", model);
    json.put("model_sha256", ModelFolder.weightsHash(command.resolve(model)));
    json.put("dtype", command.common().trainingType().name().toLowerCase(Locale.ROOT));
    if (adapter != null) {
      json.put("adapter", adapter);
      json.put("adapter_sha256", ModelFolder.weightsHash(command.resolve(adapter)));
    } else if (lora()) {
      ObjectNode lora = json.putObject("lora");
      LoraConfig config = config();
      lora.put("rank", config.rank());
      lora.put("alpha", decimal(config.alpha()));
      ArrayNode targets = lora.putArray("target_modules");
      config.targetModules().forEach(targets::add);
    }
    json.put("reference", reference);
    json.put("dropout", decimal(dropout));
    json.put("template", template == null ? "default" : promptTemplate().text());
    json.put("max_source_length", maxSourceLength);
  }

  /** The shortest decimal that is this float, so that 0.05 is written as 0.05. */
  public static double decimal(float value) {
    return Double.parseDouble(Float.toString(value));
  }

  /** A fresh object for {@link #writeTo}. */
  public static ObjectNode json() {
    return Json.mapper().createObjectNode();
  }
}
