package dev.precis.cli.options;

import picocli.CommandLine.Option;

/** {@code --raw}. */
public final class RawOption {
  @Option(names = "--raw", description = "Dialogues are whole prompts: no template is applied.")
  private boolean raw;

  /** Returns whether dialogues are whole prompts. */
  public boolean raw() {
    return raw;
  }
}
