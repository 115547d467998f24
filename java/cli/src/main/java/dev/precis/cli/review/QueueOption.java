package dev.precis.cli.review;

import dev.precis.io.InvalidInputException;
import dev.precis.review.Gate;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/** {@code --queue}, the file of the texts that wait. */
public final class QueueOption {
  @Option(
      names = "--queue",
      required = true,
      paramLabel = "FILE",
      description = "The queue that precis generate --hold made.")
  private Path queue;

  /** Opens the queue, which must exist. */
  Gate open() {
    requireFile(queue);
    return Gate.open(queue);
  }

  /** Reads the queue. */
  List<Gate.Item> read() {
    return read(queue);
  }

  /**
   * Reads a queue.
   *
   * @throws InvalidInputException if it does not exist, or is none
   */
  public static List<Gate.Item> read(Path queue) {
    requireFile(queue);
    return Gate.read(queue);
  }

  /** Returns the text of an id. */
  Gate.Item find(String id) {
    return read().stream()
        .filter(item -> item.candidate().id().equals(id))
        .findFirst()
        .orElseThrow(() -> new InvalidInputException(queue + " holds no text of the id " + id));
  }

  private static void requireFile(Path queue) {
    if (!Files.exists(queue)) {
      throw new InvalidInputException(
          queue + " does not exist: precis generate --hold makes a queue");
    }
  }
}
