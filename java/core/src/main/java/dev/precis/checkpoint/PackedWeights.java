package dev.precis.checkpoint;

import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.LongFunction;
import java.util.zip.CRC32C;

/**
 * A model's weights as the kernels read them: in new memory or, where an earlier run has left them
 * in a {@link WeightsCache}, straight from its file. That is faster than to read the checkpoint, to
 * convert it and to fill new memory, and processes that run the same model share it.
 *
 * <p>A file belongs to the checkpoint's files as they were (device, inode, size, times of change)
 * and to what else the weights depend on: where any of it differs, it is not found. Its checksums
 * are compared before it is used. It appears under its name when it is complete, so that any number
 * of processes may write the same one. Nothing about it can make a start fail: what cannot be read
 * or written is as if it were not there.
 */
public final class PackedWeights {
  private static final int ALIGNMENT = 64;
  private static final String FORMAT = "precis packed weights 1";
  private static final String KEY = "key";
  private static final String CHECKSUMS = "crc32c";

  /** Files that changed so recently may change again without their times telling. */
  private static final Duration SETTLED = Duration.ofSeconds(2);

  private static final long CHECKSUM_PIECE = 1 << 30;

  private final LongFunction<MemorySegment> allocate;
  private final Map<String, MemorySegment> parts = new TreeMap<>();
  private final Map<String, MemorySegment> found = new LinkedHashMap<>();
  private final WeightsCache cache; // null: nothing is kept
  private final List<Path> sources;
  private final String dependencies;
  private final Identity identity;
  private final Path file;

  /**
   * Makes weights that are not kept.
   *
   * @param allocate gives zero-filled memory, aligned to 64 bytes
   */
  public PackedWeights(LongFunction<MemorySegment> allocate) {
    this.allocate = allocate;
    cache = null;
    sources = null;
    dependencies = null;
    identity = null;
    file = null;
  }

  /**
   * Makes weights that may be in a cache, and go there on {@link #keep}.
   *
   * @param allocate gives zero-filled memory, aligned to 64 bytes
   * @param sources the files that they are made of
   * @param name begins the file's name
   * @param dependencies all else that they depend on
   * @param owner unmaps what was found
   */
  public PackedWeights(
      LongFunction<MemorySegment> allocate,
      WeightsCache cache,
      List<Path> sources,
      String name,
      String dependencies,
      Arena owner) {
    this.allocate = allocate;
    this.cache = cache;
    this.sources = List.copyOf(sources);
    this.dependencies = dependencies;
    identity = Identity.of(this.sources, dependencies);
    file =
        cache
            .folder()
            .resolve(
                name.replaceAll("[^A-Za-z0-9._-]+", "-")
                    + "-"
                    + Long.toHexString(hash(identity.key))
                    + WeightsCache.SUFFIX);
    find(owner);
  }

  /**
   * Returns one of the weights.
   *
   * @param name unlike all others
   * @param pack writes it if it was not found
   * @return aligned to 64 bytes; read-only if it was found
   */
  public MemorySegment get(String name, long bytes, Consumer<MemorySegment> pack) {
    long padded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    MemorySegment whole = found.get(name);
    if (whole == null || whole.byteSize() != padded) {
      whole = allocate.apply(padded);
      pack.accept(whole.asSlice(0, bytes));
      found.remove(name);
    }
    if (parts.put(name, whole) != null) {
      throw new IllegalArgumentException("there are two weights named " + name);
    }
    return whole.asSlice(0, bytes);
  }

  /** Returns true if every weight that was asked for was found in the cache. */
  public boolean wereFound() {
    return !parts.isEmpty() && found.keySet().equals(parts.keySet());
  }

  /** Returns whether {@link #keep} has something to keep. */
  public boolean toBeKept() {
    return cache != null && !wereFound();
  }

  /**
   * Keeps the weights for later runs, unless they were found or are not worth it. The memory must
   * still be there.
   */
  public void keep() {
    if (!toBeKept()) {
      return;
    }
    try {
      long bytes = parts.values().stream().mapToLong(MemorySegment::byteSize).sum();
      cache.create();
      if (!identity.settled
          || !cache.admits(bytes)
          || !identity.equals(Identity.of(sources, dependencies))) {
        return;
      }
      List<SafeTensors.Source> tensors = new ArrayList<>();
      parts.forEach(
          (name, part) ->
              tensors.add(
                  new SafeTensors.Source(
                      name, DType.UINT8, new long[] {part.byteSize()}, () -> part)));
      SafeTensors.writeAligned(
          file, tensors, Map.of(KEY, identity.key, CHECKSUMS, checksums(parts)), ALIGNMENT);
      cache.evict(file);
    } catch (IOException | UncheckedIOException e) {
      // The next start packs again, as this one did.
    }
  }

  private void find(Arena owner) {
    if (!Files.isRegularFile(file)) {
      return;
    }
    try {
      SafeTensorsFile kept = new SafeTensorsFile(file, owner);
      Map<String, MemorySegment> all = new TreeMap<>();
      for (String name : kept.names()) {
        all.put(name, kept.get(name).data());
      }
      boolean aligned = all.values().stream().allMatch(part -> part.address() % ALIGNMENT == 0);
      if (aligned
          && identity.key.equals(kept.metadata().get(KEY))
          && checksums(all).equals(kept.metadata().get(CHECKSUMS))) {
        found.putAll(all);
        WeightsCache.touch(file);
      }
    } catch (InvalidInputException | UncheckedIOException e) {
      // Damaged: it will be written anew.
    }
  }

  /** Returns the checksums of the parts, in the order of their names. */
  private static String checksums(Map<String, MemorySegment> parts) {
    List<MemorySegment> all = List.copyOf(parts.values());
    long[] sums = new long[all.size()];
    AtomicInteger next = new AtomicInteger();
    Runnable work =
        () -> {
          for (int i = next.getAndIncrement(); i < sums.length; i = next.getAndIncrement()) {
            sums[i] = checksum(all.get(i));
          }
        };
    List<Thread> helpers = new ArrayList<>();
    for (int i = 1; i < Math.min(Runtime.getRuntime().availableProcessors(), 8); i++) {
      helpers.add(Thread.ofPlatform().daemon().start(work));
    }
    work.run();
    boolean interrupted = false;
    for (Thread helper : helpers) {
      while (true) {
        try {
          helper.join();
          break;
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    StringBuilder text = new StringBuilder();
    for (long sum : sums) {
      text.append(Long.toHexString(sum)).append(' ');
    }
    return text.toString();
  }

  private static long checksum(MemorySegment part) {
    CRC32C sum = new CRC32C();
    for (long at = 0; at < part.byteSize(); at += CHECKSUM_PIECE) {
      sum.update(part.asSlice(at, Math.min(CHECKSUM_PIECE, part.byteSize() - at)).asByteBuffer());
    }
    return sum.getValue();
  }

  private static long hash(String text) {
    long hash = 0xcbf29ce484222325L; // FNV-1a
    for (int i = 0; i < text.length(); i++) {
      hash = (hash ^ text.charAt(i)) * 0x100000001b3L;
    }
    return hash;
  }

  /**
   * The files and settings that weights were made of.
   *
   * @param settled true if the files' times will show another change
   */
  private record Identity(String key, boolean settled) {
    static Identity of(List<Path> sources, String dependencies) {
      StringBuilder key = new StringBuilder(FORMAT).append('\n').append(dependencies);
      boolean settled = true;
      try {
        Instant recent = Instant.now().minus(SETTLED);
        for (Path source : sources) {
          Path real = source.toRealPath();
          FileTime modified = Files.getLastModifiedTime(real);
          FileTime changed = modified;
          key.append('\n').append(real).append(' ').append(Files.size(real));
          key.append(' ').append(modified);
          try {
            Map<String, Object> more = Files.readAttributes(real, "unix:dev,ino,ctime");
            changed = (FileTime) more.get("ctime");
            key.append(' ').append(more.get("dev")).append(' ').append(more.get("ino"));
            key.append(' ').append(changed);
          } catch (UnsupportedOperationException e) {
            // This file system has no more to tell.
          }
          settled &= changed.toInstant().isBefore(recent) && modified.toInstant().isBefore(recent);
        }
      } catch (IOException e) {
        return new Identity("", false);
      }
      return new Identity(key.toString(), settled);
    }
  }
}
