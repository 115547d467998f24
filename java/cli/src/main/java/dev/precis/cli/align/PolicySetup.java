package dev.precis.cli.align;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.cli.common.AvailableMemory;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.MemoryCheck;
import dev.precis.cli.options.MethodOptions;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.RunTarget;
import dev.precis.cli.train.RunConfig;
import dev.precis.heads.ValueHead;
import dev.precis.t5.T5Config;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
import dev.precis.training.WeightMemory;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Opens the starting point of every alignment: the policy, its reference and the run.
 *
 * @param adapter that the policy starts from; null for none
 * @param reference {@code base}, {@code adapter:DIR}, {@code checkpoint:DIR} or {@code none}
 * @param dropout of the model, and of adapters without a dropout of their own
 */
record PolicySetup(
    BaseCommand command,
    String algorithm,
    String model,
    String adapter,
    String reference,
    RunTarget run,
    MethodOptions method,
    PromptOptions prompts,
    float dropout) {

  /** Returns the folder of the model. */
  Path folder() {
    return command.resolve(model);
  }

  /** Returns the same alignment in another run. */
  PolicySetup in(RunTarget other) {
    return new PolicySetup(
        command, algorithm, model, adapter, reference, other, method, prompts, dropout);
  }

  /** Returns an alignment that starts from the result of this one, which is also its reference. */
  PolicySetup continuedFrom(Path result) {
    boolean lora = method.lora();
    return new PolicySetup(
        command,
        algorithm,
        lora ? model : result.toString(),
        lora ? result.toString() : null,
        reference.equals("none") ? reference : lora ? "adapter:" + result : "base",
        run,
        method,
        prompts,
        dropout);
  }

  private float loraDropout() {
    return command.given("--lora-dropout") ? method.loraDropout() : dropout;
  }

  /**
   * Refuses weights that do not fit into the memory that is available, before any is loaded.
   *
   * @param compares whether the reference is loaded too
   * @param others bytes of the weights of reward models
   */
  void checkMemory(Optimizer.Settings optimizer, boolean compares, long others) {
    if (!run.checksMemory()) {
      return;
    }
    DType dtype = command.common().trainingType();
    T5Config config = T5Config.read(folder());
    Map<String, Long> parts =
        new LinkedHashMap<>(method.weightMemory(command, config, dtype, optimizer).parts());
    if (compares && reference.startsWith("checkpoint:")) {
      Path other = command.resolve(reference.substring("checkpoint:".length()));
      parts.put("reference", WeightMemory.underAdapters(T5Config.read(other), dtype));
    } else if (compares && !method.lora()) {
      parts.put("reference", WeightMemory.frozen(config, dtype));
    }
    parts.put("reward model", others);
    MemoryCheck.requireBeforeLoading(
        new MemoryPlan(parts),
        AvailableMemory.ofThisProcess(),
        command,
        "--method, --reference or --dtype bfloat16, or take a smaller model");
  }

  /** Loads the policy. */
  TrainableT5 policy() {
    command.common().requireDevice();
    var dtype = command.common().trainingType();
    var device = command.common().deviceOptions().manyRows(false); // it generates too
    if (!method.lora()) {
      return TrainableT5.full(folder(), dtype, dropout, device);
    }
    var base = new TrainableT5.Base(folder(), dtype, command.weightsCache(), device);
    return adapter != null
        ? TrainableT5.loraFrom(base, command.resolve(adapter), loraDropout(), dropout)
        : TrainableT5.lora(base, method.config(loraDropout()), dropout, command.common().seed());
  }

  /** Reads the value head that was saved with the adapter, where there is one. */
  boolean readValueHead(ValueHead head) {
    if (head == null || adapter == null) {
      return false;
    }
    try (PeftAdapter saved = PeftAdapter.open(command.resolve(adapter))) {
      return head.read(saved::valueHead);
    }
  }

  /** Returns whether the policy starts as its reference. */
  boolean sameAsReference() {
    if (reference.equals("base")) {
      return adapter == null;
    }
    if (reference.startsWith("adapter:")) {
      return adapter != null && sameWeights(reference.substring("adapter:".length()), adapter);
    }
    return adapter == null && sameWeights(reference.substring("checkpoint:".length()), model);
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
    if (adapter != null) {
      config.weights("adapter", adapter);
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
