package dev.precis.cli.options;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.cli.common.BaseCommand;
import dev.precis.lora.Ia3Config;
import dev.precis.lora.PromptConfig;
import dev.precis.t5.T5Config;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import dev.precis.text.Tokenizer;
import dev.precis.training.Optimizer;
import dev.precis.training.WeightMemory;
import java.util.List;
import picocli.CommandLine.Option;

/** Selects the weights that fine-tuning trains: adapters, IA3's vectors, a soft prompt, or all. */
public final class TrainMethodOptions extends MethodOptions {
  private static final String IA3 = "ia3";
  private static final String PROMPT_TUNING = "prompt-tuning";

  @Option(
      names = "--method",
      paramLabel = "lora|ia3|prompt-tuning|full",
      defaultValue = "lora",
      description = {
        "lora trains an adapter on frozen weights; ia3 trains vectors that scale keys, values and"
            + " the feed-forward layers' activations; prompt-tuning trains the embeddings of"
            + " virtual tokens before each source; full trains all weights (default:"
            + " ${DEFAULT-VALUE}).",
        "Without --weight-decay, ia3 and prompt-tuning have none."
      })
  private String method;

  @Option(
      names = "--feedforward-modules",
      paramLabel = "NAMES",
      description =
          "IA3: those of --target-modules (default of IA3: k,v,wo) whose inputs are scaled rather"
              + " than their outputs (default: wo).")
  private String feedForwardModules;

  @Option(
      names = "--prompt-tokens",
      paramLabel = "N",
      defaultValue = "20",
      description = "Prompt tuning: number of virtual tokens (default: ${DEFAULT-VALUE}).")
  private int promptTokens;

  @Option(
      names = "--prompt-text",
      paramLabel = "TEXT",
      description =
          "Prompt tuning: the virtual tokens begin as those of this text, repeated or cut (default:"
              + " as tokens that are sampled from the vocabulary).")
  private String promptText;

  @Override
  public String method() {
    return method;
  }

  /** Returns whether IA3's vectors are trained. */
  public boolean ia3() {
    return method.equals(IA3);
  }

  /** Returns whether a soft prompt is trained. */
  public boolean promptTuning() {
    return method.equals(PROMPT_TUNING);
  }

  /** Returns the learning rate where none is given. */
  public float learningRate() {
    return switch (method) {
      case IA3 -> 3e-3f;
      case PROMPT_TUNING -> 0.3f;
      case "full" -> 1e-4f;
      default -> 1e-3f;
    };
  }

  /** Returns the weight decay where none is given: none towards 0 of what does not begin there. */
  public float weightDecay() {
    return ia3() || promptTuning() ? 0 : 0.01f;
  }

  /** Returns the layers that new vectors of IA3 scale. */
  public Ia3Config ia3Config(BaseCommand command) {
    List<String> targets =
        command.given("--target-modules") ? modules(targetModules()) : Ia3Config.T5.targetModules();
    List<String> inputs =
        feedForwardModules != null
            ? modules(feedForwardModules)
            : Ia3Config.T5.feedForwardModules().stream().filter(targets::contains).toList();
    return new Ia3Config(targets, inputs);
  }

  private static List<String> modules(String list) {
    return list.isBlank() ? List.of() : names(list);
  }

  /** Returns the number of virtual tokens of a new soft prompt. */
  public int promptTokens() {
    return promptTokens;
  }

  /** Returns the text that a new soft prompt begins as; null where tokens are sampled. */
  public String promptText() {
    return promptText;
  }

  /** Returns the new soft prompt to train. */
  public PromptConfig promptConfig(Tokenizer tokenizer) {
    return new PromptConfig(
        promptTokens, promptText == null ? new int[0] : tokenizer.encode(promptText, false));
  }

  @Override
  public MemoryPlan weightMemory(
      BaseCommand command, T5Config config, DType dtype, Optimizer.Settings optimizer) {
    if (ia3()) {
      // Vectors of an adapter differ by kilobytes from new ones.
      return WeightMemory.ia3(config, dtype, ia3Config(command), optimizer);
    }
    if (!promptTuning()) {
      return super.weightMemory(command, config, dtype, optimizer);
    }
    long tokens = promptTokens;
    if (initAdapter() != null) {
      try (PeftAdapter adapter = PeftAdapter.open(command.resolve(initAdapter()))) {
        adapter.requireKind(
            PeftAdapter.Kind.PROMPT_TUNING, "choose the method that it was trained with");
        tokens = adapter.prompt().orElseThrow().shape()[0];
      }
    }
    return WeightMemory.prompt(config, dtype, tokens, optimizer);
  }

  @Override
  public void check(BaseCommand command) {
    if (!List.of("lora", IA3, PROMPT_TUNING, "full").contains(method)) {
      throw command.usage(
          "--method must be lora, ia3, prompt-tuning or full, not '" + method + "'");
    }
    if (!ia3()) {
      refuse(command, "--feedforward-modules", "--method ia3");
    }
    if (!promptTuning()) {
      refuse(command, "--prompt-tokens", "--method prompt-tuning");
      refuse(command, "--prompt-text", "--method prompt-tuning");
    }
    if (initAdapter() != null && !lora()) {
      for (String option :
          List.of(
              "--target-modules", "--feedforward-modules", "--prompt-tokens", "--prompt-text")) {
        if (command.given(option)) {
          throw command.usage(
              option + " and --init-adapter are mutually exclusive: the adapter brings its own");
        }
      }
    }
    super.check(command);
    if (promptTuning() && promptText != null && promptText.isBlank()) {
      throw command.usage("--prompt-text is empty");
    }
  }

  @Override
  String methodsOf(String option) {
    return option.equals("--target-modules") ? "lora or ia3" : super.methodsOf(option);
  }
}
