package dev.precis.hub;

import dev.precis.io.AtomicFile;
import dev.precis.io.FileDigest;
import dev.precis.io.Reason;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.function.LongConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Fetches one file's content into the cache. It grows in {@code ETAG.incomplete}, which a later
 * attempt continues, and gets its name when it is whole, checked and on the disk.
 */
final class BlobDownload {
  private static final Pattern RANGE = Pattern.compile("bytes (\\d{1,18})-\\d+/(\\d{1,18}|\\*)");

  private final HubClient client;
  private final HubCache cache;
  private final Repository repository;
  private final String commit;
  private final Duration stall;

  BlobDownload(
      HubClient client, HubCache cache, Repository repository, String commit, Duration stall) {
    this.client = client;
    this.cache = cache;
    this.repository = repository;
    this.commit = commit;
    this.stall = stall;
  }

  /** Returns true if the content is in the cache. */
  boolean isThere(RemoteFile file) throws IOException {
    Path blob = cache.blob(file.etag());
    return Files.isRegularFile(blob) && (file.size() < 0 || Files.size(blob) == file.size());
  }

  /** Returns the bytes of the content that an earlier attempt has left. */
  long left(RemoteFile file) throws IOException {
    Path incomplete = cache.incomplete(file.etag());
    return Files.isRegularFile(incomplete) ? Files.size(incomplete) : 0;
  }

  /**
   * Puts the content into the cache if it is not there.
   *
   * @param progress gets the number of bytes of this file that are there, now and then
   */
  void fetch(RemoteFile file, LongConsumer progress) throws IOException {
    if (isThere(file)) {
      return;
    }
    cache.exclusively(
        file.etag(),
        () -> {
          if (!isThere(file)) { // Another one may have fetched it while this one waited.
            fetchExclusively(file, progress);
          }
        });
  }

  private void fetchExclusively(RemoteFile file, LongConsumer progress) throws IOException {
    Path incomplete = cache.incomplete(file.etag());
    int failures = 0;
    boolean continued = left(file) > 0;
    while (true) {
      long before = left(file);
      try {
        receive(file, incomplete, progress);
      } catch (IOException e) {
        failures = left(file) > before ? 1 : failures + 1;
        client.pauseAfter(e, failures, file.name() + " of " + repository);
        continue;
      }
      String digest = digest(file, incomplete);
      if (digest.equals(file.etag())) {
        break;
      }
      Files.delete(incomplete);
      if (!continued) {
        String sentence =
            "%s of %s arrived with checksum %s instead of %s and was thrown away"
                .formatted(file.name(), repository, digest, file.etag());
        throw new UncheckedIOException(
            sentence + ": start again, or check HF_ENDPOINT", new IOException(sentence));
      }
      continued = false; // What an earlier run left may have been damaged: once from the start.
    }
    Files.move(
        incomplete,
        cache.blob(file.etag()),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
    AtomicFile.syncFolder(incomplete.getParent());
  }

  /** Appends what is missing; returns when the content is whole. */
  private void receive(RemoteFile file, Path incomplete, LongConsumer progress) throws IOException {
    long have = left(file);
    if (file.size() >= 0 && have == file.size() && have > 0) {
      return;
    }
    if (file.size() >= 0 && have > file.size()) {
      Files.delete(incomplete);
      have = 0;
    }
    try (HubClient.Answer answer = client.get(repository, commit, file.name(), have)) {
      checkVersion(file, answer);
      int status = answer.response().statusCode();
      long total = file.size();
      if (status == 206) {
        Matcher range =
            RANGE.matcher(answer.response().headers().firstValue("Content-Range").orElse(""));
        if (!range.matches()
            || Long.parseLong(range.group(1)) != have
            || total >= 0 && !range.group(2).equals(String.valueOf(total))) {
          Files.deleteIfExists(incomplete);
          throw new IOException("the server continues at another place than asked");
        }
        total = total < 0 && !range.group(2).equals("*") ? Long.parseLong(range.group(2)) : total;
      } else if (status == 416) {
        Files.deleteIfExists(incomplete);
        throw new IOException("the server cannot continue");
      } else {
        have = 0; // It sends everything.
        total = total < 0 ? answer.size().orElse(-1L) : total;
      }
      try (FileChannel out =
              FileChannel.open(incomplete, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
          InputStream in = new StallGuard(answer.response().body(), stall)) {
        out.truncate(have).position(have);
        copy(in, out, have, total, progress);
        out.force(true);
      }
    }
  }

  private static void copy(
      InputStream in, FileChannel out, long have, long total, LongConsumer progress)
      throws IOException {
    byte[] buffer = new byte[1 << 16];
    long done = have;
    int count;
    while ((count = in.read(buffer)) >= 0) {
      if (total >= 0 && count > total - done) {
        throw new IOException("the server sends more than the " + total + " bytes announced");
      }
      write(out, ByteBuffer.wrap(buffer, 0, count));
      done += count;
      progress.accept(done);
    }
    if (total >= 0 && done < total) {
      throw new IOException("the connection ended after " + done + " of " + total + " bytes");
    }
  }

  /** Writes bytes. A full disk is not retried as a broken connection is. */
  private static void write(FileChannel out, ByteBuffer bytes) throws ClosedChannelException {
    try {
      while (bytes.hasRemaining()) {
        out.write(bytes);
      }
    } catch (ClosedChannelException e) {
      throw e; // The thread was interrupted.
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write to the hub's cache: " + Reason.of(e), e);
    }
  }

  /**
   * Checks the version. The commit is fixed, so other content means that the server is confused.
   */
  private void checkVersion(RemoteFile file, HubClient.Answer answer) throws IOException {
    String etag = answer.etag().orElse(file.etag());
    if (file.digest() == RemoteFile.Digest.SHA256
        && etag.matches("[0-9a-f]{64}")
        && !etag.equals(file.etag())) {
      throw new IOException("the server sends another version than it listed");
    }
  }

  private static String digest(RemoteFile file, Path content) throws IOException {
    if (file.digest() == RemoteFile.Digest.NONE) {
      return file.etag();
    }
    if (file.digest() == RemoteFile.Digest.GIT) {
      return FileDigest.sha1().add("blob " + Files.size(content) + "\0").add(content).hex();
    }
    return FileDigest.sha256().add(content).hex();
  }
}
