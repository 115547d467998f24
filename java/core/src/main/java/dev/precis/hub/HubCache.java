package dev.precis.hub;

import dev.precis.io.AtomicFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/**
 * One repository's folder in the cache, laid out as {@code huggingface_hub} does: {@code
 * blobs/ETAG} holds contents, {@code snapshots/COMMIT/NAME} links to them, {@code refs/REVISION}
 * names the commit. A blob has its name only when it is complete.
 */
final class HubCache {
  /** Makes {@code link} stand for {@code blob}; several ways, tried in turn. */
  interface Linker {
    void link(Path link, Path blob) throws IOException;
  }

  static final List<Linker> LINKERS =
      List.of(
          (link, blob) -> Files.createSymbolicLink(link, link.getParent().relativize(blob)),
          (link, blob) -> Files.createLink(link, blob),
          (link, blob) -> Files.copy(blob, link));

  /** File locks are between processes; threads of this one need a lock of their own. */
  private static final Map<Path, ReentrantLock> THREAD_LOCKS = new ConcurrentHashMap<>();

  private final Path folder;
  private final Path locks;
  private final Repository repository;
  private final List<Linker> linkers;

  HubCache(Path cache, Repository repository, List<Linker> linkers) {
    this.folder = cache.resolve(repository.folder());
    this.locks = cache.resolve(".locks").resolve(repository.folder());
    this.repository = repository;
    this.linkers = linkers;
  }

  Path blob(String etag) {
    return folder.resolve("blobs").resolve(etag);
  }

  Path incomplete(String etag) {
    return folder.resolve("blobs").resolve(etag + ".incomplete");
  }

  Path snapshot(String commit) {
    return folder.resolve("snapshots").resolve(commit);
  }

  /** Returns the commit that the revision is known to be. */
  Optional<String> commit() throws IOException {
    if (Repository.isCommit(repository.revision())) {
      return Optional.of(repository.revision());
    }
    Path ref = folder.resolve("refs").resolve(repository.revision());
    if (!Files.isRegularFile(ref) || Files.size(ref) > 100) {
      return Optional.empty();
    }
    String commit = Files.readString(ref, StandardCharsets.ISO_8859_1).strip();
    return Repository.isCommit(commit) ? Optional.of(commit) : Optional.empty();
  }

  /** Returns the snapshot of the revision if all that {@link FileSelection} wants is in it. */
  Optional<Path> find() throws IOException {
    Optional<Path> snapshot = commit().map(this::snapshot).filter(Files::isDirectory);
    return snapshot.isPresent() && isComplete(snapshot.get()) ? snapshot : Optional.empty();
  }

  private boolean isComplete(Path snapshot) throws IOException {
    List<String> names = new ArrayList<>();
    try (Stream<Path> files = Files.walk(snapshot)) {
      files
          .filter(Files::isRegularFile)
          .forEach(file -> names.add(snapshot.relativize(file).toString().replace('\\', '/')));
    }
    Optional<FileSelection> selection = FileSelection.of(repository.kind(), names);
    return selection.isPresent()
        && selection
            .get()
            .index()
            .map(index -> names.containsAll(FileSelection.shards(snapshot.resolve(index))))
            .orElse(true);
  }

  /** Remembers which commit the revision is. */
  void writeRef(String commit) throws IOException {
    if (!Repository.isCommit(repository.revision())) {
      Path ref = folder.resolve("refs").resolve(repository.revision());
      Files.createDirectories(ref.getParent());
      AtomicFile.write(
          ref,
          channel -> channel.write(ByteBuffer.wrap(commit.getBytes(StandardCharsets.US_ASCII))));
    }
  }

  /** Makes a file of the snapshot from a complete blob. */
  void link(String commit, String name, String etag) throws IOException {
    Path link = snapshot(commit).resolve(name);
    if (Files.exists(link)) {
      return;
    }
    Files.createDirectories(link.getParent());
    Path temporary = AtomicFile.temporary(link);
    try {
      IOException failure = null;
      for (Linker linker : linkers) {
        try {
          linker.link(temporary, blob(etag));
          Files.move(temporary, link, StandardCopyOption.ATOMIC_MOVE);
          return;
        } catch (IOException | UnsupportedOperationException e) {
          Files.deleteIfExists(temporary);
          failure = new IOException("Cannot make " + link + ": " + e.getMessage(), e);
        }
      }
      throw failure;
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  /** Something that must not run twice at once for one blob. */
  interface Exclusive {
    void run() throws IOException;
  }

  /** Runs it while no other thread, nor another process on this machine, does so for the blob. */
  void exclusively(String etag, Exclusive action) throws IOException {
    Files.createDirectories(locks);
    Files.createDirectories(folder.resolve("blobs"));
    Path file = locks.resolve(etag + ".lock").toAbsolutePath().normalize();
    ReentrantLock threads = THREAD_LOCKS.computeIfAbsent(file, f -> new ReentrantLock());
    threads.lock();
    try (FileChannel channel =
            FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock _ = channel.lock()) {
      action.run();
    } finally {
      threads.unlock();
    }
  }
}
