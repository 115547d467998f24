package dev.precis.training;

import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/**
 * Appends to a file of one JSON object per line, each with its {@code step}, and flushes each line.
 */
public final class StepLog implements AutoCloseable {
  private final Path file;
  private final FileChannel channel;
  private final int damaged;

  private StepLog(Path file, FileChannel channel, int damaged) {
    this.file = file;
    this.channel = channel;
    this.damaged = damaged;
  }

  /** Opens the file to append; lines after a step and lines that are damaged are removed. */
  static StepLog open(Path file, long lastStep) {
    try {
      int damaged = 0;
      if (Files.exists(file)) {
        StringBuilder kept = new StringBuilder();
        for (String line : lines(file)) {
          Optional<Long> step = step(line);
          if (step.isEmpty()) {
            damaged++;
          } else if (step.get() <= lastStep) {
            kept.append(line).append('\n');
          }
        }
        AtomicFile.writeText(file, kept.toString());
      }
      return new StepLog(
          file,
          FileChannel.open(
              file, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND),
          damaged);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + file + ": " + e.getMessage(), e);
    }
  }

  /** Returns the number of damaged lines that {@link #open} removed. */
  int damaged() {
    return damaged;
  }

  /** Reads the lines that are not blank; bytes that are no UTF-8 do not end the reading. */
  private static List<String> lines(Path file) throws IOException {
    return new String(Files.readAllBytes(file), StandardCharsets.UTF_8)
        .lines()
        .filter(line -> !line.isBlank())
        .toList();
  }

  /** Returns the step of a line; empty for one that a kill cut short, or that is damaged. */
  private static Optional<Long> step(String line) {
    try {
      return Optional.of(Json.parseObject(line, "the line").whole("step", 0, Long.MAX_VALUE));
    } catch (InvalidInputException e) {
      return Optional.empty();
    }
  }

  /** Returns the complete lines of a file. */
  public static List<ObjectNode> read(Path file) {
    try {
      List<ObjectNode> lines = new ArrayList<>();
      for (String line : lines(file)) {
        if (step(line).isPresent()) {
          lines.add(Json.parseObject(line, file.toString()).node());
        }
      }
      return lines;
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + file + ": " + e.getMessage(), e);
    }
  }

  /** Appends a line. */
  public void add(ObjectNode line) {
    try {
      ByteBuffer bytes = ByteBuffer.wrap((line.toString() + "\n").getBytes(StandardCharsets.UTF_8));
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + file + ": " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot close " + file, e);
    }
  }
}
