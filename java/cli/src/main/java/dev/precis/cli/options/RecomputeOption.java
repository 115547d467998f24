package dev.precis.cli.options;

import picocli.CommandLine.Option;

/** {@code --recompute}. */
public class RecomputeOption {
  @Option(
      names = "--recompute",
      description =
          "Gradient checkpointing: recompute activations in the backward pass, for less memory and"
              + " a third more time.")
  private boolean recompute;

  /** Returns whether activations are recomputed. */
  public final boolean recompute() {
    return recompute;
  }
}
