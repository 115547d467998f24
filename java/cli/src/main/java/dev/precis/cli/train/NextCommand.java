package dev.precis.cli.train;

import dev.precis.cli.common.BaseCommand;
import java.nio.file.Path;

/** Says, once a run is over, where its report is and what to do with its result. */
public final class NextCommand {
  private NextCommand() {}

  /**
   * Names the report of a run and the command that summarizes with its result.
   *
   * @param model that an adapter belongs to
   * @param result {@code adapter} or {@code model}
   */
  public static void afterT5(BaseCommand command, String model, Path run, String result) {
    Path folder = run.resolve(result);
    say(
        command,
        run,
        result.equals("adapter")
            ? "precis generate --model %s --adapter %s --input FILE"
                .formatted(quoted(model), quoted(folder.toString()))
            : "precis generate --model %s --input FILE".formatted(quoted(folder.toString())));
  }

  /** Names the report of a run and the command that scores with its reward model. */
  public static void afterReward(BaseCommand command, Path run, Path folder) {
    say(
        command,
        run,
        "precis score --reward-model %s --input FILE".formatted(quoted(folder.toString())));
  }

  private static void say(BaseCommand command, Path run, String next) {
    command.note("Report: " + run.resolve("report.html"));
    command.note("Next: " + next);
  }

  /** Quotes a name for a shell, where it needs that. */
  private static String quoted(String name) {
    return name.matches("[A-Za-z0-9_./:@%+=-]+") ? name : "'" + name.replace("'", "'\\''") + "'";
  }
}
