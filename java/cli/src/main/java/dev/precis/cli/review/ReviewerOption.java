package dev.precis.cli.review;

import picocli.CommandLine.Option;

/** {@code --by}, who decides. */
final class ReviewerOption {
  @Option(
      names = "--by",
      required = true,
      paramLabel = "NAME",
      description = "The name of who decides, which is recorded.")
  private String by;

  String by() {
    return by;
  }
}
