package dev.precis.checkpoint;

import dev.precis.io.AtomicFile;
import dev.precis.io.Json;
import dev.precis.tensor.DType;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import tools.jackson.core.JsonGenerator;

/**
 * The safetensors format: eight bytes of header length, a JSON header, the tensors' bytes.
 *
 * <p>Reading is {@link Checkpoint#open} or {@link Checkpoint#openFile}; this class writes.
 */
public final class SafeTensors {
  /** The header's key for the texts beside the tensors. */
  static final String METADATA = "__metadata__";

  private static final int CHUNK = 4 << 20;

  /** The format orders tensors by type, the widest first; these are those that are written. */
  private static final List<DType> WRITE_ORDER =
      List.of(
          DType.INT64,
          DType.FLOAT64,
          DType.FLOAT32,
          DType.INT32,
          DType.BFLOAT16,
          DType.FLOAT16,
          DType.INT8,
          DType.UINT8,
          DType.BOOL);

  private static final Map<DType, String> NAMES =
      Map.of(
          DType.BOOL, "BOOL",
          DType.UINT8, "U8",
          DType.INT8, "I8",
          DType.INT32, "I32",
          DType.INT64, "I64",
          DType.BFLOAT16, "BF16",
          DType.FLOAT16, "F16",
          DType.FLOAT32, "F32",
          DType.FLOAT64, "F64");

  private SafeTensors() {}

  /**
   * A tensor to write whose bytes are made only when their turn comes, so that a model larger than
   * memory can be written.
   *
   * @param shape dimensions, outermost first
   * @param data gives exactly the elements, row-major, little endian; asked once
   */
  public record Source(String name, DType dtype, long[] shape, Supplier<MemorySegment> data) {}

  /** Writes tensors that are in memory; see {@link #writeSources}. */
  public static void write(
      Path file, Collection<TensorView> tensors, Map<String, String> metadata) {
    writeSources(
        file,
        tensors.stream().map(t -> new Source(t.name(), t.dtype(), t.shape(), t::data)).toList(),
        metadata);
  }

  /**
   * Writes a file. It appears under its name only when it is complete and on the disk. The same
   * tensors and metadata give the same bytes, whatever their order, and the bytes are those that
   * Python's safetensors writes (for at most one metadata entry; it does not order several).
   *
   * @param metadata texts for the header; Python's libraries expect {@code "format": "pt"}
   * @throws java.io.UncheckedIOException if writing fails
   * @throws IllegalArgumentException if two tensors have one name, or data does not fit its shape
   */
  public static void writeSources(
      Path file, Collection<Source> tensors, Map<String, String> metadata) {
    write(file, tensors, metadata, 8, true);
  }

  /**
   * Writes tensors as {@link #writeSources} does, with the first tensor at a multiple of {@code
   * alignment} bytes, which itself is one of 8, and without waiting for the disk.
   */
  static void writeAligned(
      Path file, Collection<Source> tensors, Map<String, String> metadata, int alignment) {
    write(file, tensors, metadata, alignment, false);
  }

  private static void write(
      Path file,
      Collection<Source> tensors,
      Map<String, String> metadata,
      int alignment,
      boolean sync) {
    List<Source> sorted =
        tensors.stream()
            .sorted(
                Comparator.comparingInt((Source t) -> WRITE_ORDER.indexOf(t.dtype()))
                    .thenComparing(
                        t -> t.name().getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned))
            .toList();
    ByteBuffer header = header(sorted, metadata, alignment);
    AtomicFile.write(
        file,
        sync,
        channel -> {
          writeFully(channel, header);
          ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK);
          for (Source tensor : sorted) {
            TensorView view =
                new TensorView(tensor.name(), tensor.dtype(), tensor.shape(), tensor.data().get());
            writeFully(channel, view.data(), buffer);
          }
        });
  }

  private static ByteBuffer header(
      List<Source> tensors, Map<String, String> metadata, int alignment) {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    Set<String> names = new HashSet<>(Set.of(METADATA));
    try (JsonGenerator json = Json.generator(text)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeName(METADATA);
        json.writeStartObject();
        new TreeMap<>(metadata).forEach(json::writeStringProperty);
        json.writeEndObject();
      }
      long offset = 0;
      for (Source tensor : tensors) {
        if (!names.add(tensor.name())) {
          throw new IllegalArgumentException(
              "a file cannot hold another tensor named " + tensor.name());
        }
        long end =
            Math.addExact(
                offset,
                Math.multiplyExact(TensorView.elements(tensor.shape()), tensor.dtype().bytes()));
        json.writeName(tensor.name());
        json.writeStartObject();
        json.writeStringProperty("dtype", NAMES.get(tensor.dtype()));
        json.writeName("shape");
        json.writeArray(tensor.shape(), 0, tensor.shape().length);
        json.writeName("data_offsets");
        json.writeArray(new long[] {offset, end}, 0, 2);
        json.writeEndObject();
        offset = end;
      }
      json.writeEndObject();
    }
    byte[] bytes = text.toByteArray();
    int size = Math.addExact(bytes.length, 8 + alignment - 1) / alignment * alignment;
    ByteBuffer header = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    header.putLong(size - 8).put(bytes);
    while (header.hasRemaining()) {
      header.put((byte) ' ');
    }
    return header.flip();
  }

  private static void writeFully(FileChannel channel, MemorySegment data, ByteBuffer buffer)
      throws IOException {
    for (long at = 0; at < data.byteSize(); at += CHUNK) {
      long count = Math.min(CHUNK, data.byteSize() - at);
      if (data.isNative()) {
        writeFully(channel, data.asSlice(at, count).asByteBuffer());
        continue;
      }
      // Through a buffer: a segment over a float[] has no byte buffer of its own.
      MemorySegment.copy(data, at, MemorySegment.ofBuffer(buffer.clear()), 0, count);
      writeFully(channel, buffer.limit((int) count));
    }
  }

  private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }
}
