package dev.precis.cli.options;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.cli.common.BaseCommand;
import dev.precis.lora.LoraAdapter;
import dev.precis.lora.LoraConfig;
import dev.precis.t5.T5Config;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import dev.precis.training.Optimizer;
import dev.precis.training.WeightMemory;
import java.util.List;
import java.util.TreeSet;
import picocli.CommandLine.Option;

/** Selects the trained weights: a new LoRA adapter, an existing one, or all weights. */
public final class MethodOptions extends LoraOptions {
  private static final List<String> SHAPE =
      List.of("--rank", "--lora-alpha", "--target-modules", "--rslora", "--modules-to-save");

  @Option(
      names = "--method",
      paramLabel = "lora|full",
      defaultValue = "lora",
      description =
          "lora trains an adapter on frozen weights, full trains all weights (default:"
              + " ${DEFAULT-VALUE}).")
  private String method;

  @Option(
      names = {"--init-adapter", "--adapter"},
      paramLabel = "ADAPTER",
      description =
          "LoRA: start from this PEFT adapter, with its own rank, alpha and modules; in align its"
              + " value head is used too.")
  private String initAdapter;

  /** {@code lora} or {@code full}. */
  public String method() {
    return method;
  }

  /** Returns whether adapters are trained rather than all weights. */
  public boolean lora() {
    return method.equals("lora");
  }

  /** Returns the name of the result in a run's folder: {@code adapter} or {@code model}. */
  public String resultName() {
    return lora() ? "adapter" : "model";
  }

  /** The adapter to start from; null for a new one. */
  public String initAdapter() {
    return initAdapter;
  }

  /**
   * Returns the memory that the weights of a training take, from the model's configuration and the
   * options alone.
   *
   * @param dtype that the run trains in
   */
  public MemoryPlan weightMemory(
      BaseCommand command, T5Config config, DType dtype, Optimizer.Settings optimizer) {
    if (!lora()) {
      return WeightMemory.full(config, dtype, optimizer);
    }
    if (initAdapter == null) {
      return WeightMemory.lora(config, dtype, config(), optimizer);
    }
    try (PeftAdapter adapter = PeftAdapter.open(command.resolve(initAdapter))) {
      return WeightMemory.lora(
          config, dtype, LoraAdapter.config(adapter, loraDropout()), optimizer);
    }
  }

  /** Refuses an unknown method, and options that do not belong to it. */
  public void check(BaseCommand command) {
    if (!lora() && !method.equals("full")) {
      throw command.usage("--method must be lora or full, not '" + method + "'");
    }
    if (!lora()) {
      for (String option : List.of("--lora-dropout", "--init-adapter")) {
        refuse(command, option);
      }
      SHAPE.forEach(option -> refuse(command, option));
    }
    if (initAdapter != null && SHAPE.stream().anyMatch(command::given)) {
      checkShape(command);
    }
  }

  /** Refuses a shape other than the one that the adapter brings; the same one is no error. */
  private void checkShape(BaseCommand command) {
    LoraConfig given = config();
    try (PeftAdapter adapter = PeftAdapter.open(command.resolve(initAdapter))) {
      requireSame(command, "--rank", given.rank(), adapter.rank());
      requireSame(command, "--lora-alpha", (double) given.alpha(), adapter.alpha());
      requireSame(
          command,
          "--target-modules",
          new TreeSet<>(given.targetModules()),
          new TreeSet<>(adapter.targetModules()));
      requireSame(command, "--rslora", rslora(), adapter.rankStabilised());
      requireSame(
          command,
          "--modules-to-save",
          new TreeSet<>(given.modulesToSave()),
          new TreeSet<>(adapter.modulesToSave()));
    }
  }

  private void requireSame(BaseCommand command, String option, Object given, Object own) {
    if (command.given(option) && !given.equals(own)) {
      throw command.usage(
          "%s is %s, but the adapter %s brings its own rank, alpha and target modules: here %s"
              .formatted(option, given, initAdapter, own));
    }
  }

  private static void refuse(BaseCommand command, String option) {
    if (command.given(option)) {
      throw command.usage(option + " needs --method lora");
    }
  }
}
