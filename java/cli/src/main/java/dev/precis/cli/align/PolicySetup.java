package dev.precis.cli.align;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.MethodOptions;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.RunOptions;
import dev.precis.cli.train.RunConfig;
import dev.precis.heads.ValueHead;
import dev.precis.training.TrainableT5;
import java.nio.file.Path;

/**
 * Opens the starting point of every alignment: the policy, its reference and the run.
 *
 * @param reference {@code base}, {@code adapter:DIR}, {@code checkpoint:DIR} or {@code none}
 * @param dropout of the model, and of adapters without a dropout of their own
 */
record PolicySetup(
    BaseCommand command,
    String algorithm,
    String model,
    String reference,
    RunOptions run,
    MethodOptions method,
    PromptOptions prompts,
    float dropout) {

  /** Returns the folder of the model. */
  Path folder() {
    return command.resolve(model);
  }

  private String adapter() {
    return method.initAdapter();
  }

  private float loraDropout() {
    return command.given("--lora-dropout") ? method.loraDropout() : dropout;
  }

  /** Loads the policy. */
  TrainableT5 policy() {
    command.common().requireDevice();
    var dtype = command.common().trainingType();
    var device = command.common().deviceOptions().manyRows(false); // it generates too
    if (!method.lora()) {
      return TrainableT5.full(folder(), dtype, dropout, device);
    }
    if (adapter() != null) {
      return TrainableT5.loraFrom(
          folder(), command.resolve(adapter()), loraDropout(), dtype, dropout, device);
    }
    return TrainableT5.lora(
        folder(), method.config(loraDropout()), dtype, dropout, command.common().seed(), device);
  }

  /** Reads the value head that was saved with the adapter, where there is one. */
  boolean readValueHead(ValueHead head) {
    if (head == null || adapter() == null) {
      return false;
    }
    try (PeftAdapter saved = PeftAdapter.open(command.resolve(adapter()))) {
      return head.read(saved::valueHead);
    }
  }

  /** Returns whether the policy starts as its reference. */
  boolean sameAsReference() {
    if (reference.equals("base")) {
      return adapter() == null;
    }
    if (reference.startsWith("adapter:")) {
      return adapter() != null && sameWeights(reference.substring("adapter:".length()), adapter());
    }
    return adapter() == null && sameWeights(reference.substring("checkpoint:".length()), model);
  }

  private boolean sameWeights(String name, String other) {
    return ModelFolder.weightsHash(command.resolve(name))
        .equals(ModelFolder.weightsHash(command.resolve(other)));
  }

  /** Begins the configuration of the run with all that is decided here. */
  RunConfig config() {
    RunConfig config =
        new RunConfig(command)
            .put("algorithm", algorithm)
            .put("method", method.method())
            .weights("model", model)
            .dtype();
    if (adapter() != null) {
      config.weights("adapter", adapter());
    } else if (method.lora()) {
      config.lora(
          lora -> {
            lora.shape(method.config());
            if (method.rslora()) {
              lora.put("rslora", true);
            }
          });
    }
    if (loraDropout() != dropout) {
      config.put("lora_dropout", RunConfig.decimal(loraDropout()));
    }
    return config.put("reference", reference).dropout(dropout).prompts(prompts);
  }
}
