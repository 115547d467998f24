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
public abstract class MethodOptions extends LoraOptions {
  private static final List<String> SHAPE =
      List.of("--rank", "--lora-alpha", "--target-modules", "--rslora", "--modules-to-save");

  @Option(
      names = {"--init-adapter", "--adapter"},
      paramLabel = "ADAPTER",
      description =
          "Start from this PEFT adapter, with its own rank, alpha and modules; in align its value"
              + " head is used too.")
  private String initAdapter;

  /** Returns the method as given, such as {@code lora} or {@code full}. */
  public abstract String method();

  /** Returns whether LoRA adapters are trained. */
  public final boolean lora() {
    return method().equals("lora");
  }

  /** Returns whether all weights are trained. */
  public final boolean full() {
    return method().equals("full");
  }

  /** Returns the name of the result in a run's folder: {@code adapter} or {@code model}. */
  public final String resultName() {
    return full() ? "model" : "adapter";
  }

  /** The adapter to start from; null for a new one. */
  public final String initAdapter() {
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
    if (full()) {
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
    if (!lora()) {
      refuse(command, "--lora-dropout", "--method lora");
      for (String option : SHAPE) {
        String methods = methodsOf(option);
        if (!List.of(methods.split(" or ")).contains(method())) {
          refuse(command, option, "--method " + methods);
        }
      }
    }
    if (full()) {
      command.common().fullTrainingType();
      refuse(command, "--init-adapter", "--method lora");
    }
    if (lora() && initAdapter != null && SHAPE.stream().anyMatch(command::given)) {
      checkShape(command);
    }
  }

  /** Returns the methods that have an option of LoRA, with "or" between them. */
  String methodsOf(String option) {
    return "lora";
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

  /** Refuses an option that belongs to another method. */
  static void refuse(BaseCommand command, String option, String method) {
    if (command.given(option)) {
      throw command.usage(option + " needs " + method);
    }
  }
}
