package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import dev.precis.text.PromptTemplate;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Declares the options that turn a dialogue into a prompt. */
public final class PromptOptions {
  @Option(
      names = "--template",
      paramLabel = "T",
      description = {
        "The prompt template: a file, or the text itself, in which \\n is a line break. It contains"
            + " {dialogue} and, for few-shot prompts, {summary}.",
        "Default: Summarize the following conversation.\\n\\n{dialogue}\\n\\nSummary: "
      })
  private String template;

  @Option(
      names = {"--max-source-length", "--max-source-tokens"},
      paramLabel = "N",
      defaultValue = "4096",
      description =
          "The longest prompt, in tokens (default: ${DEFAULT-VALUE}). A longer one is an error in"
              + " generate and evaluate; train and align leave it out.")
  private int maxSourceLength;

  @Option(names = "--truncate", description = "Truncate what is too long instead, at its end.")
  private boolean truncate;

  /** Returns whether {@code --template} was given. */
  public boolean hasTemplate() {
    return template != null;
  }

  /** The template, or the default one. */
  public PromptTemplate template() {
    return template == null
        ? PromptTemplate.DEFAULT
        : template.contains("{")
            ? PromptTemplate.of(template.replace("\\n", "\n"))
            : PromptTemplate.read(Path.of(template));
  }

  /** The longest prompt, in tokens. */
  public int maxSourceLength() {
    return maxSourceLength;
  }

  /** Returns whether texts that are too long are truncated. */
  public boolean truncate() {
    return truncate;
  }

  /** Refuses a length that no prompt fits into. */
  public void check(BaseCommand command) {
    command.requireAtLeast(2, "--max-source-length", maxSourceLength);
  }
}
