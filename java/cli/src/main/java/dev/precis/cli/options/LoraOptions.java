package dev.precis.cli.options;

import dev.precis.lora.LoraConfig;
import java.util.List;
import picocli.CommandLine.Option;

/** The shape of a new LoRA adapter. */
public class LoraOptions {
  @Option(
      names = "--rank",
      paramLabel = "R",
      defaultValue = "32",
      description = "LoRA: rank of a new adapter (default: ${DEFAULT-VALUE}).")
  private int rank;

  @Option(
      names = "--lora-alpha",
      paramLabel = "X",
      defaultValue = "32",
      description = "LoRA: the update is scaled by alpha / rank (default: ${DEFAULT-VALUE}).")
  private float loraAlpha;

  @Option(
      names = "--lora-dropout",
      paramLabel = "P",
      defaultValue = "0.05",
      description = "LoRA: dropout of the adapter's input (default: ${DEFAULT-VALUE}).")
  private float loraDropout;

  @Option(names = "--rslora", description = "LoRA: scale by alpha / sqrt(rank) instead.")
  private boolean rslora;

  @Option(
      names = "--target-modules",
      paramLabel = "NAMES",
      defaultValue = "q,v",
      description = {
        "LoRA: the layers to adapt, by the end of their names (q, k, v, o, wi_0, wi_1, wo), by one"
            + " regular expression, or all-linear (default: ${DEFAULT-VALUE}).",
        "'decoder\\..*\\.(q|v)' leaves the encoder as it is; alignment then runs it once for"
            + " policy, reference and updates, which saves most of a step's time."
      })
  private String targetModules;

  @Option(
      names = "--modules-to-save",
      paramLabel = "NAMES",
      description =
          "LoRA: modules to train whole and to save with the adapter, by the end of their names as"
              + " PEFT does: lm_head, layer_norm, relative_attention_bias or wo (default: none).")
  private String modulesToSave;

  /** The rank of a new adapter. */
  public final int rank() {
    return rank;
  }

  /** Returns whether the update is scaled by alpha / sqrt(rank). */
  public final boolean rslora() {
    return rslora;
  }

  /** The dropout of the adapter's input. */
  public final float loraDropout() {
    return loraDropout;
  }

  /** The layers as given. */
  public final String targetModules() {
    return targetModules;
  }

  /** A new adapter's configuration. */
  public final LoraConfig config() {
    return config(loraDropout);
  }

  /** A new adapter's configuration with another dropout. */
  public final LoraConfig config(float dropout) {
    // Commas separate names; a regular expression may contain them.
    List<String> targets =
        targetModules.matches("[A-Za-z0-9_.,\\- ]+")
            ? names(targetModules)
            : List.of(targetModules);
    List<String> saved =
        modulesToSave == null || modulesToSave.isBlank() ? List.of() : names(modulesToSave);
    return new LoraConfig(rank, loraAlpha, dropout, targets, rslora, saved);
  }

  /** Returns the names of a list with commas or spaces between them. */
  static List<String> names(String list) {
    return List.of(list.trim().split("[, ]+"));
  }
}
