package dev.precis.data;

import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * Writes objects one a line, in UTF-8.
 *
 * <p>A file appears all at once. Each line goes to {@code FILE.partial} in the same folder as soon
 * as it is written; {@link #commit} syncs that to the disk and gives it the file's name. Until then
 * what had the name before still has it. A run that fails or is killed leaves {@code FILE.partial}
 * with the lines that it got to; the next one starts it afresh.
 *
 * <pre>{@code
 * try (JsonLinesWriter out = JsonLinesWriter.to(file)) {
 *   results.forEach(out::write);
 *   out.commit();
 * }
 * }</pre>
 *
 * <p>What is no plain file (standard output, a pipe, {@code /dev/null}) is written to directly.
 * Belongs to one thread.
 */
public abstract sealed class JsonLinesWriter implements AutoCloseable {
  private final String name;

  private JsonLinesWriter(String name) {
    this.name = name;
  }

  /**
   * Opens a writer to a file; {@code -} is standard output.
   *
   * @throws InvalidInputException if the file is a folder, its folder does not exist or cannot be
   *     written to, or another run is writing to the same file
   */
  public static JsonLinesWriter to(Path path) {
    try {
      if (path.toString().equals("-")) {
        return new Direct("standard output", new FileOutputStream(FileDescriptor.out), false);
      }
      if (Files.isDirectory(path)) {
        throw new InvalidInputException(path + " is a folder; name a file in it");
      }
      if (Files.exists(path) && !Files.isRegularFile(path)) {
        return new Direct(path.toString(), Files.newOutputStream(path), true);
      }
      Path file = Files.exists(path) ? path.toRealPath() : path.toAbsolutePath();
      if (!Files.isDirectory(file.getParent())) {
        throw new InvalidInputException(
            "Cannot write " + path + ": the folder " + file.getParent() + " does not exist");
      }
      return new Atomic(path.toString(), file);
    } catch (IOException e) {
      throw new InvalidInputException("Cannot write " + path + ": " + e.getMessage(), e);
    }
  }

  /**
   * Writes an object (a record, a map, a JSON node) as a line and hands it to the system.
   *
   * @throws UncheckedIOException if that fails, a full disk included
   */
  public final void write(Object object) {
    writeJson(Json.mapper().writeValueAsBytes(object));
  }

  /** Writes an object that is JSON in one line already; see {@link #write}. */
  public final void writeJson(byte[] json) {
    ByteBuffer line = ByteBuffer.allocate(json.length + 1).put(json).put((byte) '\n').flip();
    try {
      writeLine(line);
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /**
   * Makes the file what was written.
   *
   * @throws UncheckedIOException if that fails; the file is as it was before
   */
  public final void commit() {
    try {
      rename();
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** Ends writing; without a {@link #commit} before it, the file is as it was. */
  @Override
  public final void close() {
    try {
      end();
    } catch (IOException e) {
      throw failed(e);
    }
  }

  abstract void writeLine(ByteBuffer line) throws IOException;

  abstract void rename() throws IOException;

  abstract void end() throws IOException;

  private UncheckedIOException failed(IOException e) {
    return new UncheckedIOException("Cannot write " + name + ": " + e.getMessage(), e);
  }

  private static final class Direct extends JsonLinesWriter {
    private final OutputStream out;
    private final boolean closes;

    Direct(String name, OutputStream out, boolean closes) {
      super(name);
      this.out = out;
      this.closes = closes;
    }

    @Override
    void writeLine(ByteBuffer line) throws IOException {
      out.write(line.array());
      out.flush();
    }

    @Override
    void rename() {}

    @Override
    void end() throws IOException {
      if (closes) {
        out.close();
      }
    }
  }

  private static final class Atomic extends JsonLinesWriter {
    private final Path file;
    private final Path partial;
    private final FileChannel out;

    Atomic(String name, Path file) throws IOException {
      super(name);
      this.file = file;
      partial = file.resolveSibling(file.getFileName() + ".partial");
      out = FileChannel.open(partial, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      try {
        if (out.tryLock() == null) {
          throw new OverlappingFileLockException();
        }
        out.truncate(0);
      } catch (OverlappingFileLockException e) {
        out.close();
        throw new InvalidInputException(
            "Cannot write " + name + ": another run is writing it (" + partial + ")", e);
      }
    }

    @Override
    void writeLine(ByteBuffer line) throws IOException {
      while (line.hasRemaining()) {
        out.write(line);
      }
    }

    @Override
    void rename() throws IOException {
      out.force(true);
      Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE);
      AtomicFile.syncFolder(file.getParent());
    }

    @Override
    void end() throws IOException {
      boolean empty = out.isOpen() && out.size() == 0;
      out.close();
      if (empty) {
        Files.deleteIfExists(partial);
      }
    }
  }
}
