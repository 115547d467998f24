package dev.precis.cli.common;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntSupplier;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/** The file in which a command keeps JSON lines until all of them are there: FILE.partial. */
public final class PartialFile {
  private PartialFile() {}

  /** Decides whether a line is one that the command would have written. */
  @FunctionalInterface
  public interface LineCheck {
    /** Returns whether the line of this number, from 0, belongs there. */
    boolean belongs(int number, JsonNode line);
  }

  /** Returns where a command that ends early leaves its results. */
  public static Path of(Path output) {
    return output.resolveSibling(output.getFileName() + ".partial");
  }

  /**
   * Reads the complete lines that an interrupted command left; none where it left no file.
   *
   * @throws InvalidInputException where they are not this command's, or cannot be read
   */
  public static List<JsonNode> read(Path output, LineCheck check) {
    Path partial = of(output);
    return Files.exists(partial) ? readLines(partial, check) : List.of();
  }

  /**
   * Reads the complete lines of a file that a command wrote.
   *
   * @throws InvalidInputException where they are not this command's, or cannot be read
   */
  public static List<JsonNode> readLines(Path file, LineCheck check) {
    List<JsonNode> lines = new ArrayList<>();
    try {
      String text = Files.readString(file, StandardCharsets.UTF_8);
      // The text after the last line end was being written when the command ended.
      String complete = text.substring(0, text.lastIndexOf('\n') + 1);
      for (String line : complete.lines().toList()) {
        JsonNode node = Json.mapper().readTree(line);
        if (!check.belongs(lines.size(), node)) {
          throw new InvalidInputException(
              "%s, line %d is not the result that this command would have written: --resume needs the command that was interrupted"
                  .formatted(file, lines.size() + 1));
        }
        lines.add(node);
      }
    } catch (IOException | JacksonException e) {
      throw new InvalidInputException(
          "Cannot resume from " + file + ": " + e.getMessage() + "; start without --resume", e);
    }
    return lines;
  }

  /**
   * Says what a command that ends early leaves, a signal included, unless it completes. The caller
   * must close it.
   */
  public static final class Farewell implements AutoCloseable {
    private final BaseCommand command;
    private final Path output;
    private final IntSupplier written;
    private final int total;
    private final Thread hook = new Thread(this::say);
    private boolean complete;

    /**
     * Begins to watch for the end.
     *
     * @param output null: standard output, of which nothing is kept
     * @param written number of results in the file so far
     * @param total number of results of the whole command
     */
    public Farewell(BaseCommand command, Path output, IntSupplier written, int total) {
      this.command = command;
      this.output = output;
      this.written = written;
      this.total = total;
      Runtime.getRuntime().addShutdownHook(hook);
    }

    /** Notes that the command did all of its work. */
    public void complete() {
      complete = true;
    }

    private void say() {
      if (output != null && written.getAsInt() > 0) {
        command
            .terminal()
            .err()
            .printf(
                "%d of %d results are kept in %s: the same command with --resume continues from"
                    + " there.%n",
                written.getAsInt(), total, of(output));
      }
    }

    @Override
    public void close() {
      if (removeHook() && !complete) {
        say();
      }
    }

    /** False when the process is already shutting down, and the hook has run or will. */
    private boolean removeHook() {
      try {
        return Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException e) {
        return false;
      }
    }
  }
}
