package dev.precis.cli.common;

import dev.precis.device.NativeException;
import dev.precis.generation.GenerationTimeoutException;
import dev.precis.io.InvalidInputException;
import dev.precis.training.DivergedException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * Turns each failure into one sentence on standard error and an exit code: 2 for wrong usage and
 * bad input, 1 for the rest. A reader that went away ({@code | head}) is no failure of the command:
 * it ends silently, with the exit code that the shell gives to a process killed by SIGPIPE.
 */
public final class Failures {
  public static final int BAD_INPUT = 2;
  public static final int BROKEN_PIPE = 141;

  private final Terminal terminal;
  private final boolean debug;

  public Failures(Terminal terminal, boolean debug) {
    this.terminal = terminal;
    this.debug = debug;
  }

  /** The exit code and the sentence of a failure; null for no sentence. */
  public record Failure(int exitCode, String sentence) {}

  /**
   * Reports wrong usage of the command line.
   *
   * @param config where some of the options are from
   */
  public int reportUsage(ParameterException exception, ConfigArguments config) {
    String command = exception.getCommandLine().getCommandSpec().qualifiedName(" ");
    String sentence =
        "%s; see '%s --help'.".formatted(config.explain(usageSentence(exception)), command);
    return report(new Failure(BAD_INPUT, sentence), exception);
  }

  /** Reports the failure of a command. */
  public int report(Throwable thrown) {
    return report(of(thrown), thrown);
  }

  private int report(Failure failure, Throwable thrown) {
    if (failure.sentence != null) {
      String end = failure.sentence.matches("(?s).*[.!?)]\\s*") ? "" : ".";
      terminal.err().println("precis: " + SafeText.line(failure.sentence.strip()) + end);
    }
    if (debug) {
      thrown.printStackTrace(terminal.err());
    }
    return failure.exitCode;
  }

  private static String usageSentence(ParameterException exception) {
    // A misspelled option is often the reason why another one is missing.
    List<String> unmatched = exception.getCommandLine().getUnmatchedArguments();
    if (exception instanceof MissingParameterException && !unmatched.isEmpty()) {
      exception = new UnmatchedArgumentException(exception.getCommandLine(), unmatched);
    }
    if (exception instanceof UnmatchedArgumentException unknown) {
      return unmatchedSentence(unknown);
    }
    return exception.getMessage().replaceAll("\\s*\\R\\s*", " ").replaceAll("[.;\\s]+$", "");
  }

  private static String unmatchedSentence(UnmatchedArgumentException exception) {
    String argument = exception.getUnmatched().getFirst();
    boolean atRoot = exception.getCommandLine().getParent() == null;
    String kind =
        argument.startsWith("-")
            ? "Unknown option"
            : atRoot ? "Unknown command" : "Unexpected argument";
    String likely =
        KnownNames.ours(argument, exception.getCommandLine().getCommandSpec().optionsMap().keySet())
            .or(() -> exception.getSuggestions().stream().findFirst())
            .orElse("");
    return "%s '%s'%s"
        .formatted(kind, argument, likely.isEmpty() ? "" : ", did you mean " + likely + "?");
  }

  /** Returns the exit code and the sentence of a failure. */
  public static Failure of(Throwable thrown) {
    return switch (thrown) {
      case InvalidInputException e -> new Failure(BAD_INPUT, e.getMessage());
      case GenerationTimeoutException e -> new Failure(BaseCommand.FAILED, e.getMessage());
      case DivergedException e -> new Failure(BaseCommand.FAILED, e.getMessage());
      case NativeException e when e.status() == NativeException.Status.OUT_OF_MEMORY ->
          new Failure(BaseCommand.FAILED, e.getMessage() + " " + LESS_MEMORY);
      case NativeException e -> new Failure(BaseCommand.FAILED, e.getMessage());
      case UnsatisfiedLinkError e -> new Failure(BaseCommand.FAILED, e.getMessage());
      case OutOfMemoryError e ->
          new Failure(
              BaseCommand.FAILED,
              "Java ran out of memory (%s): set PRECIS_JAVA_OPTS=-Xmx8g or more, or reduce the input."
                  .formatted(e.getMessage()));
      case UncheckedIOException e -> of(e.getCause(), e.getMessage());
      case IOException e -> of(e, e.getMessage());
      default ->
          new Failure(
              BaseCommand.FAILED,
              "Internal error, please report it (--debug shows where): " + thrown);
    };
  }

  private static final String LESS_MEMORY =
      "Reduce --batch-size or --num-beams, or use --dtype bfloat16 or int8.";

  private static Failure of(IOException cause, String sentence) {
    String reason = cause.getMessage() == null ? "" : cause.getMessage();
    if (reason.toLowerCase(Locale.ROOT).contains("broken pipe")) {
      return new Failure(BROKEN_PIPE, null);
    }
    // The messages of these two are bare file names.
    if (cause instanceof NoSuchFileException e) {
      return new Failure(BAD_INPUT, "There is no file " + e.getFile() + ".");
    }
    if (cause instanceof AccessDeniedException e) {
      return new Failure(BAD_INPUT, "No permission to open " + e.getFile() + ".");
    }
    if (cause instanceof FileSystemException e && e.getReason() != null) {
      return new Failure(BaseCommand.FAILED, e.getFile() + ": " + e.getReason() + ".");
    }
    return new Failure(BaseCommand.FAILED, sentence);
  }
}
