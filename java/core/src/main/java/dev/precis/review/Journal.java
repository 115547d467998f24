package dev.precis.review;

import dev.precis.io.AtomicFile;
import dev.precis.io.BoundedFile;
import dev.precis.io.FileDigest;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.io.PlainPath;
import dev.precis.io.Reason;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.Predicate;
import tools.jackson.databind.node.ObjectNode;

/**
 * Entries that are only ever added, one JSON object a line, each with a hash of the one before: a
 * line that is changed, taken out or put in shows. An entry is on the disk when {@link #append}
 * returns. A line that a crash cut off is removed when the journal is opened.
 *
 * <p>The hash is of an entry's number, time and the hash of its content, so that {@link #erase} can
 * take a content out, as people may demand, and leaves a chain that holds.
 *
 * <p>One process writes at a time. Thread-safe.
 */
public final class Journal implements AutoCloseable {
  /** Bytes of a journal: it is read whole. */
  private static final long MAX_BYTES = 1L << 30;

  private static final String NONE = "0".repeat(64);

  /**
   * An entry.
   *
   * @param number from 1
   * @param at the moment, in UTC
   * @param content null if it was erased
   * @param hash of the entry, which the next one names
   */
  public record Entry(long number, String at, ObjectNode content, String hash) {}

  private final Path file;
  private final Clock clock;
  private final List<Entry> entries = new ArrayList<>();

  /** No channel, which an interrupt of the writing thread would close for all that come after. */
  private RandomAccessFile out;

  private FileChannel lockFile;

  /**
   * Opens a journal to add to it; one that does not exist is made.
   *
   * @throws InvalidInputException if another process has it open, or it was changed by other means
   */
  public static Journal open(Path file) {
    return open(file, Clock.systemUTC());
  }

  static Journal open(Path file, Clock clock) {
    Journal journal = new Journal(file, clock);
    try {
      journal.lock();
      if (!Files.exists(journal.file)) {
        AtomicFile.write(journal.file, empty -> {});
      }
      journal.openFile(journal.readAll());
      return journal;
    } catch (IOException e) {
      journal.close();
      throw new InvalidInputException("Cannot write " + file + ": " + Reason.of(e), e);
    } catch (RuntimeException | Error e) {
      journal.close();
      throw e;
    }
  }

  /**
   * Reads a journal.
   *
   * @throws InvalidInputException if there is none, or it was changed by other means
   */
  public static List<Entry> read(Path file) {
    Journal journal = new Journal(file, Clock.systemUTC());
    journal.readAll();
    return journal.entries();
  }

  private Journal(Path file, Clock clock) {
    this.file = PlainPath.require(file);
    this.clock = clock;
  }

  /**
   * Takes the lock, which is a file of its own: the system gives a lock back when the process
   * closes the file anywhere, as all who read the journal do.
   */
  private void lock() throws IOException {
    Path name = file.resolveSibling(file.getFileName() + ".lock");
    lockFile = FileChannel.open(name, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    FileLock lock;
    try {
      lock = lockFile.tryLock();
    } catch (OverlappingFileLockException e) {
      lock = null;
    }
    if (lock == null) {
      throw new InvalidInputException(file + " is open in another process: close that one first");
    }
  }

  private void openFile(long end) throws IOException {
    out = new RandomAccessFile(file.toFile(), "rw");
    out.setLength(end);
    out.seek(end);
  }

  /** Reads all entries and returns where the last whole line ends. */
  private long readAll() {
    byte[] bytes = BoundedFile.read(file, MAX_BYTES, "journal");
    int begin = 0;
    for (int i = 0; i < bytes.length; i++) {
      if (bytes[i] == '\n') {
        String line = new String(bytes, begin, i - begin, StandardCharsets.UTF_8);
        entries.add(checked(Json.parseObject(line, file + ", line " + (entries.size() + 1))));
        begin = i + 1;
      }
    }
    requireCutOffLine(Arrays.copyOfRange(bytes, begin, bytes.length));
    return begin;
  }

  /**
   * Checks that bytes without a line end are the beginning of the next entry: {@link #open} removes
   * them, and any other file of one line must not lose its content.
   */
  private void requireCutOffLine(byte[] tail) {
    byte[] expected = beginning(entries.size() + 1).getBytes(StandardCharsets.UTF_8);
    int compared = Math.min(tail.length, expected.length);
    if (!Arrays.equals(tail, 0, compared, expected, 0, compared)) {
      throw new InvalidInputException(
          file
              + ", line "
              + (entries.size() + 1)
              + " has no end and is not an entry of a journal: give a file that this program made");
    }
  }

  /** Returns the first characters of an entry's line, as {@link #line} writes them. */
  private static String beginning(long number) {
    return "{\"n\":" + number + ",\"at\":";
  }

  private Entry checked(JsonObject line) {
    long number = line.whole("n", 1, Long.MAX_VALUE);
    String at = line.text("at");
    String contentHash = line.text("content_sha256");
    ObjectNode content = line.has("content") ? line.object("content").node() : null;
    boolean follows =
        number == entries.size() + 1
            && line.text("previous").equals(lastHash())
            && (content == null || hash(content).equals(contentHash));
    if (!follows) {
      throw new InvalidInputException(
          line.where()
              + " does not follow from the line before it: the file was changed by other means than"
              + " this program");
    }
    return new Entry(number, at, content, hash(number, at, lastHash(), contentHash));
  }

  private String lastHash() {
    return entries.isEmpty() ? NONE : entries.getLast().hash();
  }

  private static byte[] bytes(ObjectNode content) {
    return Json.mapper().writeValueAsBytes(content);
  }

  private static String hash(ObjectNode content) {
    return FileDigest.sha256().add(bytes(content)).hex();
  }

  private static String hash(long number, String at, String previous, String contentHash) {
    return FileDigest.sha256()
        .add(String.join("\n", Long.toString(number), at, previous, contentHash))
        .hex();
  }

  /** Returns all entries. */
  public synchronized List<Entry> entries() {
    return List.copyOf(entries);
  }

  /**
   * Adds an entry and returns it when it is on the disk.
   *
   * @throws UncheckedIOException if that fails; the journal is then as it was
   */
  public Entry append(ObjectNode content) {
    return append(List.of(content)).getFirst();
  }

  /**
   * Adds entries and returns them when all are on the disk, which takes as long as for one.
   *
   * @throws UncheckedIOException if that fails; the journal is then as it was
   */
  public synchronized List<Entry> append(List<ObjectNode> contents) {
    String at = clock.instant().truncatedTo(ChronoUnit.SECONDS).toString();
    String previous = lastHash();
    List<Entry> added = new ArrayList<>(contents.size());
    ByteArrayOutputStream lines = new ByteArrayOutputStream();
    for (ObjectNode content : contents) {
      long number = entries.size() + added.size() + 1L;
      String contentHash = hash(content);
      Entry entry = new Entry(number, at, content, hash(number, at, previous, contentHash));
      lines.writeBytes(line(number, at, previous, contentHash, content));
      added.add(entry);
      previous = entry.hash();
    }
    try {
      long before = out.getFilePointer();
      try {
        out.write(lines.toByteArray());
        out.getFD().sync();
      } catch (IOException e) {
        out.setLength(before);
        out.seek(before);
        throw e;
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + file + ": " + Reason.of(e), e);
    }
    entries.addAll(added);
    return added;
  }

  private static byte[] line(
      long number, String at, String previous, String contentHash, ObjectNode content) {
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("n", number);
    line.put("at", at);
    line.put("previous", previous);
    line.put("content_sha256", contentHash);
    if (content != null) {
      line.set("content", content);
    }
    byte[] json = bytes(line);
    byte[] whole = Arrays.copyOf(json, json.length + 1);
    whole[json.length] = '\n';
    return whole;
  }

  /**
   * Takes contents out of the journal for good. Their entries stay, without content.
   *
   * @return the number of entries that lost theirs
   */
  public synchronized int erase(Predicate<ObjectNode> which) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    List<Entry> kept = new ArrayList<>();
    String previous = NONE;
    int erased = 0;
    for (JsonObject line : lines()) {
      Entry entry = entries.get(kept.size());
      boolean goes = entry.content() != null && which.test(entry.content());
      ObjectNode content = goes ? null : entry.content();
      erased += goes ? 1 : 0;
      all.writeBytes(
          line(entry.number(), entry.at(), previous, line.text("content_sha256"), content));
      kept.add(new Entry(entry.number(), entry.at(), content, entry.hash()));
      previous = entry.hash();
    }
    if (erased > 0) {
      byte[] bytes = all.toByteArray();
      AtomicFile.write(
          file,
          to -> {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            while (buffer.hasRemaining()) {
              to.write(buffer);
            }
          });
      Collections.copy(entries, kept);
      reopen(bytes.length);
    }
    return erased;
  }

  private List<JsonObject> lines() {
    List<JsonObject> lines = new ArrayList<>();
    String text = new String(BoundedFile.read(file, MAX_BYTES, "journal"), StandardCharsets.UTF_8);
    text.lines().forEach(line -> lines.add(Json.parseObject(line, file.toString())));
    return lines;
  }

  /** Takes the new file in the place of the old one, which has no name any more. */
  private void reopen(long end) {
    try {
      out.close();
      openFile(end);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + file + ": " + Reason.of(e), e);
    }
  }

  @Override
  public synchronized void close() {
    try {
      if (out != null) {
        out.close();
      }
      if (lockFile != null) {
        lockFile.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot close " + file + ": " + Reason.of(e), e);
    }
  }
}
